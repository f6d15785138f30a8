// What track.h leaves to the few packets that need it.

#include "dataplane/stages/track.h"

#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace detail {

void forget(Context& c, Packet& p) {
    p.entry = flow::kNone;
    if (p.direction == Direction::reply || !find_service(c.view, p))
        p.close(Verdict::kernel_not_ours);
    else
        c.found |= kUnknown;
}

void end(Context& c, Packet& p) {
    const uint32_t backend = c.flows.head(p.entry).backend;
    if (c.flows.remove(p.entry)) p.former = backend;
    forget(c, p);
}

// LVS: is_new_conn_expected, conn_reuse_mode. A connection that persistence made goes on: its
// template would choose the same backend.
bool reused(const Context& c, const Packet& p, const Notes& n) {
    if (n.reply) return false;
    const shm::Behaviour& how = c.view.services.header->behaviour;
    const flow::Head& cell = *n.cell;
    if (how.expire_nodest_conn) {
        const auto* backend = c.view.services.backend(cell.backend, cell.backend_generation);
        if (backend && backend->weight == 0) return true;
    }
    if (how.conn_reuse_mode == 0 || c.flows.is_held(p.entry)) return false;
    const flow::Word word = flow::Word::unpack(n.word);
    return has_ended(p.protocol, word.state) ||
           (n.tcp && (how.conn_reuse_mode & 2) && word.state == uint8_t(flow::TcpState::fin_wait) &&
            (word.flags & flow::kNoOutput));
}

// LVS: expire_nodest_conn.
bool without_backend(Context& c, Packet& p) {
    if (c.view.services.header->behaviour.expire_nodest_conn)
        end(c, p);
    else
        p.close(Verdict::drop_backend_gone);
    return false;
}

bool is_established(uint8_t protocol, uint8_t state) {
    return state == (protocol == wire::kTcp ? uint8_t(flow::TcpState::established)
                                            : uint8_t(flow::SctpState::established));
}

// A template is as good as its connections (LVS: ip_vs_control_assure_ct): TCP and SCTP that are
// established, UDP that was answered.
void assure(Context& c, const Packet& p, uint64_t seen, uint64_t next) {
    const flow::Word from = flow::Word::unpack(seen), to = flow::Word::unpack(next);
    const bool good = p.protocol == wire::kUdp
                          ? p.direction == Direction::reply
                          : from.state != to.state && is_established(p.protocol, to.state);
    if (good && c.flows.is_held(p.entry)) c.flows.assure(p.entry, c.now);
}

// Few workers share a flow, so a lost race is tried again only a few times; after that the other
// worker's packet has just refreshed the entry. A connection's time is counted in quarter seconds:
// most packets of a busy one do not come here.
void change(Context& c, const Packet& p, uint64_t seen, uint64_t next) {
    for (int tries = 0; tries < 4 && next != seen; ++tries) {
        const flow::Word now = flow::Word::unpack(seen);
        if (now.phase != flow::Phase::live) return;
        if (c.flows.update(p.entry, now, flow::Word::unpack(next), c.now))
            return assure(c, p, seen, next);
        seen = c.flows.head(p.entry).word.load(std::memory_order_acquire);
        next = next_word(c, p, p.direction == Direction::reply, seen);
    }
}

}  // namespace detail

bool follow(Context& c, Packet& p) {
    Notes n(c, p);
    n.word = n.cell->word.load(std::memory_order_acquire);
    return track(c, p, n);
}

}  // namespace torii::stages
