#pragma once
// The TCP states of LVS (net/netfilter/ipvs/ip_vs_proto_tcp.c) as a table: (state, event, side) ->
// state. Pure; time and timeouts are parameters.

#include <array>
#include <cstdint>

#include "dataplane/flow/entry.h"
#include "dataplane/shm/services.h"

namespace torii::flow {

/// What of a segment's flags matters; the first that is set counts: RST, SYN, FIN, ACK.
enum class TcpEvent : uint8_t { syn, fin, ack, rst, none };

/// Which table applies. input_only: no packet of the server has been seen (direct routing).
enum class TcpSide : uint8_t { input, output, input_only };

constexpr TcpEvent tcp_event(uint8_t flags) {
    if (flags & 0x04) return TcpEvent::rst;
    if (flags & 0x02) return TcpEvent::syn;
    if (flags & 0x01) return TcpEvent::fin;
    if (flags & 0x10) return TcpEvent::ack;
    return TcpEvent::none;
}

/// The state after `event`. No flag at all closes the connection, as in LVS.
TcpState tcp_next(TcpState, TcpSide, TcpEvent);

/// ActiveConn counts these: ESTABLISHED, SYN_SENT, SYN_RECV, SYNACK.
constexpr bool tcp_active(TcpState s) {
    return s == TcpState::established || s == TcpState::syn_sent || s == TcpState::syn_recv ||
           s == TcpState::synack;
}

/// The word of a connection after a segment: state, kNoOutput, kInactive, and the expiry that the
/// new state's timeout gives. A new connection starts from state none with kInactive set.
Word tcp_step(Word, bool from_server, uint8_t tcp_flags, const shm::Timeouts&, Tick now);

/// UDP has one state; the server's first packet clears kNoOutput.
Word udp_step(Word, bool from_server, const shm::Timeouts&, Tick now);

}  // namespace torii::flow
