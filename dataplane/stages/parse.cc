// parse: what the frame says about itself. Nothing is read that the frame does not hold, and no
// length is believed that another contradicts.

#include "config/base/either.h"
#include "dataplane/stages/checksum.h"
#include "dataplane/stages/extensions.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

// TCP says in its 13th byte how long its header is, UDP in its 5th and 6th how long it is with its
// data; both have their ports in front. One path for the two: which comes next, nobody can guess.
[[gnu::always_inline]] inline Verdict parse_ports(Packet& p, const std::byte* upper, bool tcp,
                                                  uint32_t length) {
    const uint32_t least = either<uint32_t>(tcp, sizeof(wire::Tcp), sizeof(wire::Udp));
    if (length < least) [[unlikely]]
        return Verdict::drop_truncated;
    uint32_t ports;
    std::memcpy(&ports, upper, sizeof ports);
    uint16_t word;  // of TCP: header length and flags
    std::memcpy(&word, upper + either<size_t>(tcp, 12, 4), sizeof word);
    const uint32_t claimed = either<uint32_t>(tcp, (word & 0xf0) >> 2, wire::host16(word));
    if (claimed < least || claimed > length) [[unlikely]]
        return Verdict::drop_bad_header;
    p.source_port = be16::from_raw(uint16_t(ports));
    p.destination_port = be16::from_raw(uint16_t(ports >> 16));
    p.tcp_flags = either<uint8_t>(tcp, uint8_t(word >> 8), 0);
    return Verdict::open;
}
static_assert(offsetof(wire::Tcp, data_offset) == 12 && offsetof(wire::Tcp, flags) == 13 &&
              offsetof(wire::Udp, length) == 4);

// Errors of which LVS says they are about a connection: destination unreachable, source quench and
// time exceeded; every ICMPv6 error (type below 128).
Verdict parse_icmp(Packet& p, uint32_t length) {
    if (length < sizeof(wire::Icmp)) return Verdict::drop_truncated;
    const uint8_t type = p.at<wire::Icmp>(p.l4)->type;
    p.is_icmp_error = p.ipv6 ? type < 128 : type == 3 || type == 4 || type == 11;
    return p.is_icmp_error ? Verdict::open : Verdict::kernel_other;
}

// Values are handed on in registers: after a store into the packet the compiler must read it again.
[[gnu::always_inline]] inline Verdict parse_upper(Packet& p, const std::byte* upper,
                                                  uint8_t protocol, uint32_t length) {
    const bool tcp = protocol == wire::kTcp;
    if (tcp | (protocol == wire::kUdp)) [[likely]]
        return parse_ports(p, upper, tcp, length);
    if (protocol == (p.ipv6 ? wire::kIcmpv6 : wire::kIcmp)) return parse_icmp(p, length);
    return Verdict::kernel_other;
}

// A fragment is torii's business only if it could be part of a service's traffic.
Verdict fragment(Packet& p) {
    p.is_fragment = true;
    const bool balanced = p.protocol == wire::kTcp || p.protocol == wire::kUdp;
    return balanced ? Verdict::open : Verdict::kernel_other;
}

[[gnu::always_inline]] inline Verdict parse_ipv4(Packet& p, const std::byte* data, uint32_t l3,
                                                 uint32_t room) {
    if (room < sizeof(wire::Ipv4)) [[unlikely]]
        return Verdict::drop_truncated;
    const auto* ip = reinterpret_cast<const wire::Ipv4*>(data + l3);
    const uint32_t first = ip->version_ihl, header = (first & 15) * 4;
    const uint32_t total = wire::host16(ip->total_length);
    if (first >> 4 != 4 || header < sizeof(wire::Ipv4) || total < header) [[unlikely]]
        return Verdict::drop_bad_header;
    if (total > room) [[unlikely]]
        return Verdict::drop_truncated;
    if (!ipv4_header_ok(ip, header)) [[unlikely]]
        return Verdict::drop_bad_checksum;
    const uint8_t protocol = ip->protocol;
    const bool part = (ip->fragment & wire::kMoreOrOffset) != 0;
    p.l3_length = p.ip_bytes = uint16_t(total);
    p.protocol = protocol;
    p.l4 = uint16_t(l3 + header);
    if (part) [[unlikely]]
        return fragment(p);
    return parse_upper(p, data + l3 + header, protocol, total - header);
}

Verdict parse_ipv6(Packet& p, const std::byte* data, uint32_t l3, uint32_t room) {
    p.ipv6 = true;
    if (room < sizeof(wire::Ipv6)) return Verdict::drop_truncated;
    const auto* ip = reinterpret_cast<const wire::Ipv6*>(data + l3);
    if ((wire::host32(ip->version_class_flow) >> 28) != 6) return Verdict::drop_bad_header;
    const uint32_t total = sizeof(wire::Ipv6) + wire::host16(ip->payload_length);
    if (total > room) return Verdict::drop_truncated;
    p.l3_length = p.ip_bytes = uint16_t(total);  // at most the frame's length, which has 16 bits
    uint8_t protocol = ip->next_header;
    uint32_t offset = sizeof(wire::Ipv6);
    if ((protocol != wire::kTcp) & (protocol != wire::kUdp)) [[unlikely]] {
        const Chain chain = walk_extensions(data + l3, total);
        if (chain.verdict != Verdict::open) return chain.verdict;
        protocol = chain.protocol;
        offset = chain.offset;
        p.is_fragment = chain.fragment;
    }
    p.protocol = protocol;
    p.l4 = uint16_t(l3 + offset);
    if (p.is_fragment) [[unlikely]]
        return fragment(p);
    return parse_upper(p, data + l3 + offset, protocol, total - offset);
}

// One tag, or two (802.1ad): the outer one tells the link. More are not for torii. Moves `l3` and
// `type` past them.
Verdict parse_tags(Packet& p, uint32_t& l3, uint16_t& type) {
    for (int tags = 0; type == wire::kTypeVlan || type == wire::kTypeQinq; ++tags) {
        if (tags == 2) return Verdict::kernel_other;
        if (p.length < l3 + sizeof(wire::Vlan)) return Verdict::drop_truncated;
        const auto* tag = p.at<wire::Vlan>(l3);
        if (tags == 0) p.vlan = wire::host16(tag->tci) & 0xfff;
        type = tag->type;
        l3 += sizeof(wire::Vlan);
    }
    return Verdict::open;
}

[[gnu::always_inline]] inline Verdict parse_one(Packet& p) {
    const std::byte* const data = p.data;
    const uint32_t length = p.length;
    if (length < sizeof(wire::Ethernet)) [[unlikely]]
        return Verdict::drop_truncated;
    uint16_t type = p.at<wire::Ethernet>(0)->type;
    uint32_t l3 = sizeof(wire::Ethernet);
    if ((type != wire::kTypeIpv4) & (type != wire::kTypeIpv6)) [[unlikely]] {
        const Verdict v = parse_tags(p, l3, type);
        if (v != Verdict::open) return v;
    }
    p.l3 = uint16_t(l3);
    if (type == wire::kTypeIpv4) [[likely]]
        return parse_ipv4(p, data, l3, length - l3);
    return type == wire::kTypeIpv6 ? parse_ipv6(p, data, l3, length - l3) : Verdict::kernel_other;
}

}  // namespace

void parse(std::span<Packet> burst) {
    each_open(burst, [](Packet& p) {
        const Verdict verdict = parse_one(p);
        if (verdict != Verdict::open) [[unlikely]]
            p.close(verdict);
    });
}

Address source_of(const Packet& p) {
    if (p.ipv6) return Address::v6(p.at<wire::Ipv6>(p.l3)->source);
    return Address::v4(be32::from_raw(p.at<wire::Ipv4>(p.l3)->source));
}

Address destination_of(const Packet& p) {
    if (p.ipv6) return Address::v6(p.at<wire::Ipv6>(p.l3)->destination);
    return Address::v4(be32::from_raw(p.at<wire::Ipv4>(p.l3)->destination));
}

}  // namespace torii::stages
