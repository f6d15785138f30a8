#pragma once
// What a tunnel puts in front of a packet: IP in IP (RFC 2003, 2473, 4213), GUE (UDP and the header
// of draft-ietf-intarea-gue, version 0, without options) or GRE (RFC 2784), byte for byte as LVS
// builds them (ip_vs_tunnel_xmit). Pure functions over bytes; any thread.
//
// The outer TTL is the inner one after its decrement, the type of service is copied by RFC 3168
// 9.1.1 (full functionality), "don't fragment" is copied from an IPv4 packet and never set for an
// IPv6 one. LVS's remote checksum changes only packets whose checksum a card was still to fill in;
// what arrives by a wire is complete, and gets the plain checksum.

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "config/base/address.h"
#include "dataplane/shm/services.h"
#include "dataplane/stages/checksum.h"
#include "dataplane/stages/headers.h"

namespace torii::stages {

namespace wire {
struct [[gnu::packed]] Gue {
    uint8_t control;   // version 0, a data packet, no options: 0
    uint8_t protocol;  // of the packet inside
    uint16_t flags;
};
struct [[gnu::packed]] Gre {  // with kGreChecksum, a checksum and 16 reserved bits follow
    uint16_t flags, type;
};
static_assert(sizeof(Gue) == 4 && sizeof(Gre) == 4);
inline constexpr uint16_t kGreChecksum = net16(0x8000);
inline constexpr uint8_t kIpip = 4, kIpv6InIp = 41, kGre = 47;
}  // namespace wire

constexpr bool has_checksum(const shm::Tunnel& t) {
    return t.checksum != shm::TunnelChecksum::none;
}

/// Bytes between the outer IP header and the packet inside.
constexpr uint16_t shim_length(const shm::Tunnel& t) {
    switch (t.type) {
        case shm::TunnelType::gue:
            return sizeof(wire::Udp) + sizeof(wire::Gue);
        case shm::TunnelType::gre:
            return sizeof(wire::Gre) * (has_checksum(t) ? 2 : 1);
        case shm::TunnelType::ipip:
            break;
    }
    return 0;
}
/// Bytes that the tunnel puts in front of a packet, given the family of the outer header.
constexpr uint16_t overhead(const shm::Tunnel& t, bool outer_v6) {
    return uint16_t((outer_v6 ? sizeof(wire::Ipv6) : sizeof(wire::Ipv4)) + shim_length(t));
}

/// The outer type of service for an inner one: "congestion experienced" starts again as
/// "ECN-capable", so that the tunnel's own congestion can be told from what came before.
constexpr uint8_t outer_tos(uint8_t inner) {
    return (inner & 3) == 3 ? uint8_t((inner & 0xfc) | 2) : inner;
}

/// The packet inside, whose TTL has been decremented already.
struct Inner {
    const std::byte* data;
    uint16_t length;
    bool v6;
    uint8_t tos() const {
        if (!v6) return reinterpret_cast<const wire::Ipv4*>(data)->tos;
        return uint8_t(
            wire::host32(reinterpret_cast<const wire::Ipv6*>(data)->version_class_flow) >> 20);
    }
    uint8_t ttl() const {
        return v6 ? reinterpret_cast<const wire::Ipv6*>(data)->hop_limit
                  : reinterpret_cast<const wire::Ipv4*>(data)->ttl;
    }
    bool dont_fragment() const {
        return !v6 && (reinterpret_cast<const wire::Ipv4*>(data)->fragment & wire::kDontFragment);
    }
    uint8_t protocol() const { return v6 ? wire::kIpv6InIp : wire::kIpip; }
};

/// What the outer headers say besides. Both addresses are of one family.
struct Outer {
    Address source, destination;
    uint16_t udp_source = 0;         ///< GUE, host order: tells flows apart for the servers' queues
    uint16_t id = 0;                 ///< IPv4 without "don't fragment", host order
    bool copy_dont_fragment = true;  ///< LVS: pmtu_disc
};

namespace detail {

// UDP and GUE at `at`; the checksum covers what follows.
inline void write_gue(std::byte* at, const Inner& in, const shm::Tunnel& t, const Outer& o) {
    const auto length = uint16_t(shim_length(t) + in.length);
    auto* udp = reinterpret_cast<wire::Udp*>(at);
    *udp = {wire::net16(o.udp_source), t.port.raw(), wire::net16(length), 0};
    *reinterpret_cast<wire::Gue*>(udp + 1) = {0, in.protocol(), 0};
    if (!has_checksum(t)) return;
    const bool v6 = !o.destination.is_v4();
    uint8_t addresses[32];
    const size_t size = v6 ? 16 : 4;
    std::memcpy(addresses, o.source.bytes.data() + 16 - size, size);
    std::memcpy(addresses + size, o.destination.bytes.data() + 16 - size, size);
    const uint64_t pseudo =
        v6 ? pseudo6(addresses, length, wire::kUdp) : pseudo4(addresses, length, wire::kUdp);
    const uint16_t sum = checksum_of(at, length, pseudo);
    udp->checksum = sum == 0 ? uint16_t(0xffff) : sum;
}

inline void write_gre(std::byte* at, const Inner& in, const shm::Tunnel& t) {
    *reinterpret_cast<wire::Gre*>(at) = {has_checksum(t) ? wire::kGreChecksum : uint16_t(0),
                                         in.v6 ? wire::kTypeIpv6 : wire::kTypeIpv4};
    if (!has_checksum(t)) return;
    std::memset(at + sizeof(wire::Gre), 0, sizeof(wire::Gre));
    const uint16_t sum = checksum_of(at, size_t(shim_length(t)) + in.length);
    std::memcpy(at + sizeof(wire::Gre), &sum, sizeof sum);
}

inline void write_ipv4(std::byte* at, const Inner& in, uint8_t protocol, uint16_t length,
                       const Outer& o) {
    auto* ip = reinterpret_cast<wire::Ipv4*>(at);
    const bool whole = o.copy_dont_fragment && in.dont_fragment();
    *ip = {};
    ip->version_ihl = 0x45;
    ip->tos = outer_tos(in.tos());
    ip->total_length = wire::net16(length);
    // A datagram that nobody may fragment needs no identification (RFC 6864 4.1).
    ip->id = whole ? uint16_t(0) : wire::net16(o.id);
    ip->fragment = whole ? wire::kDontFragment : uint16_t(0);
    ip->ttl = in.ttl();
    ip->protocol = protocol;
    ip->source = o.source.as_v4().raw();
    ip->destination = o.destination.as_v4().raw();
    ip->checksum = checksum_of(ip, sizeof *ip);
}

inline void write_ipv6(std::byte* at, const Inner& in, uint8_t protocol, uint16_t payload,
                       const Outer& o) {
    auto* ip = reinterpret_cast<wire::Ipv6*>(at);
    ip->version_class_flow = wire::net32(6u << 28 | uint32_t(outer_tos(in.tos())) << 20);
    ip->payload_length = wire::net16(payload);
    ip->next_header = protocol;
    ip->hop_limit = in.ttl();
    std::memcpy(ip->source, o.source.bytes.data(), 16);
    std::memcpy(ip->destination, o.destination.bytes.data(), 16);
}

}  // namespace detail

/// Writes the overhead() bytes that end where `in` begins. The packet with its overhead must have
/// at most 65535 bytes.
inline void encapsulate(std::byte* in_front, const Inner& in, const shm::Tunnel& t,
                        const Outer& o) {
    const bool v6 = !o.destination.is_v4();
    const uint16_t header = uint16_t(overhead(t, v6) - shim_length(t));
    std::byte* const shim = in_front + header;
    uint8_t protocol = in.protocol();
    if (t.type == shm::TunnelType::gue) {
        detail::write_gue(shim, in, t, o);
        protocol = wire::kUdp;
    } else if (t.type == shm::TunnelType::gre) {
        detail::write_gre(shim, in, t);
        protocol = wire::kGre;
    }
    const auto payload = uint16_t(shim_length(t) + in.length);
    if (v6)
        detail::write_ipv6(in_front, in, protocol, payload, o);
    else
        detail::write_ipv4(in_front, in, protocol, uint16_t(header + payload), o);
}

/// A source port of GUE from a flow's hash, in the range where Linux takes it from.
constexpr uint16_t gue_source_port(uint64_t hash) {
    constexpr uint32_t first = 32768, last = 60999;
    return uint16_t(first + ((hash >> 32) * (last - first) >> 32));
}

}  // namespace torii::stages
