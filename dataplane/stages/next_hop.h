#pragma once
// next_hop: where a packet leaves, and the link header it leaves with. What few packets need is in
// next_hop.cc.

#include "config/base/either.h"
#include "dataplane/stages/context.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/packet.h"

namespace torii::stages {
namespace detail {

// A reply's next hop is looked up once a connection and generation of routes.
inline std::atomic<uint64_t>& reply_route(flow::Head& cell, bool ipv6) {
    return ipv6 ? reinterpret_cast<flow::Cell6&>(cell).reply_route
                : reinterpret_cast<flow::Cell4&>(cell).reply_route;
}
/// The routes of this generation have not been asked yet for the connection's client.
uint32_t look_up_client(Context&, const Packet&);
/// A packet that has no entry, or was held and whose entry may have ended since.
uint32_t look_up_without_entry(const View&, const Packet&);

[[gnu::always_inline]] inline uint32_t hop_of(Context& c, const Packet& p, const Notes& n) {
    if (p.entry == flow::kNone) [[unlikely]]
        return look_up_without_entry(c.view, p);
    const uint64_t known = reply_route(*n.cell, p.ipv6).load(std::memory_order_relaxed);
    if (n.reply & (known >> 32 != c.view.routes_stamp)) [[unlikely]]
        return look_up_client(c, p);
    return either(n.reply, uint32_t(known), n.backend_hop);
}

/// What becomes of a packet without a next hop.
Verdict why_no_hop(const View&, const Packet&);
/// The neighbour is not known yet: holds the packet and asks for it.
void hold(Context&, Packet&, const shm::NextHop&);
/// send() where the frame or the next hop has a VLAN tag.
void send_tagged(Packet&, const shm::NextHop&);

}  // namespace detail

/// Sets the next hop: of the backend for requests, of the client for replies.
[[gnu::always_inline]] inline bool find_next_hop(Context& c, Packet& p, Notes& n) {
    const uint32_t hop = detail::hop_of(c, p, n);
    if (hop == shm::kNoNextHop) [[unlikely]]
        return p.close(detail::why_no_hop(c.view, p)), false;
    p.next_hop = hop;
    n.hop = &c.view.routes.next_hops[hop];
    if (n.hop->port == shm::kNoPort) [[unlikely]]
        return p.close(Verdict::drop_no_port), false;
    return true;
}

/// Ethernet addresses, VLAN tag and port; sets the verdict, or holds the packet.
[[gnu::always_inline]] inline bool send(Context& c, Packet& p, Notes& n) {
    const shm::NextHop& hop = *n.hop;
    if (!hop.resolved) [[unlikely]]
        return detail::hold(c, p, hop), false;
    const uint16_t port = hop.port;
    if ((hop.vlan != 0) | (p.l3 != sizeof(wire::Ethernet))) [[unlikely]]
        return detail::send_tagged(p, hop), false;
    static_assert(offsetof(shm::NextHop, source) == offsetof(shm::NextHop, destination) + 6);
    const Verdict verdict = p.intended;
    std::memcpy(p.data, &hop.destination, 12);
    p.out_port = port;
    p.close(verdict);
    return false;
}

}  // namespace torii::stages
