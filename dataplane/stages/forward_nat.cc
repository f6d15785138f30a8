// forward_nat: requests get the backend's address and port, replies the virtual ones. Checksums by
// RFC 1624: nothing of the payload is read.

#include "config/base/either.h"
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

// UDP's 0 means "no checksum" and stays; a computed 0 is sent as 0xffff (RFC 768).
void rewrite_upper(Packet& p, bool request, uint16_t port, Delta delta) {
    auto* udp = p.at<wire::Udp>(p.l4);  // TCP has its ports in the same place
    const uint16_t source = udp->source_port, destination = udp->destination_port;
    delta.change16(either(request, destination, source), port);
    udp->source_port = either(request, source, port);
    udp->destination_port = either(request, port, destination);
    const bool tcp = p.protocol == wire::kTcp;
    auto* field =
        p.data + p.l4 +
        either<uint32_t>(tcp, offsetof(wire::Tcp, checksum), offsetof(wire::Udp, checksum));
    uint16_t checksum;
    std::memcpy(&checksum, field, sizeof checksum);
    const bool without = !tcp & (checksum == 0);
    checksum = update(checksum, delta);
    checksum = either<uint16_t>(!tcp & (checksum == 0), 0xffff, checksum);
    checksum = either<uint16_t>(without, 0, checksum);
    std::memcpy(field, &checksum, sizeof checksum);
}

void rewrite4(Context& c, Packet& p) {
    const flow::Cell4& cell = c.flows.cell4(p.entry);
    const bool request = p.direction == Direction::request;
    auto* ip = p.at<wire::Ipv4>(p.l3);
    const uint32_t source = ip->source, destination = ip->destination;
    const uint32_t address = either(request, cell.backend_address, cell.virtual_address);
    const uint16_t port = either(request, cell.head.backend_port, cell.head.virtual_port);
    Delta delta;
    delta.change32(either(request, destination, source), address);
    ip->source = either(request, source, address);
    ip->destination = either(request, address, destination);
    rewrite_upper(p, request, port, delta);
    decrement_ttl(ip, delta);
    ip->checksum = update(ip->checksum, delta);
}

void rewrite6(Context& c, Packet& p) {
    const flow::Cell6& cell = c.flows.cell6(p.entry);
    const bool request = p.direction == Direction::request;
    auto* ip = p.at<wire::Ipv6>(p.l3);
    uint8_t* field = either(request, ip->destination, ip->source);
    const uint8_t* address = either(request, cell.backend_address, cell.virtual_address);
    Delta delta;
    delta.change128(field, address);
    std::memcpy(field, address, 16);
    rewrite_upper(p, request, either(request, cell.head.backend_port, cell.head.virtual_port),
                  delta);
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
    static_assert(int(Direction::reply) == 1 &&
                  int(Verdict::nat_reply) == int(Verdict::nat_request) + 1);
    p.intended = Verdict(uint8_t(Verdict::nat_request) + uint8_t(p.direction));
}

}  // namespace

void forward_nat(Context& c, std::span<Packet> burst) {
    each_open(burst, [&](Packet& p) {
        if (p.nat) forward_one(c, p);
    });
}

}  // namespace torii::stages
