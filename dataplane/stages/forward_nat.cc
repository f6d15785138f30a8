// What forward_nat.h leaves to the few packets that need it.

#include "dataplane/stages/forward_nat.h"

#include "dataplane/stages/stages.h"

namespace torii::stages::detail {
namespace {

void travel(Packet& p, Delta delta = {}) {
    if (p.ipv6) {
        --p.at<wire::Ipv6>(p.l3)->hop_limit;
        return;
    }
    auto* ip = p.at<wire::Ipv4>(p.l3);
    decrement_ttl(ip, delta);
    ip->checksum = update(ip->checksum, delta);
}

bool forward_icmp_error(Context& c, Packet& p) {
    translate_icmp(c, p);
    if (p.verdict != Verdict::open) return false;
    p.intended = Verdict::icmp_related;
    travel(p);
    return true;
}

// The address alone: SCTP's checksum covers none.
Delta readdress(const flow::Table::Worker& flows, Packet& p, bool reply) {
    Delta delta;
    if (p.ipv6) {
        const flow::Cell6& cell = flows.cell6(p.entry);
        auto* ip = p.at<wire::Ipv6>(p.l3);
        std::memcpy(reply ? ip->source : ip->destination,
                    reply ? cell.virtual_address : cell.backend_address, 16);
        return delta;
    }
    const flow::Cell4& cell = flows.cell4(p.entry);
    auto* ip = p.at<wire::Ipv4>(p.l3);
    const uint32_t address = reply ? cell.virtual_address : cell.backend_address;
    delta.change32(reply ? ip->source : ip->destination, address);
    (reply ? ip->source : ip->destination) = address;
    return delta;
}

bool forward_sctp(Context& c, Packet& p) {
    if (const Verdict v = translate_sctp(c, p); v != Verdict::open) return p.close(v), false;
    const bool reply = p.direction == Direction::reply;
    travel(p, readdress(c.flows, p, reply));
    p.intended = reply ? Verdict::nat_reply : Verdict::nat_request;
    return true;
}

}  // namespace

bool forward_odd(Context& c, Packet& p) {
    return p.is_icmp_error ? forward_icmp_error(c, p) : forward_sctp(c, p);
}

}  // namespace torii::stages::detail

namespace torii::stages {

void translate_once(Context& c, Packet& p, const Address& backend, be16 port) {
    flow::Head cell{};  // what is put in comes from a cell, and this packet has none
    cell.backend_port = port.raw();
    Notes n(c, p);
    n.cell = &cell;
    Delta delta;
    if (p.ipv6) {
        uint8_t* const to = p.at<wire::Ipv6>(p.l3)->destination;
        delta.change128(to, backend.bytes.data());
        std::memcpy(to, backend.bytes.data(), 16);
        return detail::rewrite_upper(p.data + p.l4, n, delta);
    }
    auto* const ip = p.at<wire::Ipv4>(p.l3);
    delta.change32(ip->destination, backend.as_v4().raw());
    ip->destination = backend.as_v4().raw();
    detail::rewrite_upper(p.data + p.l4, n, delta);
    ip->checksum = update(ip->checksum, delta);
}

}  // namespace torii::stages
