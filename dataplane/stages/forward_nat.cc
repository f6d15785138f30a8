// forward_nat: requests get the backend's address and port, replies the virtual ones. Checksums by
// RFC 1624: nothing of the payload is read.

#include "dataplane/stages/checksum.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

// The time to live lies in the first byte of its 16-bit word.
void decrement_ttl(wire::Ipv4* ip, Delta& delta) {
    delta.change16(ip->ttl, uint16_t(ip->ttl - 1));
    --ip->ttl;
}

void rewrite_upper(Packet& p, bool request, uint16_t port, Delta delta) {
    auto* ports = p.at<wire::Udp>(p.l4);  // TCP has its ports in the same place
    if (request) {
        delta.change16(ports->destination_port, port);
        ports->destination_port = port;
    } else {
        delta.change16(ports->source_port, port);
        ports->source_port = port;
    }
    if (p.protocol == wire::kTcp) [[likely]] {
        auto* tcp = p.at<wire::Tcp>(p.l4);
        tcp->checksum = update(tcp->checksum, delta);
    } else {
        ports->checksum = update_udp(ports->checksum, delta);
    }
}

void rewrite4(Context& c, Packet& p) {
    const flow::Cell4& cell = c.flows.cell4(p.entry);
    const bool request = p.direction == Direction::request;
    auto* ip = p.at<wire::Ipv4>(p.l3);
    Delta delta;
    if (request) {
        delta.change32(ip->destination, cell.backend_address);
        ip->destination = cell.backend_address;
    } else {
        delta.change32(ip->source, cell.virtual_address);
        ip->source = cell.virtual_address;
    }
    rewrite_upper(p, request, request ? cell.head.backend_port : cell.head.virtual_port, delta);
    decrement_ttl(ip, delta);
    ip->checksum = update(ip->checksum, delta);
}

void rewrite6(Context& c, Packet& p) {
    const flow::Cell6& cell = c.flows.cell6(p.entry);
    const bool request = p.direction == Direction::request;
    auto* ip = p.at<wire::Ipv6>(p.l3);
    uint8_t* field = request ? ip->destination : ip->source;
    const uint8_t* address = request ? cell.backend_address : cell.virtual_address;
    Delta delta;
    delta.change128(field, address);
    std::memcpy(field, address, 16);
    rewrite_upper(p, request, request ? cell.head.backend_port : cell.head.virtual_port, delta);
    --ip->hop_limit;
}

void forward_one(Context& c, Packet& p) {
    if (p.is_icmp_error) [[unlikely]] {
        translate_icmp(c, p);
        if (p.verdict != Verdict::open) return;
        p.intended = Verdict::icmp_related;
        if (p.ipv6) {
            --p.at<wire::Ipv6>(p.l3)->hop_limit;
            return;
        }
        auto* ip = p.at<wire::Ipv4>(p.l3);
        Delta delta;
        decrement_ttl(ip, delta);
        ip->checksum = update(ip->checksum, delta);
        return;
    }
    p.ipv6 ? rewrite6(c, p) : rewrite4(c, p);
    p.intended = p.direction == Direction::request ? Verdict::nat_request : Verdict::nat_reply;
}

}  // namespace

void forward_nat(Context& c, std::span<Packet> burst) {
    each_open(burst, [&](Packet& p) {
        if (p.nat) forward_one(c, p);
    });
}

}  // namespace torii::stages
