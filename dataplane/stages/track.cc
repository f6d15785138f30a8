// track: the state machine of known connections (LVS: set_tcp_state, udp_state_transition).

#include "dataplane/flow/tcp_state.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

// The entry is no connection of this packet: what is left is the service.
void forget(Context& c, Packet& p) {
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

// Few workers share a flow, so a lost race is tried again only a few times; after that the other
// worker's packet has just refreshed the entry.
void step(Context& c, const Packet& p, flow::Head& head, uint64_t seen) {
    const shm::Timeouts& timeouts = c.view.services.header->timeouts;
    const bool tcp = p.protocol == wire::kTcp, from_server = p.direction == Direction::reply;
    for (int tries = 0; tries < 4; ++tries) {
        const uint64_t next = flow::step(seen, tcp, from_server, p.tcp_flags, timeouts, c.now);
        if (next == seen) return;
        const flow::Word now = flow::Word::unpack(seen);
        if (now.phase != flow::Phase::live ||
            c.flows.update(p.entry, now, flow::Word::unpack(next), c.now))
            return;
        seen = head.word.load(std::memory_order_acquire);
    }
}

}  // namespace

void follow(Context& c, Packet& p) {
    flow::Head& head = c.flows.head(p.entry);
    const uint64_t seen = head.word.load(std::memory_order_acquire);
    const flow::Word word = flow::Word::unpack(seen);
    if (word.phase != flow::Phase::live) [[unlikely]]
        return forget(c, p);
    if (reused(p, word)) [[unlikely]] {
        if (c.flows.remove(p.entry)) p.former = head.backend;
        return forget(c, p);
    }
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
    step(c, p, head, seen);
}

void track(Context& c, std::span<Packet> burst) {
    each_open(burst, [&](Packet& p) {
        if (p.entry != flow::kNone && !p.is_icmp_error) [[likely]]
            follow(c, p);
    });
}

}  // namespace torii::stages
