#pragma once
// The SCTP states of LVS as a table: (state, event, side) -> state. An association is followed as
// its server sees it (RFC 9260 4), with the handshake's steps told apart. Pure; time and timeouts
// are parameters.

#include <array>
#include <cstdint>
#include <string_view>

#include "dataplane/flow/tcp_state.h"

namespace torii::flow {

/// LVS's numbers. none is a new entry; init1 a first INIT, which may have been lost.
enum class SctpState : uint8_t {
    none,
    init1,
    init,
    cookie_sent,
    cookie_replied,
    cookie_wait,
    cookie,
    cookie_echoed,
    established,
    shutdown_sent,
    shutdown_received,
    shutdown_ack_sent,
    rejected,
    closed,
    kCount
};

/// As `ipvsadm -Lc` prints them.
inline constexpr std::array<std::string_view, size_t(SctpState::kCount)> kSctpStateNames = {
    "NONE",     "INIT1",       "INIT",   "C-SENT",     "C-REPLIED",  "C-WAIT",   "COOKIE",
    "C-ECHOED", "ESTABLISHED", "S-SENT", "S-RECEIVED", "S-ACK-SENT", "REJECTED", "CLOSED"};

/// Seconds; only that of ESTABLISHED is long. One more than the largest retransmission timeout.
inline constexpr std::array<uint16_t, size_t(SctpState::kCount)> kSctpTimeouts = {
    2, 4, 61, 61, 61, 61, 61, 61, 900, 61, 61, 61, 4, 61};

/// What the first chunk of a packet says; `data` is every chunk that moves no state.
enum class SctpEvent : uint8_t {
    data,
    init,
    init_ack,
    cookie_echo,
    cookie_ack,
    shutdown,
    shutdown_ack,
    shutdown_complete,
    error,
    abort,
    kCount
};

namespace detail {

using SctpRow = std::array<SctpState, size_t(SctpState::kCount)>;
using SctpTable = std::array<std::array<SctpRow, size_t(SctpEvent::kCount)>, 3>;

// From `first` to `last`, both included, an event leads to `to`; every other state stays.
struct SctpRule {
    SctpEvent event;
    SctpState first, last, to;
};

// clang-format off
inline constexpr SctpTable kSctpNext = [] {
    using enum SctpState;
    using E = SctpEvent;
    constexpr SctpRule input[] = {
        {E::data, none, none, established},
        {E::init, none, none, init1}, {E::init, init1, init, init}, {E::init, rejected, closed, init},
        {E::init_ack, none, init, cookie_wait}, {E::init_ack, cookie_wait, cookie_wait, cookie},
        {E::cookie_echo, none, none, cookie_replied}, {E::cookie_echo, init1, init, init},
        {E::cookie_echo, cookie_sent, cookie_sent, cookie_replied},
        {E::cookie_ack, none, none, established}, {E::cookie_ack, cookie_echoed, cookie_echoed, established},
        {E::shutdown, none, none, shutdown_received}, {E::shutdown, established, established, shutdown_received},
        {E::shutdown_ack, none, none, closed}, {E::shutdown_ack, init1, init, init},
        {E::shutdown_ack, shutdown_sent, shutdown_sent, closed},
        {E::shutdown_ack, shutdown_ack_sent, shutdown_ack_sent, closed},
        {E::shutdown_complete, none, init, closed},
        {E::shutdown_complete, shutdown_ack_sent, shutdown_ack_sent, closed},
        {E::error, none, none, closed}, {E::error, cookie_echoed, cookie_echoed, closed},
        {E::abort, none, closed, closed}, {E::abort, cookie_wait, cookie_wait, rejected},
    };
    constexpr SctpRule output[] = {
        {E::data, none, none, established},
        {E::init, none, cookie_echoed, cookie_wait}, {E::init, shutdown_sent, closed, cookie_wait},
        {E::init_ack, none, cookie_sent, cookie_sent},
        {E::cookie_echo, none, cookie_echoed, cookie_echoed},
        {E::cookie_ack, none, established, established},
        {E::shutdown, none, shutdown_sent, shutdown_sent},
        {E::shutdown_ack, none, cookie_replied, shutdown_ack_sent},
        {E::shutdown_ack, shutdown_sent, shutdown_ack_sent, shutdown_ack_sent},
        {E::shutdown_complete, none, none, closed},
        {E::error, none, cookie_replied, closed},
        {E::abort, none, closed, closed}, {E::abort, init1, init1, rejected},
    };
    // No packet of the server is seen: what the client sends shows what it must have received.
    constexpr SctpRule input_only[] = {
        {E::data, none, none, established}, {E::data, cookie_wait, cookie_wait, established},
        {E::init, none, none, init1}, {E::init, init1, cookie_wait, init}, {E::init, rejected, closed, init},
        {E::init_ack, none, cookie_wait, cookie_echoed},
        {E::cookie_echo, none, cookie_wait, established},
        {E::cookie_ack, none, none, established}, {E::cookie_ack, cookie_sent, cookie_replied, established},
        {E::cookie_ack, cookie, cookie_echoed, established},
        {E::shutdown, none, none, shutdown_received}, {E::shutdown, established, established, shutdown_received},
        {E::shutdown_ack, none, none, closed}, {E::shutdown_ack, init1, init, init},
        {E::shutdown_ack, established, shutdown_sent, closed},
        {E::shutdown_ack, shutdown_ack_sent, shutdown_ack_sent, closed},
        {E::shutdown_complete, none, cookie_replied, closed},
        {E::shutdown_complete, shutdown_received, shutdown_ack_sent, closed},
        {E::error, none, none, closed},
        {E::abort, none, closed, closed}, {E::abort, cookie_wait, cookie_wait, rejected},
    };
    SctpTable table{};
    for (auto& side : table)
        for (auto& row : side)
            for (size_t s = 0; s < row.size(); ++s) row[s] = SctpState(s);
    const auto apply = [&](size_t side, const auto& rules) {
        for (const SctpRule& r : rules)
            for (size_t s = size_t(r.first); s <= size_t(r.last); ++s)
                table[side][size_t(r.event)][s] = r.to;
    };
    apply(size_t(TcpSide::input), input);
    apply(size_t(TcpSide::output), output);
    apply(size_t(TcpSide::input_only), input_only);
    return table;
}();
// clang-format on

}  // namespace detail

constexpr SctpState sctp_next(SctpState state, TcpSide side, SctpEvent event) {
    if (state >= SctpState::kCount || event >= SctpEvent::kCount) return SctpState::closed;
    return detail::kSctpNext[size_t(side)][size_t(event)][size_t(state)];
}

/// The word of a connection after a packet, as step() gives it for TCP. ActiveConn counts only
/// ESTABLISHED; a new connection starts from state none with kInactive set.
inline uint64_t sctp_step(uint64_t packed, bool from_server, SctpEvent event, Tick now) {
    Word w = Word::unpack(packed);
    if (from_server) w.flags &= uint16_t(~kNoOutput);
    const TcpSide side = from_server           ? TcpSide::output
                         : w.flags & kNoOutput ? TcpSide::input_only
                                               : TcpSide::input;
    const SctpState next = sctp_next(SctpState(w.state), side, event);
    if (uint8_t(next) != w.state) {
        w.state = uint8_t(next);
        w.flags &= uint16_t(~kInactive);
        if (next != SctpState::established) w.flags |= kInactive;
    }
    w.expiry = whole_second(now) + kSctpTimeouts[size_t(next)] * kTicksPerSecond;
    return w.pack();
}

}  // namespace torii::flow
