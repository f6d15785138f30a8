// forward_dr: the backend has the virtual address itself, so only the time to live changes
// (LVS: ip_vs_dr_xmit). Errors about such connections go the same way.

#include "dataplane/stages/checksum.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {

void forward_dr(Context&, std::span<Packet> burst) {
    each_open(burst, [](Packet& p) {
        if (p.nat) return;
        if (p.is_icmp_error)
            p.intended = Verdict::icmp_related;
        else if (p.intended == Verdict::open)  // schedule() says `stateless` of some
            p.intended = Verdict::direct;
        if (p.ipv6) {
            --p.at<wire::Ipv6>(p.l3)->hop_limit;
            return;
        }
        auto* ip = p.at<wire::Ipv4>(p.l3);
        Delta delta;
        delta.change16(ip->ttl, uint16_t(ip->ttl - 1));
        --ip->ttl;
        ip->checksum = update(ip->checksum, delta);
    });
}

}  // namespace torii::stages
