// icmp: errors about connections (LVS: ip_vs_in_icmp, ip_vs_out_icmp). The packet quoted inside
// tells the connection; NAT translates outside and inside (RFC 5508 4.2).

#include "dataplane/stages/checksum.h"
#include "dataplane/stages/extensions.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

// The quoted packet, as far as it is there.
struct Quote {
    uint16_t l3 = 0, l4 = 0;  // offsets from the frame's start
    uint16_t room = 0;        // quoted bytes from l4 on, at least 4: the ports
    uint8_t protocol = 0;
    uint16_t source_port = 0, destination_port = 0;  // raw
};

bool ports_of(const Packet& p, Quote& q) {
    const uint32_t end = uint32_t(p.l3) + p.l3_length;
    if ((q.protocol != wire::kTcp && q.protocol != wire::kUdp) || q.l4 + 4u > end) return false;
    q.room = uint16_t(end - q.l4);
    const auto* udp = p.at<wire::Udp>(q.l4);
    q.source_port = udp->source_port;
    q.destination_port = udp->destination_port;
    return true;
}

bool read_quote(const Packet& p, Quote& q) {
    q.l3 = uint16_t(p.l4 + sizeof(wire::Icmp));
    const uint32_t room = uint32_t(p.l3) + p.l3_length - q.l3;
    if (p.ipv6) {
        if (room < sizeof(wire::Ipv6) || p.at<uint8_t>(q.l3)[0] >> 4 != 6) return false;
        const Chain chain = walk_extensions(p.data + q.l3, room);
        if (chain.verdict != Verdict::open || chain.later_fragment) return false;
        q.protocol = chain.protocol;
        q.l4 = uint16_t(q.l3 + chain.offset);
        return ports_of(p, q);
    }
    if (room < sizeof(wire::Ipv4)) return false;
    const auto* ip = p.at<wire::Ipv4>(q.l3);
    const uint32_t header = uint32_t(ip->version_ihl & 15) * 4;
    if (ip->version_ihl >> 4 != 4 || header < sizeof(wire::Ipv4) || header > room ||
        (ip->fragment & wire::kOffset))
        return false;
    q.protocol = ip->protocol;
    q.l4 = uint16_t(q.l3 + header);
    return ports_of(p, q);
}

// A quoted packet goes the other way: what the client sent the error about came from the virtual
// address, what the server sent it about came from the client. An error that is not addressed to
// whoever sent the quoted packet is not about it.
uint32_t find_quoted4(Context& c, Packet& p, const Quote& q) {
    const auto* outer = p.at<wire::Ipv4>(p.l3);
    const auto* ip = p.at<wire::Ipv4>(q.l3);
    if (outer->destination != ip->source) return flow::kNone;
    p.hash = flow::hash4(c.state.seed, q.protocol, ip->destination, q.destination_port);
    p.direction = Direction::request;
    const uint32_t entry = c.flows.find_request4(p.hash, q.protocol, ip->destination,
                                                 q.destination_port, ip->source, q.source_port);
    if (entry != flow::kNone) return entry;
    p.direction = Direction::reply;
    p.hash = flow::hash4(c.state.seed, q.protocol, ip->source, q.source_port);
    return c.flows.find_reply4(p.hash, q.protocol, ip->source, q.source_port, ip->destination,
                               q.destination_port);
}

uint32_t find_quoted6(Context& c, Packet& p, const Quote& q) {
    const auto* outer = p.at<wire::Ipv6>(p.l3);
    const auto* ip = p.at<wire::Ipv6>(q.l3);
    if (std::memcmp(outer->destination, ip->source, 16) != 0) return flow::kNone;
    p.hash = flow::hash6(c.state.seed, q.protocol, ip->destination, q.destination_port);
    p.direction = Direction::request;
    const uint32_t entry = c.flows.find_request6(p.hash, q.protocol, ip->destination,
                                                 q.destination_port, ip->source, q.source_port);
    if (entry != flow::kNone) return entry;
    p.direction = Direction::reply;
    p.hash = flow::hash6(c.state.seed, q.protocol, ip->source, q.source_port);
    return c.flows.find_reply6(p.hash, q.protocol, ip->source, q.source_port, ip->destination,
                               q.destination_port);
}

bool icmp_checksum_ok(const Packet& p) {
    const uint32_t length = uint32_t(p.l3) + p.l3_length - p.l4;
    const uint64_t seed =
        p.ipv6 ? pseudo6(p.at<wire::Ipv6>(p.l3)->source, length, wire::kIcmpv6) : 0;
    return checksum_ok(p.data + p.l4, length, seed);
}

void relate_one(Context& c, Packet& p) {
    Quote q;
    p.entry = flow::kNone;
    if (read_quote(p, q)) p.entry = p.ipv6 ? find_quoted6(c, p, q) : find_quoted4(c, p, q);
    if (p.entry == flow::kNone)
        return p.close(c.view.services.is_vip(destination_of(p)) ? Verdict::kernel_no_connection
                                                                 : Verdict::kernel_not_ours);
    if (!icmp_checksum_ok(p)) return p.close(Verdict::drop_bad_checksum);
    const flow::Head& head = c.flows.head(p.entry);
    const auto* backend = c.view.services.backend(head.backend, head.backend_generation);
    if (!backend) return p.close(Verdict::drop_backend_gone);
    p.backend = head.backend;
    p.service = backend->service;
    p.service_slot = head.service_slot;
    p.nat = head.forward == uint8_t(shm::Forward::nat);
    if (!p.nat) c.found |= kNotNat;
}

// The quoted packet's own checksum follows its addresses and port, as far as it was quoted.
void fix_quoted_checksum(Packet& p, const Quote& q, Delta delta) {
    if (q.protocol == wire::kUdp && q.room >= sizeof(wire::Udp)) {
        auto* udp = p.at<wire::Udp>(q.l4);
        udp->checksum = update_udp(udp->checksum, delta);
    } else if (q.protocol == wire::kTcp && q.room >= 18) {
        auto* tcp = p.at<wire::Tcp>(q.l4);
        tcp->checksum = update(tcp->checksum, delta);
    }
}

// The quoted packet's end at the translated side: its source for an error from the client, its
// destination for one from the server.
void set_quoted_port(Packet& p, const Quote& q, bool source, uint16_t port, Delta& delta) {
    auto* udp = p.at<wire::Udp>(q.l4);
    delta.change16(source ? udp->source_port : udp->destination_port, port);
    (source ? udp->source_port : udp->destination_port) = port;
}

void translate4(Context& c, Packet& p, const Quote& q) {
    const flow::Cell4& cell = c.flows.cell4(p.entry);
    const bool request = p.direction == Direction::request;
    const uint32_t address = request ? cell.backend_address : cell.virtual_address;
    const uint16_t port = request ? cell.head.backend_port : cell.head.virtual_port;
    auto* outer = p.at<wire::Ipv4>(p.l3);
    Delta header;
    header.change32(request ? outer->destination : outer->source, address);
    (request ? outer->destination : outer->source) = address;
    outer->checksum = update(outer->checksum, header);
    auto* ip = p.at<wire::Ipv4>(q.l3);
    Delta quoted;
    quoted.change32(request ? ip->source : ip->destination, address);
    (request ? ip->source : ip->destination) = address;
    ip->checksum = update(ip->checksum, quoted);
    set_quoted_port(p, q, request, port, quoted);
    fix_quoted_checksum(p, q, quoted);
}

void translate6(Context& c, Packet& p, const Quote& q) {
    const flow::Cell6& cell = c.flows.cell6(p.entry);
    const bool request = p.direction == Direction::request;
    const uint8_t* address = request ? cell.backend_address : cell.virtual_address;
    const uint16_t port = request ? cell.head.backend_port : cell.head.virtual_port;
    auto* outer = p.at<wire::Ipv6>(p.l3);
    std::memcpy(request ? outer->destination : outer->source, address, 16);
    auto* ip = p.at<wire::Ipv6>(q.l3);
    uint8_t* inside = request ? ip->source : ip->destination;
    Delta quoted;
    quoted.change128(inside, address);
    std::memcpy(inside, address, 16);
    set_quoted_port(p, q, request, port, quoted);
    fix_quoted_checksum(p, q, quoted);
}

}  // namespace

void relate_icmp(Context& c, std::span<Packet> burst) {
    each_open(burst, [&](Packet& p) {
        if (p.is_icmp_error) [[unlikely]]
            relate_one(c, p);
    });
}

void translate_icmp(Context& c, Packet& p) {
    Quote q;
    if (!read_quote(p, q)) return p.close(Verdict::drop_bad_header);  // relate_icmp() has read it
    p.ipv6 ? translate6(c, p, q) : translate4(c, p, q);
    const uint32_t length = uint32_t(p.l3) + p.l3_length - p.l4;
    auto* icmp = p.at<wire::Icmp>(p.l4);
    icmp->checksum = 0;
    const uint64_t seed =
        p.ipv6 ? pseudo6(p.at<wire::Ipv6>(p.l3)->source, length, wire::kIcmpv6) : 0;
    icmp->checksum = checksum_of(icmp, length, seed);
}

}  // namespace torii::stages
