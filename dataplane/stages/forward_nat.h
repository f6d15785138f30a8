#pragma once
// forward_nat: requests get the backend's address and port, replies the virtual ones. Checksums by
// RFC 1624: nothing of the payload is read.

#include "config/base/either.h"
#include "dataplane/stages/checksum.h"
#include "dataplane/stages/context.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/packet.h"
#include "dataplane/stages/sctp.h"

namespace torii::stages {
namespace detail {

// The time to live lies in the first byte of its 16-bit word, so that ~old + new is the same for
// every packet (check_limits() has let none with 0 pass).
inline void decrement_ttl(wire::Ipv4* ip, Delta& delta) {
    delta.sum += 0xfffe;
    --ip->ttl;
}
static_assert([] {
    Delta d;
    d.change16(64, 63);
    return d.sum;
}() == 0xfffe);

// Of {source, destination} a request's second and a reply's first is changed. What it is given lies
// in the cell in front of, or behind, the two that the packet was found by (entry.h).
[[gnu::always_inline]] inline void rewrite_upper(std::byte* upper, const Notes& n, Delta delta) {
    static_assert(offsetof(flow::Head, virtual_port) == offsetof(flow::Head, backend_port) + 4);
    std::byte* const place =
        upper + size_t(!n.reply) * 2;  // TCP and UDP have theirs in the same place
    uint16_t from, to;
    std::memcpy(&from, place, sizeof from);
    std::memcpy(&to,
                reinterpret_cast<const std::byte*>(&n.cell->backend_port) + size_t(n.reply) * 4,
                sizeof to);
    std::memcpy(place, &to, sizeof to);
    delta.change16(from, to);
    static_assert(offsetof(wire::Tcp, checksum) == offsetof(wire::Udp, checksum) + 10);
    std::byte* const field = upper + offsetof(wire::Udp, checksum) + size_t(n.tcp) * 10;
    uint16_t checksum;
    std::memcpy(&checksum, field, sizeof checksum);
    // UDP's 0 means "no checksum" and stays; a computed 0 is sent as 0xffff (RFC 768).
    if (checksum == 0) [[unlikely]]
        if (!n.tcp) return;
    checksum = update(checksum, delta);
    if (checksum == 0) [[unlikely]]
        if (!n.tcp) checksum = 0xffff;
    std::memcpy(field, &checksum, sizeof checksum);
}

[[gnu::always_inline]] inline void rewrite4(Packet& p, const Notes& n) {
    const auto& cell = *reinterpret_cast<const flow::Cell4*>(n.cell);
    static_assert(offsetof(flow::Cell4, virtual_address) ==
                      offsetof(flow::Cell4, backend_address) + 8 &&
                  offsetof(wire::Ipv4, destination) == offsetof(wire::Ipv4, source) + 4);
    auto* const ip = p.at<wire::Ipv4>(p.l3);
    std::byte* const place = reinterpret_cast<std::byte*>(&ip->source) + size_t(!n.reply) * 4;
    uint32_t from, to;
    std::memcpy(&from, place, sizeof from);
    std::memcpy(&to,
                reinterpret_cast<const std::byte*>(&cell.backend_address) + size_t(n.reply) * 8,
                sizeof to);
    std::memcpy(place, &to, sizeof to);
    Delta delta;
    delta.change32(from, to);
    rewrite_upper(p.data + p.l4, n, delta);
    decrement_ttl(ip, delta);
    ip->checksum = update(ip->checksum, delta);
}

[[gnu::always_inline]] inline void rewrite6(Packet& p, const Notes& n) {
    const auto& cell = *reinterpret_cast<const flow::Cell6*>(n.cell);
    auto* const ip = p.at<wire::Ipv6>(p.l3);
    uint8_t* const place = ip->source + size_t(!n.reply) * 16;
    const uint8_t* const to = either(n.reply, cell.virtual_address, cell.backend_address);
    Delta delta;
    delta.change128(place, to);
    std::memcpy(place, to, 16);
    rewrite_upper(p.data + p.l4, n, delta);
    --ip->hop_limit;
}

/// An ICMP error about a NAT connection, outside and inside; or SCTP, whose checksum is no sum.
bool forward_odd(Context&, Packet&);

}  // namespace detail

/// NAT: addresses, ports and checksums, both directions.
[[gnu::always_inline]] inline bool forward_nat(Context& c, Packet& p, Notes& n) {
    if (!n.nat) return true;
    if (p.is_icmp_error | (p.protocol == wire::kSctp)) [[unlikely]]
        return detail::forward_odd(c, p);
    p.ipv6 ? detail::rewrite6(p, n) : detail::rewrite4(p, n);
    static_assert(int(Direction::reply) == 1 &&
                  int(Verdict::nat_reply) == int(Verdict::nat_request) + 1);
    p.intended = Verdict(uint8_t(Verdict::nat_request) + n.reply);
    return true;
}

}  // namespace torii::stages
