// What a worker does for fragments: those that another worker has to handle, those that were held
// for the first one of their datagram, and packets that leave in pieces.

#include <rte_mbuf.h>

#include "dataplane/io/worker.h"
#include "dataplane/stages/cut.h"

namespace torii::io {

using stages::Packet;
using stages::Verdict;

namespace {

constexpr uint32_t kExpiredALoop = 64;
constexpr size_t kMostPieces = 64;

}  // namespace

// Set aside: the fragment table has it, or it is for another worker.
void Worker::put_aside(Packet& p) {
    if (p.give_to == stages::kNobody) return;
    auto* m = static_cast<rte_mbuf*>(p.owner);
    m->port = p.in_port;
    if (setup_.handover->give(setup_.number, p.give_to, m)) {
        setup_.kernel->wake(p.give_to);
        return;
    }
    p.held = false;
    p.give_to = stages::kNobody;
    p.close(Verdict::drop_fragment_full);
    rte_pktmbuf_free(m);
}

bool Worker::serve_given() {
    std::array<rte_mbuf*, kBurst> buffers;
    const unsigned n = setup_.handover->take(setup_.number, buffers.data(), kBurst);
    if (n == 0) return false;
    for (unsigned i = 0; i < n; ++i) describe(packets_[i], buffers[i], buffers[i]->port);
    serve(std::span(packets_.data(), n));
    return true;
}

void Worker::attend_fragments() {
    state_.fragments.expire(clock_.us(), kExpiredALoop);
    serve_released();
}

void Worker::serve_released() {
    stages::Context c = context();
    while (const size_t n = dataplane::release_fragments(c, packets_)) {
        const std::span burst(packets_.data(), n);
        distribute(burst);
        dataplane::account_released(c, burst);
    }
}

// The pieces take the packet's place in the order of what leaves. All or none: a receiver can do
// nothing with some of them.
void Worker::send_pieces(Packet& p, bool counted) {
    auto* whole = static_cast<rte_mbuf*>(p.owner);
    const stages::CutPlan plan = stages::plan_cut(
        p, p.ipv6 ? state_.next_cut_id(setup_.counters.workers(), setup_.number) : 0);
    std::array<rte_mbuf*, kMostPieces> pieces;
    const unsigned room = rte_pktmbuf_data_room_size(whole->pool) - RTE_PKTMBUF_HEADROOM;
    const bool possible =
        plan.count != 0 && plan.count <= pieces.size() && uint32_t(plan.link) + p.cut_to <= room;
    if (!possible || rte_pktmbuf_alloc_bulk(whole->pool, pieces.data(), plan.count) != 0) {
        p.close(Verdict::drop_no_memory);
        return rte_pktmbuf_free(whole);
    }
    for (uint16_t i = 0; i < plan.count; ++i) {
        const uint16_t length = stages::piece_length(plan, i);
        auto* const to = reinterpret_cast<std::byte*>(rte_pktmbuf_append(pieces[i], length));
        stages::write_piece(p, plan, i, to);
        queue(pieces[i], p.out_port, counted ? nullptr : &p);
    }
    rte_pktmbuf_free(whole);
}

}  // namespace torii::io
