// What parse.h leaves to the few packets that need it.

#include "dataplane/stages/parse.h"

#include "dataplane/stages/extensions.h"
#include "dataplane/stages/sctp.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace detail {
namespace {

// Errors of which LVS says they are about a connection: destination unreachable, source quench and
// time exceeded; every ICMPv6 error (type below 128).
Verdict parse_icmp(Packet& p, uint32_t length) {
    if (length < sizeof(wire::Icmp)) return Verdict::drop_truncated;
    const uint8_t type = p.at<wire::Icmp>(p.l4)->type;
    p.is_icmp_error = p.ipv6 ? type < 128 : type == 3 || type == 4 || type == 11;
    return p.is_icmp_error ? Verdict::open : Verdict::kernel_other;
}

bool has_ports(uint8_t protocol) { return kBalanced[protocol] || protocol == wire::kSctp; }

}  // namespace

Verdict parse_other(Packet& p, uint8_t protocol, uint32_t length) {
    if (protocol == wire::kSctp) return parse_sctp(p, p.data + p.l4, length);
    if (protocol == (p.ipv6 ? wire::kIcmpv6 : wire::kIcmp)) return parse_icmp(p, length);
    return Verdict::kernel_other;
}

Verdict parse_fragment(Packet& p) {
    if (p.ipv6) return Verdict::open;  // see parse_extensions()
    p.is_fragment = true;
    p.later_fragment = (p.at<wire::Ipv4>(p.l3)->fragment & wire::kOffset) != 0;
    return has_ports(p.protocol) ? Verdict::open : Verdict::kernel_other;
}

Verdict parse_extensions(Packet& p, const std::byte* ip, uint32_t length, uint8_t& protocol,
                         uint32_t& offset) {
    const Chain chain = walk_extensions(ip, length);
    if (chain.verdict != Verdict::open) return chain.verdict;
    protocol = chain.protocol;
    offset = chain.offset;
    p.is_fragment = chain.fragment;
    p.later_fragment = chain.later_fragment;
    const bool balanced = has_ports(chain.fragment_next) || is_extension(chain.fragment_next);
    return !chain.fragment || balanced ? Verdict::open : Verdict::kernel_other;
}

Verdict parse_options(Packet& p, uint32_t l3) {
    const uint32_t room = p.length - l3;
    if (room < sizeof(wire::Ipv4)) return Verdict::drop_truncated;
    const uint32_t first = p.at<wire::Ipv4>(l3)->version_ihl, header = (first & 15) * 4;
    if (first >> 4 != 4 || header < sizeof(wire::Ipv4)) return Verdict::drop_bad_header;
    return parse_ipv4(p, p.data, l3, room, header);
}

// One tag, or two (802.1ad): the outer one tells the link. More are not for torii.
Verdict parse_tagged(Packet& p, uint16_t type) {
    uint32_t l3 = sizeof(wire::Ethernet);
    for (int tags = 0; type == wire::kTypeVlan || type == wire::kTypeQinq; ++tags) {
        if (tags == 2) return Verdict::kernel_other;
        if (p.length < l3 + sizeof(wire::Vlan)) return Verdict::drop_truncated;
        const auto* tag = p.at<wire::Vlan>(l3);
        if (tags == 0) p.vlan = wire::host16(tag->tci) & 0xfff;
        type = tag->type;
        l3 += sizeof(wire::Vlan);
    }
    p.l3 = uint16_t(l3);
    if (type == wire::kTypeIpv4) return parse_options(p, l3);
    if (type == wire::kTypeIpv6) return parse_ipv6(p, p.data, l3, p.length - l3);
    return Verdict::kernel_other;
}

}  // namespace detail

Address source_of(const Packet& p) {
    if (p.ipv6) return Address::v6(p.at<wire::Ipv6>(p.l3)->source);
    return Address::v4(be32::from_raw(p.at<wire::Ipv4>(p.l3)->source));
}

Address destination_of(const Packet& p) {
    if (p.ipv6) return Address::v6(p.at<wire::Ipv6>(p.l3)->destination);
    return Address::v4(be32::from_raw(p.at<wire::Ipv4>(p.l3)->destination));
}

}  // namespace torii::stages
