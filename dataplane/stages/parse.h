#pragma once
// parse: what the frame says about itself. Nothing is read that the frame does not hold, and no
// length is believed that another contradicts. Inline, because every packet takes this step; what
// few packets need is in parse.cc.

#include <array>

#include "config/base/either.h"
#include "dataplane/stages/checksum.h"
#include "dataplane/stages/context.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/packet.h"

namespace torii::stages {
namespace detail {

// In a table, because two comparisons become two branches, and which of them is taken nobody can
// guess.
inline constexpr std::array<bool, 256> kBalanced = [] {
    std::array<bool, 256> balanced{};
    balanced[wire::kTcp] = balanced[wire::kUdp] = true;
    return balanced;
}();

/// Of an upper layer that is neither TCP nor UDP: sets is_icmp_error, or says whose it is.
Verdict parse_other(Packet&, uint8_t protocol, uint32_t length);
/// A fragment is torii's business only if it could be part of a service's traffic.
Verdict parse_fragment(Packet&);
/// Frames with VLAN tags, and what is neither IPv4 nor IPv6.
Verdict parse_tagged(Packet&, uint16_t type);
/// IPv4 with a header of any length.
Verdict parse_options(Packet&, uint32_t l3);
/// Walks IPv6 extension headers: the upper protocol and its offset from the IP header.
Verdict parse_extensions(Packet&, const std::byte* ip, uint32_t length, uint8_t& protocol,
                         uint32_t& offset);

// TCP says in its 13th byte how long its header is, UDP in its 5th and 6th how long it is with its
// data; both have their ports in front. One path for the two: which comes next, nobody can guess.
[[gnu::always_inline]] inline Verdict parse_ports(Packet& p, const std::byte* upper, bool tcp,
                                                  uint32_t length) {
    const uint32_t least =
        sizeof(wire::Udp) + tcp * uint32_t(sizeof(wire::Tcp) - sizeof(wire::Udp));
    if (length < least) [[unlikely]]
        return Verdict::drop_truncated;
    uint32_t ports;
    std::memcpy(&ports, upper, sizeof ports);
    uint16_t word;  // of TCP: header length and flags
    std::memcpy(&word, upper + 4 + size_t(tcp) * 8, sizeof word);
    const uint32_t claimed = either<uint32_t>(tcp, (word & 0xf0) >> 2, wire::host16(word));
    if (claimed < least || claimed > length) [[unlikely]]
        return Verdict::drop_bad_header;
    static_assert(offsetof(Packet, destination_port) == offsetof(Packet, source_port) + 2);
    std::memcpy(static_cast<void*>(&p.source_port), &ports, sizeof ports);  // both
    p.tcp_flags = uint8_t(word >> 8 & -uint32_t(tcp));
    return Verdict::open;
}
static_assert(offsetof(wire::Tcp, data_offset) == 12 && offsetof(wire::Tcp, flags) == 13 &&
              offsetof(wire::Udp, length) == 4);

// Values are handed on in registers: after a store into the packet the compiler must read it again.
[[gnu::always_inline]] inline Verdict parse_upper(Packet& p, const std::byte* upper,
                                                  uint8_t protocol, uint32_t length) {
    if (kBalanced[protocol]) [[likely]]
        return parse_ports(p, upper, protocol == wire::kTcp, length);
    return parse_other(p, protocol, length);
}

[[gnu::always_inline]] inline Verdict parse_ipv4(Packet& p, const std::byte* data, uint32_t l3,
                                                 uint32_t room, uint32_t header) {
    const auto* ip = reinterpret_cast<const wire::Ipv4*>(data + l3);
    const uint32_t total = wire::host16(ip->total_length);
    if (total < header) [[unlikely]]
        return Verdict::drop_bad_header;
    if (total > room) [[unlikely]]
        return Verdict::drop_truncated;
    if (!ipv4_header_ok(ip, header)) [[unlikely]]
        return Verdict::drop_bad_checksum;
    const uint8_t protocol = ip->protocol;
    const bool part = (ip->fragment & wire::kMoreOrOffset) != 0;
    p.l3_length = p.ip_bytes = uint16_t(total);
    p.protocol = protocol;
    p.l3 = uint16_t(l3);
    p.l4 = uint16_t(l3 + header);
    if (part) [[unlikely]]
        return parse_fragment(p);
    return parse_upper(p, data + l3 + header, protocol, total - header);
}

[[gnu::always_inline]] inline Verdict parse_ipv6(Packet& p, const std::byte* data, uint32_t l3,
                                                 uint32_t room) {
    p.ipv6 = true;
    p.l3 = uint16_t(l3);
    if (room < sizeof(wire::Ipv6)) [[unlikely]]
        return Verdict::drop_truncated;
    const auto* ip = reinterpret_cast<const wire::Ipv6*>(data + l3);
    if ((ip->version_class_flow & 0xf0) != 0x60) [[unlikely]]
        return Verdict::drop_bad_header;
    const uint32_t total = sizeof(wire::Ipv6) + wire::host16(ip->payload_length);
    if (total > room) [[unlikely]]
        return Verdict::drop_truncated;
    p.l3_length = p.ip_bytes = uint16_t(total);  // at most the frame's length, which has 16 bits
    uint8_t protocol = ip->next_header;
    uint32_t offset = sizeof(wire::Ipv6);
    if (!kBalanced[protocol]) [[unlikely]] {
        const Verdict v = parse_extensions(p, data + l3, total, protocol, offset);
        if (v != Verdict::open) return v;
    }
    p.protocol = protocol;
    p.l4 = uint16_t(l3 + offset);
    if (p.is_fragment) [[unlikely]]
        return parse_fragment(p);
    return parse_upper(p, data + l3 + offset, protocol, total - offset);
}

[[gnu::always_inline]] inline Verdict parse_frame(Packet& p) {
    const std::byte* const data = p.data;
    const uint32_t length = p.length;
    constexpr uint32_t l3 = sizeof(wire::Ethernet);
    if (length < l3) [[unlikely]]
        return Verdict::drop_truncated;
    const uint16_t type = reinterpret_cast<const wire::Ethernet*>(data)->type;
    if (type == wire::kTypeIpv4) [[likely]] {
        if (length < l3 + sizeof(wire::Ipv4)) [[unlikely]]
            return Verdict::drop_truncated;
        if (reinterpret_cast<const wire::Ipv4*>(data + l3)->version_ihl != 0x45) [[unlikely]]
            return parse_options(p, l3);
        return parse_ipv4(p, data, l3, length - l3, sizeof(wire::Ipv4));
    }
    if (type == wire::kTypeIpv6) return parse_ipv6(p, data, l3, length - l3);
    return parse_tagged(p, type);
}

}  // namespace detail

/// Bytes -> offsets, protocol, ports. Closes what is malformed (drop_truncated, drop_bad_header,
/// drop_bad_checksum) and what torii does not balance (kernel_other).
[[gnu::always_inline]] inline bool parse(Packet& p) {
    const Verdict verdict = detail::parse_frame(p);
    if (verdict == Verdict::open) [[likely]]
        return true;
    p.close(verdict);
    return false;
}
[[gnu::always_inline]] inline bool parse(Context&, Packet& p, Notes&) { return parse(p); }

}  // namespace torii::stages
