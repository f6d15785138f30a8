#pragma once
// limits: what may not go on because it has travelled too far or is too big for the next link.
// Looked at before anything is rewritten, because the sender must recognise its packet in the
// answer.

#include "dataplane/stages/context.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/mtu.h"
#include "dataplane/stages/packet.h"

namespace torii::stages {
namespace detail {

void used_up(Context&, Packet&);
/// Closes the packet: answered, or dropped; or true: it goes on and leaves in pieces.
bool too_big(Context&, Packet&, uint32_t mtu);

/// Nobody but its sender may cut the packet up.
inline bool dont_fragment(const Packet& p) {
    return p.ipv6 || (p.at<wire::Ipv4>(p.l3)->fragment & wire::kDontFragment) != 0;
}

}  // namespace detail

/// Time to live and MTU; answers what goes no further.
[[gnu::always_inline]] inline bool check_limits(Context& c, Packet& p, Notes& n) {
    const uint8_t ttl = p.ipv6 ? p.at<wire::Ipv6>(p.l3)->hop_limit : p.at<wire::Ipv4>(p.l3)->ttl;
    if (ttl <= 1) [[unlikely]]
        return detail::used_up(c, p), false;
    const uint32_t mtu = n.nat ? n.hop->mtu : effective_mtu(c, p, *n.hop);
    if (p.l3_length > mtu && mtu != 0) [[unlikely]]
        return detail::too_big(c, p, mtu);
    return true;
}

}  // namespace torii::stages
