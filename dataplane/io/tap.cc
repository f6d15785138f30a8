#include "dataplane/io/tap.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace torii::io {
namespace {

class Socket {
public:
    Socket() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}
    ~Socket() {
        if (fd_ >= 0) ::close(fd_);
    }
    Socket(const Socket&) = delete;
    int get() const { return fd_; }

private:
    int fd_;
};

ifreq request_for(const std::string& name) {
    ifreq r{};
    std::memcpy(r.ifr_name, name.data(), std::min(name.size(), sizeof r.ifr_name - 1));
    return r;
}

// A setting that this kernel does not have is none that matters.
void set_sysctl(const std::string& path, std::string_view value) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    [[maybe_unused]] const ssize_t n = ::write(fd, value.data(), value.size());
    ::close(fd);
}

// What comes out of this device has come in elsewhere: its source need not be routed back here, and
// may be an address of the host. The device itself is to have no addresses of its own making.
void make_one_way(const std::string& name) {
    const std::string v4 = "/proc/sys/net/ipv4/conf/" + name;
    const std::string v6 = "/proc/sys/net/ipv6/conf/" + name;
    set_sysctl(v4 + "/rp_filter", "0");
    set_sysctl(v4 + "/accept_local", "1");
    set_sysctl(v6 + "/addr_gen_mode", "1");
    set_sysctl(v6 + "/accept_ra", "0");
    set_sysctl(v6 + "/autoconf", "0");
    set_sysctl(v6 + "/disable_ipv6", "0");
}

Result<> set_address_and_mtu(const Socket& s, const Tap::Wish& wish) {
    ifreq r = request_for(wish.name);
    if (!wish.mac.is_zero()) {
        r.ifr_hwaddr.sa_family = ARPHRD_ETHER;
        std::memcpy(r.ifr_hwaddr.sa_data, wish.mac.bytes.data(), wish.mac.bytes.size());
        if (::ioctl(s.get(), SIOCSIFHWADDR, &r) != 0)
            return fail_errno(fmt::format("TAP {}: hardware address", wish.name), errno);
    }
    r = request_for(wish.name);
    r.ifr_mtu = int(wish.mtu);
    if (::ioctl(s.get(), SIOCSIFMTU, &r) != 0)
        return fail_errno(fmt::format("TAP {}: MTU {}", wish.name, wish.mtu), errno);
    return {};
}

Result<> bring_up(const Socket& s, const Tap::Wish& wish) {
    ifreq r = request_for(wish.name);
    if (::ioctl(s.get(), SIOCGIFFLAGS, &r) != 0)
        return fail_errno(fmt::format("TAP {}: flags", wish.name), errno);
    r.ifr_flags = short(r.ifr_flags | IFF_UP | (wish.use == Tap::Use::one_way ? IFF_NOARP : 0));
    if (::ioctl(s.get(), SIOCSIFFLAGS, &r) != 0)
        return fail_errno(fmt::format("TAP {}: cannot be brought up", wish.name), errno);
    return {};
}

}  // namespace

Result<Tap> Tap::create(const Wish& wish) {
    if (::if_nametoindex(wish.name.c_str()) != 0)
        return fail(Errc::exists,
                    fmt::format("TAP {}: there is an interface of this name already", wish.name));
    const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return fail_errno("/dev/net/tun", errno);
    Tap tap(fd, wish.name);
    ifreq r = request_for(wish.name);
    r.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (::ioctl(fd, TUNSETIFF, &r) != 0) return fail_errno(fmt::format("TAP {}", wish.name), errno);
    if (wish.use == Use::one_way) make_one_way(wish.name);
    const Socket s;
    if (auto ok = set_address_and_mtu(s, wish); !ok) return tl::unexpected(ok.error());
    if (auto ok = bring_up(s, wish); !ok) return tl::unexpected(ok.error());
    r = request_for(wish.name);
    if (::ioctl(s.get(), SIOCGIFHWADDR, &r) != 0)
        return fail_errno(fmt::format("TAP {}: hardware address", wish.name), errno);
    std::memcpy(tap.mac_.bytes.data(), r.ifr_hwaddr.sa_data, tap.mac_.bytes.size());
    tap.index_ = ::if_nametoindex(wish.name.c_str());
    return tap;
}

Tap::Tap(Tap&& o) noexcept
    : fd_(std::exchange(o.fd_, -1)), name_(std::move(o.name_)), mac_(o.mac_), index_(o.index_) {}
Tap::~Tap() {
    if (fd_ >= 0) ::close(fd_);
}

bool Tap::write(std::span<const std::byte> frame) const {
    ssize_t n;
    do n = ::write(fd_, frame.data(), frame.size());
    while (n < 0 && errno == EINTR);
    return n == ssize_t(frame.size());
}

size_t Tap::read(std::span<std::byte> room) const {
    ssize_t n;
    do n = ::read(fd_, room.data(), room.size());
    while (n < 0 && errno == EINTR);
    return n > 0 ? size_t(n) : 0;
}

std::string instance_tap_name(const std::string& instance) {
    constexpr size_t kLongest = IFNAMSIZ - 1 - 6;  // after "torii-"
    if (instance.size() <= kLongest) return "torii-" + instance;
    uint32_t hash = 2166136261u;  // FNV-1a: two long names that begin alike stay apart
    for (const char c : instance) hash = (hash ^ uint8_t(c)) * 16777619u;
    return fmt::format("torii-{}{:05x}", instance.substr(0, kLongest - 5), hash & 0xfffff);
}

}  // namespace torii::io
