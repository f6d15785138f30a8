#pragma once
// track: the state machine of known connections (LVS: set_tcp_state, udp_state_transition). What
// few packets need is in track.cc.

#include "dataplane/flow/tcp_state.h"
#include "dataplane/stages/context.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/packet.h"
#include "dataplane/stages/step.h"

namespace torii::stages {
namespace detail {

/// The entry is no connection of this packet: what is left is the service.
void forget(Context&, Packet&);
/// The connection has ended; the packet may begin another one.
void end(Context&, Packet&);
/// Writes the word that the packet makes of `seen`.
void change(Context&, const Packet&, uint64_t seen, uint64_t next);

/// The template of a connection whose word has just become `next` may be as good as it now.
void assure(Context&, const Packet&, uint64_t seen, uint64_t next);

/// Whether a SYN is a new connection, not one more of this: a client uses its port again.
bool reused(const Context&, const Packet&, const Notes&);
/// A request whose backend was removed. False: it goes no further as this connection's.
bool without_backend(Context&, Packet&);

}  // namespace detail

/// Takes the connection's state a step further and tells its backend. Closes requests whose backend
/// was removed; a SYN on a connection that has ended makes the packet one of no connection.
[[gnu::always_inline]] inline bool track(Context& c, Packet& p, Notes& n) {
    if (flow::Phase(n.word & 3) != flow::Phase::live) [[unlikely]]
        return detail::forget(c, p), false;
    if (p.tcp_flags & wire::kSyn) [[unlikely]]
        if (detail::reused(c, p, n)) return detail::end(c, p), false;
    const flow::Head& cell = *n.cell;
    // A removed backend gets no more requests, but what it still says reaches its clients, and
    // moves the connection's state; it is just not counted for the service (LVS).
    if (const BackendHop* b = c.view.backend(cell.backend, cell.backend_generation)) [[likely]] {
        n.backend_hop = b->next_hop;
        p.backend = cell.backend;
        p.service_slot = cell.service_slot;
    } else if (!n.reply) {
        return detail::without_backend(c, p);
    } else {
        n.backend_hop = shm::kNoNextHop;
    }
    n.nat = p.nat = cell.forward == uint8_t(shm::Forward::nat);
    const uint64_t next = p.protocol == wire::kSctp
                              ? next_word(c, p, n.reply, n.word)
                              : flow::step(n.word, n.tcp, n.reply, p.tcp_flags, c.deadlines);
    if (next != n.word) [[unlikely]]
        detail::change(c, p, n.word, next);
    return true;
}

}  // namespace torii::stages
