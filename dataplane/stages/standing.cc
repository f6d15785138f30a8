#include "dataplane/stages/standing.h"

namespace torii::stages {
namespace {

constexpr uint64_t kOthersFresh = 900;  // us that the other workers' counts may be old
constexpr size_t kAhead = 8;            // rows that are fetched ahead

[[gnu::always_inline]] inline BackendState* state_of(Context& c, uint32_t slot) {
    if (slot >= c.state.backends.size() || slot >= c.counters.header().backend_slots)
        return nullptr;
    BackendState& b = c.state.backends[slot];
    const uint32_t generation = c.view.services.backends[slot].generation;
    if (b.generation != generation) b = {.generation = generation};
    return &b;
}

scheduler::Ranking ranking_of(WorkerState& s, const ServiceRuntime& r) {
    return {s.ranks.data() + r.rank_at, r.rank_shape};
}

bool has_ranking(const WorkerState& s, const ServiceRuntime& r) {
    return r.rank_size != 0 && size_t(r.rank_at) + r.rank_size <= s.ranks.size();
}

// Own counts, and what was last seen of the others'.
[[gnu::always_inline]] inline scheduler::Load load_with(const Context& c, uint32_t slot,
                                                        const BackendState& others) {
    const shm::Row& own = c.counters.backends(c.worker)[slot];
    const int64_t active = int64_t(own.active.get()) + others.active;
    const int64_t inactive = int64_t(own.inactive.get()) + others.inactive;
    return {active, active + inactive + (slot == c.state.ending ? 1 : 0)};
}

// Most have no threshold, and had none.
[[gnu::always_inline]] inline bool may_be_overloaded(const Context& c, uint32_t slot,
                                                     const BackendState& b) {
    return c.view.services.backends[slot].upper != 0 || b.total != BackendState::kNotCounted;
}

[[gnu::always_inline]] inline uint64_t key_of(Context& c, const ServiceRuntime& r,
                                              const scheduler::Target& t) {
    const BackendState* b = t.weight == 0 ? nullptr : state_of(c, t.backend);
    if (!b) return scheduler::kOut;
    if (may_be_overloaded(c, t.backend, *b) && is_overloaded(c, t.backend)) return scheduler::kOut;
    return r.scheduler->rank(load_with(c, t.backend, *b), t.weight, r.rank_shift);
}

void build(Context& c, uint32_t service, scheduler::Ranking& ranking) {
    const ServiceRuntime& r = c.view.runtime[service];
    const auto& targets = r.view.targets;
    for (uint32_t i = 0; i < targets.size(); ++i) {
        const scheduler::Target& t = targets[i];
        c.flows.watch(t.backend);
        ranking.place(i, key_of(c, r, t));
        BackendState* b = state_of(c, t.backend);
        if (!b) continue;
        b->ranked_in = c.view.serial;
        b->service = service;
        b->position = i;
        b->weight = t.weight;
        b->by_load = t.weight != 0 && !may_be_overloaded(c, t.backend, *b);
    }
    ranking.build(uint32_t(targets.size()));
}

}  // namespace

scheduler::Load load_of(Context& c, uint32_t slot) {
    const BackendState* others = state_of(c, slot);
    return others ? load_with(c, slot, *others) : scheduler::Load{};
}

// LVS: a connection that begins makes its backend overloaded if there are then as many as the upper
// threshold, one that ends makes it available if fewer than the lower one are left; without a lower
// one, three quarters of the upper one. So a threshold that was edited has to wait for either,
// except that a higher upper one, or none, makes the backend available at once. A slot without a
// row cannot be counted.
bool is_overloaded(Context& c, uint32_t slot, bool begun) {
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
    const int64_t low = backend.lower ? backend.lower : backend.upper - backend.upper / 4;
    const auto see = [&](int64_t total) {
        const int64_t before = b->total == BackendState::kNotCounted ? total : b->total;
        b->total = total;
        if (total > before && total >= int64_t(backend.upper)) b->overloaded = true;
        if (total < before && total < low) b->overloaded = false;
    };
    const int64_t total = load_of(c, slot).total;
    if (begun) see(total - 1);  // a template's connection: nobody has looked before it began
    see(total);
    return b->overloaded;
}

uint32_t position_of(Context& c, uint32_t slot) {
    const BackendState* b = slot < c.view.services.backends.size() ? state_of(c, slot) : nullptr;
    return b ? b->position : ~0u;
}

void look_at_others(Context& c, const ServiceRuntime& service, ServiceState& state) {
    const uint32_t workers = c.counters.workers();
    if (workers < 2 || !service.weighs || c.now_us - state.others_at_us < kOthersFresh) return;
    state.others_at_us = c.now_us;
    const auto& targets = service.view.targets;
    for (size_t i = 0; i < targets.size(); ++i) {
        const uint32_t slot = targets[i].backend;
        BackendState* b = state_of(c, slot);
        if (!b) continue;
        int64_t active = 0, inactive = 0;
        for (uint32_t w = 0; w < workers; ++w) {
            if (w == c.worker) continue;
            const shm::Row* rows = c.counters.backends(w);
            if (i + kAhead < targets.size())
                __builtin_prefetch(&rows[targets[i + kAhead].backend].active);
            active += int64_t(rows[slot].active.get());
            inactive += int64_t(rows[slot].inactive.get());
        }
        if (active == b->active && inactive == b->inactive) continue;
        b->active = active;
        b->inactive = inactive;
        c.flows.touch(slot);
    }
}

void rank_again(Context& c, uint32_t slot) {
    const shm::Services& services = c.view.services;
    if (slot >= services.backends.size() || !services.backends[slot].present) return;
    const uint32_t index = services.backends[slot].service;
    const ServiceRuntime& r = c.view.runtime[index];
    const uint32_t service_slot = services.services[index].slot;
    if (!has_ranking(c.state, r) || service_slot >= c.state.services.size()) return;
    // A ranking of before is built anew when its service is next asked for.
    if (c.state.services[service_slot].ranked_in != c.view.serial) return;
    const uint32_t at = c.state.backends[slot].position;
    if (at >= r.view.targets.size() || r.view.targets[at].backend != slot) return;
    ranking_of(c.state, r).set(at, key_of(c, r, r.view.targets[at]));
}

bool rank(Context& c, uint32_t service, ServiceState& state, scheduler::Ranking& ranking) {
    const ServiceRuntime& r = c.view.runtime[service];
    if (!has_ranking(c.state, r)) return false;
    ranking = ranking_of(c.state, r);
    const uint64_t serial = c.view.serial;
    const std::span states(c.state.backends);
    c.flows.take_touched([&](uint32_t slot) {
        // Mostly the one that this service has given its last connection.
        if (slot < states.size()) [[likely]]
            if (const BackendState& b = states[slot];
                b.ranked_in == serial && b.service == service && b.by_load) [[likely]]
                return ranking.set(
                    b.position, r.scheduler->rank(load_with(c, slot, b), b.weight, r.rank_shift));
        rank_again(c, slot);
    });
    if (state.ranked_in != serial) [[unlikely]] {
        build(c, service, ranking);
        state.ranked_in = serial;
    }
    return true;
}

}  // namespace torii::stages
