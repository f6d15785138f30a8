#pragma once
// The TCP states of LVS (net/netfilter/ipvs/ip_vs_proto_tcp.c) as a table: (state, event, side) ->
// state. Pure; time and timeouts are parameters. Inline, because every packet takes a step.

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

namespace detail {
using Row = std::array<TcpState, size_t(TcpState::kCount)>;
using Table = std::array<Row, 4>;

inline constexpr TcpState NO = TcpState::none, ES = TcpState::established, SS = TcpState::syn_sent,
                          SR = TcpState::syn_recv, FW = TcpState::fin_wait,
                          TW = TcpState::time_wait, CL = TcpState::close, CW = TcpState::close_wait,
                          LA = TcpState::last_ack, LI = TcpState::listen, SA = TcpState::synack;
static_assert(int(NO) == 0 && int(SA) == 10);

// Rows: syn, fin, ack, rst. Columns: the current state, in the order of TcpState.
// clang-format off
inline constexpr std::array<Table, 3> kTcpNext = {{
    {{  // input            NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA
        /* syn */      Row{{SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR}},
        /* fin */      Row{{CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, TW}},
        /* ack */      Row{{ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES}},
        /* rst */      Row{{CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, SR}},
    }},
    {{  // output           NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA
        /* syn */      Row{{SS, ES, SS, SR, SS, SS, SS, SS, SS, LI, SR}},
        /* fin */      Row{{TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW}},
        /* ack */      Row{{ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES}},
        /* rst */      Row{{CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL}},
    }},
    {{  // input_only       NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA
        /* syn */      Row{{SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR}},
        /* fin */      Row{{CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW}},
        /* ack */      Row{{ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES}},
        /* rst */      Row{{CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL}},
    }},
}};
// clang-format on
}  // namespace detail

/// The state after `event`. No flag at all closes the connection, as in LVS.
inline TcpState tcp_next(TcpState state, TcpSide side, TcpEvent event) {
    if (event == TcpEvent::none || state >= TcpState::kCount) return TcpState::close;
    return detail::kTcpNext[size_t(side)][size_t(event)][size_t(state)];
}

/// ActiveConn counts these: ESTABLISHED, SYN_SENT, SYN_RECV, SYNACK.
constexpr bool tcp_active(TcpState s) {
    return s == TcpState::established || s == TcpState::syn_sent || s == TcpState::syn_recv ||
           s == TcpState::synack;
}

/// The word of a connection after a segment: state, kNoOutput, kInactive, and the expiry that the
/// new state's timeout gives. A new connection starts from state none with kInactive set.
inline Word tcp_step(Word w, bool from_server, uint8_t tcp_flags, const shm::Timeouts& timeouts,
                     Tick now) {
    TcpSide side = from_server ? TcpSide::output : TcpSide::input;
    if (w.flags & kNoOutput) {
        if (from_server)
            w.flags = uint16_t(w.flags & ~kNoOutput);
        else
            side = TcpSide::input_only;
    }
    const TcpState next = tcp_next(TcpState(w.state), side, tcp_event(tcp_flags));
    if (uint8_t(next) != w.state)
        w.flags = uint16_t(tcp_active(next) ? w.flags & ~kInactive : w.flags | kInactive);
    w.state = uint8_t(next);
    w.expiry = now + timeouts.tcp[size_t(next)] * kTicksPerSecond;
    return w;
}

/// UDP has one state; the server's first packet clears kNoOutput.
inline Word udp_step(Word w, bool from_server, const shm::Timeouts& timeouts, Tick now) {
    if (from_server) w.flags = uint16_t(w.flags & ~kNoOutput);
    w.flags |= kInactive;
    w.expiry = now + timeouts.udp * kTicksPerSecond;
    return w;
}

}  // namespace torii::flow
