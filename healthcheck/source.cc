#include "healthcheck/source.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "healthcheck/detour.h"
#include "healthcheck/probe.h"

namespace torii::healthcheck {

void Descriptor::reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
}

unsigned to_sockaddr(const Endpoint& e, sockaddr_storage& to) {
    std::memset(&to, 0, sizeof to);
    if (e.address.is_v4()) {
        auto& v4 = reinterpret_cast<sockaddr_in&>(to);
        v4.sin_family = AF_INET;
        v4.sin_port = be16::from_host(e.port).raw();
        v4.sin_addr.s_addr = e.address.as_v4().raw();
        return sizeof v4;
    }
    auto& v6 = reinterpret_cast<sockaddr_in6&>(to);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = be16::from_host(e.port).raw();
    std::memcpy(&v6.sin6_addr, e.address.bytes.data(), 16);
    return sizeof v6;
}

tl::expected<Descriptor, int> open_socket(Environment& e, const Request& r, int type, int protocol,
                                          const char** what) {
    if (r.target.way) return e.detour.open(r, type, what);
    const config::Health& h = *r.settings;
    const int family = r.target.to.address.is_v4() ? AF_INET : AF_INET6;
    *what = "socket";
    Descriptor s(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    if (s.get() < 0) return tl::unexpected(errno);
    *what = "fwmark";
    if (h.fwmark != 0 &&
        ::setsockopt(s.get(), SOL_SOCKET, SO_MARK, &h.fwmark, sizeof h.fwmark) != 0)
        return tl::unexpected(errno);
    *what = "interface";
    if (!h.interface.empty() &&
        ::setsockopt(s.get(), SOL_SOCKET, SO_BINDTODEVICE, h.interface.c_str(),
                     socklen_t(h.interface.size() + 1)) != 0)
        return tl::unexpected(errno);
    *what = "bind";
    if (!h.bind.is_unspecified()) {
        sockaddr_storage from;
        const socklen_t size = to_sockaddr({h.bind, 0}, from);
        // The port is chosen when connecting: one number serves connections to different servers.
        const int late = 1;
        if (type == SOCK_STREAM)
            ::setsockopt(s.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof late);
        if (::bind(s.get(), reinterpret_cast<sockaddr*>(&from), size) != 0)
            return tl::unexpected(errno);
    }
    return s;
}

}  // namespace torii::healthcheck
