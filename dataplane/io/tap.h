#pragma once
// A TAP: a network device of the kernel whose wire is a file descriptor of ours. It exists as long
// as the object.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "config/base/address.h"
#include "config/base/error.h"

namespace torii::io {

class Tap {
public:
    enum class Use {
        port,     ///< the host's interface on a port: an ordinary device with the port's address
        one_way,  ///< only hands packets to the kernel: no ARP, no addresses, any source accepted
    };
    struct Wish {
        std::string name;
        Use use = Use::one_way;
        Mac mac;  ///< zero: the kernel chooses
        uint32_t mtu = 1500;
    };
    /// Creates it in the namespace of the calling thread and brings it up. Errc::exists when there
    /// is an interface of this name.
    static Result<Tap> create(const Wish&);

    Tap(Tap&&) noexcept;
    Tap& operator=(Tap&&) = delete;
    ~Tap();

    const std::string& name() const { return name_; }
    int fd() const { return fd_; }  ///< non-blocking
    const Mac& mac() const { return mac_; }
    uint32_t interface_index() const { return index_; }

    /// One frame into the kernel; false when the kernel does not take it.
    bool write(std::span<const std::byte> frame) const;
    /// One frame out of the kernel; its length, or 0 when there is none.
    size_t read(std::span<std::byte> room) const;

private:
    Tap(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
    int fd_ = -1;
    std::string name_;
    Mac mac_;
    uint32_t index_ = 0;
};

/// The name of an instance's own TAP: torii-NAME, shortened with a hash where it would not fit.
std::string instance_tap_name(const std::string& instance);

}  // namespace torii::io
