#pragma once
// How much fits the way out: the next hop's MTU, less what a tunnel puts in front.

#include "dataplane/stages/context.h"
#include "dataplane/stages/encapsulation.h"
#include "dataplane/stages/packet.h"

namespace torii::stages {

/// Whether a packet of a connection that is not NAT's goes through a tunnel. The connection keeps
/// the method it began with; what was forwarded without one has its backend's.
[[gnu::always_inline]] inline bool is_tunnelled(const Context& c, const Packet& p) {
    if (p.direction == Direction::reply) [[unlikely]]  // an error made here, to the client
        return false;
    if (p.entry != flow::kNone) [[likely]]
        return c.flows.head(p.entry).forward == uint8_t(shm::Forward::tunnel);
    return c.view.services.backends[p.backend].forward == shm::Forward::tunnel;
}

/// The largest IP packet that leaves whole by a way with this MTU, before it is encapsulated; at
/// least 1, and 0 (no limit) for a way whose MTU is not known.
constexpr uint32_t inner_mtu(uint32_t mtu, const shm::Tunnel& tunnel, bool outer_v6) {
    const uint32_t front = overhead(tunnel, outer_v6);
    return mtu == 0 ? 0 : mtu > front ? mtu - front : 1;
}

/// The same for one packet, whose connection is not NAT's, on the way `hop`.
inline uint32_t effective_mtu(const Context& c, const Packet& p, const shm::NextHop& hop) {
    if (!is_tunnelled(c, p)) [[likely]]
        return hop.mtu;
    const shm::BackendRecord& backend = c.view.services.backends[p.backend];
    return inner_mtu(hop.mtu, backend.tunnel, !backend.address.is_v4());
}

}  // namespace torii::stages
