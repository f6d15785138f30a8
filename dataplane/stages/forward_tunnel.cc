// forward_tunnel: the backend has the virtual address itself, and is reached through an IP tunnel
// (LVS: ip_vs_tunnel_xmit). It answers the client straight. What the packet becomes on the way is
// in encapsulation.h.

#include "dataplane/stages/encapsulation.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

// Moves the frame's start down, its link header with it, and cuts off padding behind the packet.
// Between the link header and the packet there are `n` bytes then.
void open_front(Packet& p, uint16_t n) {
    std::byte* const before = p.data;
    p.data -= n;
    std::memmove(p.data, before, p.l3);
    p.headroom = uint16_t(p.headroom - n);
    const uint16_t packet = uint16_t(p.l3 + p.l3_length);
    p.tailroom = uint16_t(p.tailroom + (p.length - packet));
    p.length = uint16_t(packet + n);
}

// Identifications of this worker's packets; no other worker uses the same ones.
uint16_t next_id(Context& c) { return uint16_t(c.state.ip_id++ * c.counters.workers() + c.worker); }

void set_type(Packet& p, uint16_t type) {
    std::memcpy(p.data + p.l3 - sizeof type, &type, sizeof type);
}

}  // namespace

bool forward_tunnel(Context& c, Packet& p) {
    const shm::BackendRecord& backend = c.view.services.backends[p.backend];
    const Address& from = c.view.routes.next_hops[p.next_hop].local;
    const bool outer_v6 = !backend.address.is_v4();
    if (from == Address{} || from.is_v4() == outer_v6)
        return p.close(Verdict::drop_no_source), false;
    const uint16_t front = overhead(backend.tunnel, outer_v6);
    if (p.headroom < front || uint32_t(p.l3) + p.l3_length + front > 0xffff)
        return p.close(Verdict::drop_no_memory), false;
    Outer outer;
    outer.source = from;
    outer.destination = backend.address;
    outer.udp_source = gue_source_port(p.hash);
    outer.id = next_id(c);
    outer.copy_dont_fragment = c.view.services.header->behaviour.pmtu_disc != 0;
    open_front(p, front);
    const Inner inner{p.data + p.l3 + front, p.l3_length, p.ipv6};
    encapsulate(p.data + p.l3, inner, backend.tunnel, outer);
    if (p.ipv6 != outer_v6) set_type(p, outer_v6 ? wire::kTypeIpv6 : wire::kTypeIpv4);
    p.ipv6 = outer_v6;
    p.l3_length = uint16_t(p.l3_length + front);
    p.l4 = uint16_t(p.l3 + (outer_v6 ? sizeof(wire::Ipv6) : sizeof(wire::Ipv4)));
    if (p.intended == Verdict::direct) p.intended = Verdict::tunnel;
    return true;
}

}  // namespace torii::stages
