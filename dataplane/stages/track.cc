// track: the state machine of known connections (LVS: set_tcp_state, udp_state_transition).

#include "dataplane/flow/tcp_state.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

// The entry is no connection of this packet: what is left is the service.
[[gnu::noinline]] void forget(Context& c, Packet& p) {
    p.entry = flow::kNone;
    c.found |= kUnknown;
    if (p.direction == Direction::reply || !find_service(c.view, p))
        p.close(Verdict::kernel_not_ours);
}

// A client that uses its port again is a new connection (LVS: conn_reuse_mode 1).
bool reused(const Packet& p, flow::Word w) {
    return (p.tcp_flags & wire::kSyn) && p.direction == Direction::request &&
           p.protocol == wire::kTcp &&
           (w.state == uint8_t(flow::TcpState::time_wait) ||
            w.state == uint8_t(flow::TcpState::close));
}

[[gnu::noinline]] void end(Context& c, Packet& p) {
    const uint32_t backend = c.flows.head(p.entry).backend;
    if (c.flows.remove(p.entry)) p.former = backend;
    forget(c, p);
}

[[gnu::always_inline]] inline uint64_t step(const Context& c, const Packet& p, uint64_t seen) {
    return flow::step(seen, p.protocol == wire::kTcp, p.direction == Direction::reply, p.tcp_flags,
                      c.view.services.header->timeouts, c.now);
}

// Few workers share a flow, so a lost race is tried again only a few times; after that the other
// worker's packet has just refreshed the entry. A connection's time is counted in quarter seconds:
// most packets of a busy one do not come here.
[[gnu::noinline]] void change(Context& c, const Packet& p, uint64_t seen, uint64_t next) {
    for (int tries = 0; tries < 4 && next != seen; ++tries) {
        const flow::Word now = flow::Word::unpack(seen);
        if (now.phase != flow::Phase::live ||
            c.flows.update(p.entry, now, flow::Word::unpack(next), c.now))
            return;
        seen = c.flows.head(p.entry).word.load(std::memory_order_acquire);
        next = step(c, p, seen);
    }
}

[[gnu::always_inline]] inline void follow_one(Context& c, Packet& p) {
    flow::Head& head = c.flows.head(p.entry);
    const uint64_t seen = head.word.load(std::memory_order_acquire);
    const flow::Word word = flow::Word::unpack(seen);
    if (word.phase != flow::Phase::live) [[unlikely]]
        return forget(c, p);
    if (reused(p, word)) [[unlikely]]
        return end(c, p);
    const shm::BackendRecord* backend =
        c.view.services.backend(head.backend, head.backend_generation);
    // A removed backend gets no more requests, but what it still says reaches its clients, and
    // moves the connection's state; it is just not counted for the service (LVS).
    if (!backend && p.direction == Direction::request) [[unlikely]]
        return p.close(Verdict::drop_backend_gone);
    if (backend) [[likely]] {
        p.backend = head.backend;
        p.service = backend->service;
        p.service_slot = head.service_slot;
    }
    p.nat = head.forward == uint8_t(shm::Forward::nat);
    if (!p.nat) c.found |= kNotNat;
    const uint64_t next = step(c, p, seen);
    if (next != seen) change(c, p, seen, next);
}

}  // namespace

void follow(Context& c, Packet& p) { follow_one(c, p); }

void track(Context& c, std::span<Packet> burst) {
    each_open(burst, [&](Packet& p) {
        if (p.entry != flow::kNone && !p.is_icmp_error) [[likely]]
            follow_one(c, p);
    });
}

}  // namespace torii::stages
