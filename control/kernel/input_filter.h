#pragma once
// Keeps packets to some of the machine's addresses from the machine itself, by a table of nftables
// with one chain at its local input. IPv6 neighbour discovery passes, ARP does not come by there:
// others still learn where the addresses are. A table outlives the process.
//
// Thread-safety: one thread. A call waits for the kernel's answer, never for the network.

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "config/base/address.h"
#include "config/base/error.h"

namespace torii::kernel {

class InputFilter {
public:
    /// Errc::io where the kernel has no nftables.
    static Result<std::unique_ptr<InputFilter>> open();
    ~InputFilter();
    InputFilter(const InputFilter&) = delete;
    InputFilter& operator=(const InputFilter&) = delete;

    /// The table of that name drops packets to these addresses and to no others, from one moment
    /// to the next.
    Result<> refuse(const std::string& table, std::span<const Address>);
    /// One that is not there is no error.
    Result<> remove(const std::string& table);

private:
    explicit InputFilter(int fd) : fd_(fd) {}
    Result<> commit(std::span<const unsigned char> messages, size_t asked);
    int fd_;
};

}  // namespace torii::kernel
