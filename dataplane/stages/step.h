#pragma once
// What a packet makes of its connection's word: the state machine of its protocol, one step
// further.

#include "dataplane/flow/tcp_state.h"
#include "dataplane/stages/context.h"
#include "dataplane/stages/packet.h"
#include "dataplane/stages/sctp.h"

namespace torii::stages {

inline uint64_t next_word(const Context& c, const Packet& p, bool from_server, uint64_t seen) {
    if (p.protocol == wire::kSctp)
        return flow::sctp_step(seen, from_server, sctp_event_in(p.tcp_flags), c.now);
    return flow::step(seen, p.protocol == wire::kTcp, from_server, p.tcp_flags, c.deadlines);
}

/// A client that uses its port again is a new connection once this one has ended (LVS:
/// conn_reuse_mode 1); asked about a SYN or INIT.
constexpr bool has_ended(uint8_t protocol, uint8_t state) {
    if (protocol == wire::kSctp) return state == uint8_t(flow::SctpState::closed);
    return protocol == wire::kTcp &&
           (state == uint8_t(flow::TcpState::time_wait) || state == uint8_t(flow::TcpState::close));
}

}  // namespace torii::stages
