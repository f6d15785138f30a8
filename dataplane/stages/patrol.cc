#include "dataplane/stages/patrol.h"

#include <algorithm>

namespace torii::stages {
namespace {

constexpr uint32_t kAtOnce = 64;  // cells a call

// Whether some backend's time came after `done`.
bool is_due(const View& view, flow::Tick done, flow::Tick now) {
    const auto next = std::ranges::upper_bound(view.deadlines, done);
    return next != view.deadlines.end() && *next <= now;
}

bool is_over(const Context& c, const flow::Head& head) {
    const auto& backends = c.view.services.backends;
    if (head.backend >= backends.size()) return c.state.patrol.removed;
    const shm::BackendRecord& b = backends[head.backend];
    if (!b.present || b.generation != head.backend_generation)
        if (c.state.patrol.removed) return true;
    return b.generation == head.backend_generation && b.drain_until != 0 && b.drain_until <= c.now;
}

// A template goes with the last of its connections (LVS: ip_vs_expire_nodest_conn_flush).
void look_at(Context& c, uint32_t entry) {
    const flow::Head& head = c.flows.head(entry);
    const flow::Word word = flow::Word::unpack(head.word.load(std::memory_order_acquire));
    if (word.phase != flow::Phase::live || !is_over(c, head)) return;
    if (word.flags & flow::kTemplate) return c.flows.give_up_template(entry, c.now);
    const uint32_t from = c.flows.template_of(entry);
    if (c.flows.remove(entry) && from != flow::kNone) c.flows.give_up_template(from, c.now);
}

void begin(Context& c) {
    Patrol& p = c.state.patrol;
    p.removed = p.serial != c.view.serial && c.view.services.header->behaviour.expire_nodest_conn;
    p.serial = c.view.serial;
    p.at = 0;
    p.since = c.now;
    p.under_way = p.removed || is_due(c.view, p.done, c.now);
}

}  // namespace

bool wants_patrol(const View& view, const Patrol& p, flow::Tick now) {
    return p.under_way || p.serial != view.serial || is_due(view, p.done, now);
}

bool patrol(Context& c) {
    Patrol& p = c.state.patrol;
    if (!p.under_way) begin(c);
    if (!p.under_way) return false;
    const uint32_t end = std::min(p.at + kAtOnce, c.flows.cells());
    for (; p.at < end; ++p.at) look_at(c, p.at);
    if (p.at == c.flows.cells()) {
        p.under_way = false;
        p.done = p.since;
    }
    return p.under_way;
}

}  // namespace torii::stages
