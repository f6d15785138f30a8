#include "healthcheck/outer.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace torii::healthcheck {
namespace {

constexpr int kIpip = 4, kIpv6 = 41, kGre = 47;
constexpr uint8_t kGreChecksum = 0x80;

bool is_v4(std::span<const uint8_t> packet) { return packet[0] >> 4 == 4; }

/// What is between the outer IP header and the packet: GUE (variant 0, no options) or GRE.
std::vector<uint8_t> wrapped(std::span<const uint8_t> packet, const config::Tunnel& t) {
    std::vector<uint8_t> out;
    if (t.type == config::TunnelType::gue) {
        out = {0, uint8_t(is_v4(packet) ? kIpip : kIpv6), 0, 0};
    } else if (t.type == config::TunnelType::gre) {
        out = {0, 0, uint8_t(is_v4(packet) ? 0x08 : 0x86), uint8_t(is_v4(packet) ? 0x00 : 0xdd)};
        if (t.checksum != config::TunnelChecksum::none) {
            out[0] = kGreChecksum;
            out.resize(8);
        }
    }
    out.insert(out.end(), packet.begin(), packet.end());
    if (t.type == config::TunnelType::gre && out[0] == kGreChecksum) {
        const uint16_t sum = internet_checksum(out);
        out[4] = uint8_t(sum >> 8);
        out[5] = uint8_t(sum);
    }
    return out;
}

/// Its packets are for sending only.
void take_nothing(int fd) {
    sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    const sock_fprog program{1, nothing};
    ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

}  // namespace

tl::expected<int, int> Outer::socket(const Kind& kind) {
    const auto known = sockets_.find(kind);
    if (known != sockets_.end()) return known->second.get();
    const auto& [family, type, protocol, unsummed] = kind;
    Descriptor s(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    if (s.get() < 0) return tl::unexpected(errno);
    take_nothing(s.get());
    const int on = 1;
    if (unsummed && family == AF_INET)
        ::setsockopt(s.get(), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on);
    if (unsummed && family == AF_INET6)
        ::setsockopt(s.get(), IPPROTO_UDP, 101 /* UDP_NO_CHECK6_TX */, &on, sizeof on);
    return sockets_.emplace(kind, std::move(s)).first->second.get();
}

int Outer::send(std::span<const uint8_t> packet, const Address& server,
                const std::optional<config::Tunnel>& tunnel) {
    const int family = server.is_v4() ? AF_INET : AF_INET6;
    // The kernel routes by the address it is told, and leaves the header as it is (raw(7)).
    Kind kind{family, SOCK_RAW, IPPROTO_RAW, false};
    std::vector<uint8_t> outer;
    uint16_t port = 0;
    if (tunnel) {
        outer = wrapped(packet, *tunnel);
        switch (tunnel->type) {
            case config::TunnelType::ipip:
                kind = {family, SOCK_RAW, is_v4(packet) ? kIpip : kIpv6, false};
                break;
            case config::TunnelType::gre:
                kind = {family, SOCK_RAW, kGre, false};
                break;
            case config::TunnelType::gue:
                kind = {family, SOCK_DGRAM, 0, tunnel->checksum == config::TunnelChecksum::none};
                port = tunnel->port;
                break;
        }
        packet = outer;
    }
    const auto fd = socket(kind);
    if (!fd) return fd.error();
    sockaddr_storage to;
    const socklen_t size = to_sockaddr({server, port}, to);
    return ::sendto(*fd, packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&to), size) <
                   0
               ? errno
               : 0;
}

uint16_t internet_checksum(std::span<const uint8_t> bytes, uint32_t sum) {
    uint64_t total = sum;
    for (size_t i = 0; i + 1 < bytes.size(); i += 2)
        total += uint32_t(bytes[i] << 8 | bytes[i + 1]);
    if (bytes.size() % 2 != 0) total += uint32_t(bytes.back() << 8);
    while (total >> 16) total = (total & 0xffff) + (total >> 16);
    return uint16_t(~total);
}

void complete_checksum(std::span<uint8_t> p) {
    const bool v4 = is_v4(p);
    const size_t header = v4 ? size_t(p[0] & 0x0f) * 4 : 40;
    const uint8_t protocol = v4 ? p[9] : p[6];
    const size_t place = header + (protocol == IPPROTO_TCP ? 16 : 6);
    if ((protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) || p.size() < place + 2) return;
    const size_t addresses = v4 ? 12 : 8, length = v4 ? 8 : 32;
    uint32_t sum = uint32_t(protocol) + uint32_t(p.size() - header);
    for (size_t i = addresses; i < addresses + length; i += 2)
        sum += uint32_t(p[i] << 8 | p[i + 1]);
    p[place] = p[place + 1] = 0;
    const uint16_t found = internet_checksum(p.subspan(header), sum);
    p[place] = uint8_t(found >> 8);
    p[place + 1] = uint8_t(found);
}

}  // namespace torii::healthcheck
