// limits: what may not go on because it has travelled too far or is too big for the next link.
// Looked at before anything is rewritten, because the sender must recognise its packet in the
// answer.

#include "dataplane/stages/headers.h"
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

void too_big(Context& c, Packet& p, uint32_t mtu) {
    // Without "don't fragment" the packet would have to be cut up, and an answer would be wrong.
    if (!p.ipv6 && !(p.at<wire::Ipv4>(p.l3)->fragment & wire::kDontFragment))
        return p.close(Verdict::drop_too_big);
    IcmpAnswer what = kTooBig;
    what.mtu = uint16_t(std::min<uint32_t>(mtu, 0xffff));
    refuse(c, p, what);
}

}  // namespace

void check_limits(Context& c, std::span<Packet> burst) {
    each_open(burst, [&](Packet& p) {
        const uint8_t ttl =
            p.ipv6 ? p.at<wire::Ipv6>(p.l3)->hop_limit : p.at<wire::Ipv4>(p.l3)->ttl;
        if (ttl <= 1) [[unlikely]]
            return refuse(c, p, kTimeExceeded);
        const uint32_t mtu = c.view.routes.next_hops[p.next_hop].mtu;
        if (p.l3_length > mtu && mtu != 0) [[unlikely]]
            too_big(c, p, mtu);
    });
}

}  // namespace torii::stages
