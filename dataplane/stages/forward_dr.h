#pragma once
// forward_dr: the backend has the virtual address itself, so only the time to live changes
// (LVS: ip_vs_dr_xmit). Errors about such connections go the same way. A tunnel is that and an
// outer header, see forward_tunnel.cc.

#include "dataplane/stages/checksum.h"
#include "dataplane/stages/context.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/mtu.h"
#include "dataplane/stages/packet.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {

/// Direct routing: nothing but the time to live; and tunnels.
[[gnu::always_inline]] inline bool forward_dr(Context& c, Packet& p, Notes& n) {
    if (n.nat) return true;
    if (p.is_icmp_error) [[unlikely]] {
        p.intended = Verdict::icmp_related;
        if (n.reply) return true;              // made here, to the client
    } else if (p.intended == Verdict::open) {  // schedule() says `stateless` of some
        p.intended = Verdict::direct;
    }
    if (p.ipv6) {
        --p.at<wire::Ipv6>(p.l3)->hop_limit;
    } else {
        auto* ip = p.at<wire::Ipv4>(p.l3);
        Delta delta;
        delta.change16(ip->ttl, uint16_t(ip->ttl - 1));
        --ip->ttl;
        ip->checksum = update(ip->checksum, delta);
    }
    if (is_tunnelled(c, p)) return forward_tunnel(c, p);
    return true;
}

}  // namespace torii::stages
