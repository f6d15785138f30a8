#pragma once
// Thin ownership and lookup around libbpf, for the .cc files of this folder only.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/base/error.h"
#include "dataplane/xdp/layout.h"
#include "dataplane/xdp/steering.h"

namespace torii::xdp {

class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Fd() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }
    bool valid() const { return fd_ >= 0; }

private:
    int fd_ = -1;
};

/// While it lives, what libbpf prints is kept instead, for the message of an error.
class QuietLibbpf {
public:
    QuietLibbpf();
    ~QuietLibbpf();
    QuietLibbpf(const QuietLibbpf&) = delete;
    static std::string last_line();

private:
    libbpf_print_fn_t before_;
};

inline constexpr std::string_view kXdpName = "torii_xdp";
inline constexpr std::string_view kGuardName = "torii_guard";

struct ObjectDeleter {
    void operator()(bpf_object* o) const { bpf_object__close(o); }
};
using Object = std::unique_ptr<bpf_object, ObjectDeleter>;

/// Loads an embedded object into the kernel.
Result<Object> load(std::span<const std::byte> elf, std::string_view name);

Result<int> interface_index(std::string_view interface);
Result<Fd> program_by_id(uint32_t id);

/// The maps behind one program, by their names. Only torii_xdp has an xsks_map.
struct MapSet {
    Fd vips, services, locals, backends, backend_addrs, macs, marks, tunnels, xsks;
};
Result<MapSet> maps_of(int program_fd);

/// `set` as the keys of each map.
struct Keys {
    std::vector<torii_address_key> vips, locals, backend_addrs;
    std::vector<torii_service_key> services, backends, tunnels;
    std::vector<torii_mac_key> macs;
    std::vector<torii_block_key> marks;
    std::vector<torii_mark_value> mark_values;  ///< of `marks`, in their order
};
Keys keys_of(const SteeringSet& set);

Result<> add_keys(const MapSet& maps, const Keys& keys);
Result<> remove_keys(const MapSet& maps, const Keys& keys);
/// Removes what is in the maps and not in `keys`.
Result<> remove_others(const MapSet& maps, const Keys& keys);

}  // namespace torii::xdp
