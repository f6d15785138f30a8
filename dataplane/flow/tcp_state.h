#pragma once
// The TCP states of LVS (net/netfilter/ipvs/ip_vs_proto_tcp.c) as a table: (state, event, side) ->
// state. Pure; time and timeouts are parameters. Inline, because every packet takes a step.

#include <array>
#include <cstdint>

#include "config/base/either.h"
#include "dataplane/flow/entry.h"
#include "dataplane/shm/services.h"

namespace torii::flow {

/// What of a segment's flags matters; the first that is set counts: RST, SYN, FIN, ACK.
enum class TcpEvent : uint8_t { syn, fin, ack, rst, none };

/// Which table applies. input_only: no packet of the server has been seen (direct routing).
enum class TcpSide : uint8_t { input, output, input_only };

/// The event of each combination of FIN, SYN, RST (bits 0 to 2, as in the header) and ACK (bit 3).
inline constexpr std::array<TcpEvent, 16> kTcpEvents = [] {
    std::array<TcpEvent, 16> events{};
    for (uint8_t f = 0; f < 16; ++f)
        events[f] = f & 4   ? TcpEvent::rst
                    : f & 2 ? TcpEvent::syn
                    : f & 1 ? TcpEvent::fin
                    : f & 8 ? TcpEvent::ack
                            : TcpEvent::none;
    return events;
}();
constexpr uint32_t flags_index(uint8_t flags) { return (flags & 7u) | (flags >> 1 & 8u); }
constexpr TcpEvent tcp_event(uint8_t flags) { return kTcpEvents[flags_index(flags)]; }

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
constexpr TcpState tcp_next(TcpState state, TcpSide side, TcpEvent event) {
    if (event == TcpEvent::none || state >= TcpState::kCount) return TcpState::close;
    return detail::kTcpNext[size_t(side)][size_t(event)][size_t(state)];
}

/// ActiveConn counts these: ESTABLISHED, SYN_SENT, SYN_RECV, SYNACK.
constexpr bool tcp_active(TcpState s) {
    return s == TcpState::established || s == TcpState::syn_sent || s == TcpState::syn_recv ||
           s == TcpState::synack;
}

namespace detail {
/// tcp_next() of every state for every combination of flags, each in one load. First index: 4 for
/// UDP, whose state stays, 2 for a packet of the server, 1 when none of the server has been seen;
/// then the header's five lowest flags and the state, in a power of two each, so that a place is
/// found by shifts.
using Steps = std::array<std::array<std::array<uint8_t, 16>, 32>, 8>;
inline constexpr Steps kSteps = [] {
    Steps steps{};
    for (size_t kind = 0; kind < 8; ++kind)
        for (size_t flags = 0; flags < 32; ++flags)
            for (size_t state = 0; state < 16; ++state) {
                const TcpSide side = kind & 2   ? TcpSide::output
                                     : kind & 1 ? TcpSide::input_only
                                                : TcpSide::input;
                steps[kind][flags][state] =
                    kind & 4 ? uint8_t(state)
                             : uint8_t(tcp_next(TcpState(state), side, tcp_event(uint8_t(flags))));
            }
    return steps;
}();
inline constexpr uint32_t kStateShift = 8, kFlagsShift = 16, kExpiryShift = 32;
static_assert(Word{Phase::free, 1, 0, 0}.pack() == 1u << kStateShift &&
              Word{Phase::free, 0, 1, 0}.pack() == 1u << kFlagsShift &&
              Word{Phase::free, 0, 0, 1}.pack() == 1ull << kExpiryShift);
}  // namespace detail

/// A timeout runs from the next whole second on, so that a busy connection's word changes once a
/// second and not with every tick: the change is a locked write, and its line has to go back to
/// memory. A connection lives up to a second longer for it, never shorter.
constexpr Tick whole_second(Tick now) {
    return (now + kTicksPerSecond - 1) / kTicksPerSecond * kTicksPerSecond;
}

/// When a connection expires whose last packet comes now; made once a burst.
struct Deadlines {
    Deadlines() = default;
    Deadlines(const shm::Timeouts& timeouts, Tick now) {
        const Tick from = whole_second(now);
        for (size_t state = 0; state < 16; ++state) {
            at[0][state] = from + timeouts.udp * kTicksPerSecond;
            at[1][state] = from + timeouts.tcp[std::min(state, kLast)] * kTicksPerSecond;
        }
    }
    static constexpr size_t kLast = size_t(TcpState::kCount) - 1;
    Tick at[2][16];  ///< of UDP and of TCP, by state
};

/// The word of a connection after a segment: state, kNoOutput, kInactive, and the expiry that the
/// new state's timeout gives. A new connection starts from state none with kInactive set. UDP has
/// one state and is always inactive. One path for both, because a worker cannot guess which kind of
/// packet comes next: UDP takes the place of a segment that changes nothing. On the packed word,
/// because every packet takes a step and nearly none changes more than the expiry.
[[gnu::always_inline]] inline uint64_t step(uint64_t word, bool tcp, bool from_server,
                                            uint8_t tcp_flags, const Deadlines& deadlines) {
    using namespace detail;
    auto low = uint32_t(word);  // phase, state, flags
    const uint32_t state = low >> kStateShift & 15;
    const uint32_t unheard = low >> (kFlagsShift + 1) & 1;
    static_assert(kNoOutput == 1 << 1 && kInactive == 1);
    const uint32_t kind = !tcp * 4u + from_server * 2u + unheard;
    const uint32_t next = kSteps[kind][tcp_flags & 31][state];
    low &= ~(uint32_t(from_server) << (kFlagsShift + 1));
    low |= uint32_t(!tcp) << kFlagsShift;
    if (next != state) [[unlikely]] {
        low = (low & ~(0xffu << kStateShift)) | next << kStateShift;
        low &= ~(uint32_t(kInactive) << kFlagsShift);
        low |= uint32_t(kInactive * !tcp_active(TcpState(next))) << kFlagsShift;
    }
    return low | uint64_t(deadlines.at[tcp][next]) << kExpiryShift;
}
inline Word tcp_step(Word w, bool from_server, uint8_t tcp_flags, const shm::Timeouts& timeouts,
                     Tick now) {
    return Word::unpack(step(w.pack(), true, from_server, tcp_flags, Deadlines(timeouts, now)));
}
inline Word udp_step(Word w, bool from_server, const shm::Timeouts& timeouts, Tick now) {
    return Word::unpack(step(w.pack(), false, from_server, 0, Deadlines(timeouts, now)));
}

}  // namespace torii::flow
