#include "dataplane/stages/icmp_quote.h"

#include "dataplane/stages/checksum.h"
#include "dataplane/stages/extensions.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/sctp.h"

namespace torii::stages {
namespace {

// TCP, UDP and SCTP have their ports in the same place.
bool read_ports(const Packet& p, uint32_t end, Quote& q) {
    const bool balanced =
        q.protocol == wire::kTcp || q.protocol == wire::kUdp || q.protocol == wire::kSctp;
    if (!balanced || q.l4 + 4u > end) return false;
    q.room = uint16_t(end - q.l4);
    const auto* udp = p.at<wire::Udp>(q.l4);
    q.source_port = udp->source_port;
    q.destination_port = udp->destination_port;
    return true;
}

}  // namespace

bool read_quote_at(const Packet& p, uint32_t at, uint32_t end, bool v6, Quote& q) {
    if (at > end) return false;
    const uint32_t room = end - at;
    q.l3 = uint16_t(at);
    if (v6) {
        if (room < sizeof(wire::Ipv6) || p.at<uint8_t>(at)[0] >> 4 != 6) return false;
        const Chain chain = walk_extensions(p.data + at, room);
        if (chain.verdict != Verdict::open || chain.later_fragment) return false;
        q.protocol = chain.protocol;
        q.l4 = uint16_t(at + chain.offset);
        return read_ports(p, end, q);
    }
    if (room < sizeof(wire::Ipv4)) return false;
    const auto* ip = p.at<wire::Ipv4>(at);
    const uint32_t header = uint32_t(ip->version_ihl & 15) * 4;
    if (ip->version_ihl >> 4 != 4 || header < sizeof(wire::Ipv4) || header > room ||
        (ip->fragment & wire::kOffset))
        return false;
    q.protocol = ip->protocol;
    q.l4 = uint16_t(at + header);
    return read_ports(p, end, q);
}

bool read_quote(const Packet& p, Quote& q) {
    return read_quote_at(p, uint32_t(p.l4) + sizeof(wire::Icmp), uint32_t(p.l3) + p.l3_length,
                         p.ipv6, q);
}

uint32_t find_quoted_request(const Context& c, Packet& p, const Quote& q, bool v6) {
    if (v6) {
        const auto* ip = p.at<wire::Ipv6>(q.l3);
        p.hash = flow::hash6(c.state.seed, q.protocol, ip->source, q.source_port);
        return c.flows.find_request6(p.hash, q.protocol, ip->source, q.source_port, ip->destination,
                                     q.destination_port);
    }
    const auto* ip = p.at<wire::Ipv4>(q.l3);
    p.hash = flow::hash4(c.state.seed, q.protocol, ip->source, q.source_port);
    return c.flows.find_request4(p.hash, q.protocol, ip->source, q.source_port, ip->destination,
                                 q.destination_port);
}

bool icmp_checksum_ok(const Packet& p) {
    const uint32_t length = uint32_t(p.l3) + p.l3_length - p.l4;
    const uint64_t seed =
        p.ipv6 ? pseudo6(p.at<wire::Ipv6>(p.l3)->source, length, wire::kIcmpv6) : 0;
    return checksum_ok(p.data + p.l4, length, seed);
}

}  // namespace torii::stages
