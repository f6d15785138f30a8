// icmp: errors about connections (LVS: ip_vs_in_icmp, ip_vs_out_icmp). The packet quoted inside
// tells the connection; NAT translates outside and inside (RFC 5508 4.2).

#include "dataplane/stages/checksum.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/icmp_quote.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

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

void relate_one(Context& c, Packet& p) {
    Quote q;
    p.entry = flow::kNone;
    if (read_quote(p, q)) p.entry = p.ipv6 ? find_quoted6(c, p, q) : find_quoted4(c, p, q);
    if (p.entry == flow::kNone && answer_tunnel_error(c, p)) return;
    if (p.entry == flow::kNone && q.l4 != 0 && c.view.services.header->behaviour.schedule_icmp) {
        if (!icmp_checksum_ok(p)) return p.close(Verdict::drop_bad_checksum);
        if (schedule_quoted(c, p, q) && p.entry == flow::kNone) return;
    }
    if (p.entry == flow::kNone)
        return p.close(c.view.services.is_vip(destination_of(p)) ? Verdict::kernel_no_connection
                                                                 : Verdict::kernel_not_ours);
    if (!icmp_checksum_ok(p)) return p.close(Verdict::drop_bad_checksum);
    const flow::Head& head = c.flows.head(p.entry);
    if (!c.view.backend(head.backend, head.backend_generation))
        return p.close(Verdict::drop_backend_gone);
    p.backend = head.backend;
    p.service_slot = head.service_slot;
    p.nat = head.forward == uint8_t(shm::Forward::nat);
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

bool relate_icmp(Context& c, Packet& p, Notes&) {
    if (p.is_icmp_error) relate_one(c, p);
    return p.verdict == Verdict::open;
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
