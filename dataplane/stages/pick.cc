#include "dataplane/stages/pick.h"

#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

constexpr uint64_t kOthersFresh = 500;  // us that the other workers' counts may be old

[[gnu::always_inline]] inline BackendState* state_of(Context& c, uint32_t slot) {
    if (slot >= c.state.backends.size() || slot >= c.counters.header().backend_slots)
        return nullptr;
    BackendState& b = c.state.backends[slot];
    const uint32_t generation = c.view.services.backends[slot].generation;
    if (b.generation != generation) b = {.generation = generation};
    return &b;
}

scheduler::Load load_of(Context& c, uint32_t slot) {
    const BackendState* others = state_of(c, slot);
    if (!others) return {};
    const shm::Row& own = c.counters.backends(c.worker)[slot];
    const int64_t active = int64_t(own.active.get()) + others->active;
    const int64_t inactive = int64_t(own.inactive.get()) + others->inactive;
    return {active, active + inactive + (slot == c.state.ending ? 1 : 0)};
}

// LVS: a connection that begins makes its backend overloaded if there are then as many as the upper
// threshold, one that ends makes it available if fewer than the lower one are left; without a lower
// one, three quarters of the upper one. So a threshold that was edited has to wait for either,
// except that a higher upper one, or none, makes the backend available at once. A slot without a
// row cannot be counted.
bool judge(Context& c, uint32_t slot) {
    const shm::BackendRecord& backend = c.view.services.backends[slot];
    BackendState* b = state_of(c, slot);
    if (!b) return true;
    if (backend.upper == 0) {  // most have none: nothing is counted, and nothing written
        if (b->total != BackendState::kNotCounted) {
            b->overloaded = false;
            b->upper = 0;
            b->total = BackendState::kNotCounted;
        }
        return false;
    }
    if (backend.upper > b->upper) b->overloaded = false;
    b->upper = backend.upper;
    const int64_t total = load_of(c, slot).total;
    const int64_t before = b->total == BackendState::kNotCounted ? total : b->total;
    b->total = total;
    const int64_t low = backend.lower ? backend.lower : backend.upper - backend.upper / 4;
    if (total > before && total >= int64_t(backend.upper)) b->overloaded = true;
    if (total < before && total < low) b->overloaded = false;
    return b->overloaded;
}

Context& context_of(const void* p) { return *static_cast<Context*>(const_cast<void*>(p)); }

// Adds up what the other workers count on the service's backends, at most every half millisecond.
void look_at_others(Context& c, const ServiceRuntime& service, ServiceState& state) {
    const uint32_t workers = c.counters.workers();
    if (workers < 2 || c.now_us - state.others_at_us < kOthersFresh) return;
    state.others_at_us = c.now_us;
    for (const scheduler::Target& t : service.view.targets) {
        BackendState* b = state_of(c, t.backend);
        if (!b) continue;
        b->active = b->inactive = 0;
        for (uint32_t w = 0; w < workers; ++w) {
            if (w == c.worker) continue;
            const shm::Row& row = c.counters.backends(w)[t.backend];
            b->active += int64_t(row.active.get());
            b->inactive += int64_t(row.inactive.get());
        }
    }
}

}  // namespace

uint32_t pick(Context& c, const Packet& p) {
    const shm::ServiceRecord& record = c.view.services.services[p.service];
    const ServiceRuntime& service = c.view.runtime[p.service];
    if (record.slot >= c.state.services.size()) return scheduler::kNoBackend;
    ServiceState& state = c.state.services[record.slot];
    if (state.slot_generation != record.slot_generation) {
        state = {.slot_generation = record.slot_generation};
        state.cursor.worker = c.worker;
    }
    look_at_others(c, service, state);
    const scheduler::Loads loads{
        &c, [](const void* x, uint32_t slot) { return load_of(context_of(x), slot); },
        [](const void* x, uint32_t slot) { return judge(context_of(x), slot); }};
    const scheduler::Key key{source_of(p), destination_of(p), p.source_port.host()};
    c.state.ending = p.former;
    const uint32_t slot =
        scheduler::choose(*service.scheduler, service.view, state.cursor, loads, key);
    c.state.ending = ~0u;
    return slot;
}

// LVS ends a connection whose client uses its port again just after it has begun the new one.
void picked(Context& c, const Packet& p, uint32_t slot) {
    c.state.ending = p.former;
    judge(c, slot);
    c.state.ending = ~0u;
    if (p.former == slot) judge(c, slot);
}

uint32_t backend_at(const View& view, uint32_t service, uint32_t target) {
    const auto& targets = view.runtime[service].view.targets;
    return target < targets.size() ? targets[target].backend : scheduler::kNoBackend;
}

}  // namespace torii::stages
