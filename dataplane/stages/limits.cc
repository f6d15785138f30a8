// The answers to what limits.h lets go no further.

#include "dataplane/stages/limits.h"

#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

// The address an answer comes from if the port has none: the virtual one.
Address virtual_address(Context& c, const Packet& p) {
    if (p.direction == Direction::request) return destination_of(p);
    return p.ipv6 ? Address::v6(c.flows.cell6(p.entry).virtual_address)
                  : Address::v4(be32::from_raw(c.flows.cell4(p.entry).virtual_address));
}

void refuse(Context& c, Packet& p, const IcmpAnswer& what) {
    answer(c, p, what, port_address(c.view, p, virtual_address(c, p)));
}

// There is no answer about an ICMP error: IPv4 cuts it up whatever it says. So it does with what a
// tunnel carries that says nothing about path MTUs. What leaves a tunnel's mouth in pieces is the
// packet with its outer header, of either family. (LVS: ensure_mtu_is_adequate, ignore_df)
bool may_be_cut(const Context& c, const Packet& p) {
    if (p.ipv6) return false;
    if (!p.nat && is_tunnelled(c, p) && c.view.services.header->behaviour.pmtu_disc == 0)
        return true;
    return p.is_icmp_error || !detail::dont_fragment(p);
}

}  // namespace

namespace detail {

void used_up(Context& c, Packet& p) { refuse(c, p, kTimeExceeded); }

bool too_big(Context& c, Packet& p, uint32_t mtu) {
    if (may_be_cut(c, p)) {
        p.cut_to = uint16_t(c.view.routes.next_hops[p.next_hop].mtu);  // with the tunnel's headers
        return true;
    }
    IcmpAnswer what = kTooBig;
    what.mtu = uint16_t(mtu);  // less than the packet's length
    refuse(c, p, what);
    return false;
}

}  // namespace detail
}  // namespace torii::stages
