#include "dataplane/stages/pick.h"

#include "dataplane/stages/stages.h"
#include "dataplane/stages/standing.h"

namespace torii::stages {
namespace {

Context& context_of(const void* p) { return *static_cast<Context*>(const_cast<void*>(p)); }

scheduler::Loads loads_of(Context& c) {
    scheduler::Loads loads;
    loads.context = &c;
    loads.read = [](const void* x, uint32_t slot) { return load_of(context_of(x), slot); };
    loads.overloaded = [](const void* x, uint32_t slot) {
        return is_overloaded(context_of(x), slot);
    };
    return loads;
}

ServiceState* state_of(Context& c, const shm::ServiceRecord& record) {
    if (record.slot >= c.state.services.size()) return nullptr;
    ServiceState& state = c.state.services[record.slot];
    if (state.slot_generation != record.slot_generation) [[unlikely]] {
        state = {.slot_generation = record.slot_generation};
        state.cursor.worker = c.worker;
        state.cursor.random = c.state.seed.a + record.slot * 2654435761u + c.worker;
        state.cursor.service = uint64_t(record.slot_generation) << 32 | (record.slot + 1);
        state.cursor.locality = &c.state.locality;
    }
    return &state;
}

}  // namespace

uint32_t pick(Context& c, const Packet& p) {
    const ServiceRuntime& service = c.view.runtime[p.service];
    ServiceState* state = state_of(c, c.view.services.services[p.service]);
    if (!state) return scheduler::kNoBackend;
    look_at_others(c, service, *state);
    scheduler::Loads loads = loads_of(c);
    const scheduler::Key key{source_of(p), destination_of(p), p.source_port.host(),
                             uint32_t(c.now_us / 1'000'000)};
    // The connection that this one replaces still counts, as in LVS.
    c.state.ending = p.former;
    scheduler::Ranking ranking;
    if (service.rank_size != 0 && rank(c, p.service, *state, ranking)) {
        if (p.former != ~0u) [[unlikely]]
            rank_again(c, p.former);
        loads.ranking = &ranking;
        loads.position = [](const void* x, uint32_t slot) {
            return position_of(context_of(x), slot);
        };
    }
    const uint32_t slot =
        scheduler::choose(*service.scheduler, service.view, state->cursor, loads, key);
    c.state.ending = ~0u;
    if (p.former != ~0u) [[unlikely]]
        c.flows.touch(p.former);
    return slot;
}

// LVS ends a connection whose client uses its port again just after it has begun the new one.
void picked(Context& c, const Packet& p, uint32_t slot) {
    c.state.ending = p.former;
    is_overloaded(c, slot, true);
    c.state.ending = ~0u;
    if (p.former == slot) is_overloaded(c, slot);
}

uint32_t backend_at(const View& view, uint32_t service, uint32_t target) {
    const auto& targets = view.runtime[service].view.targets;
    return target < targets.size() ? targets[target].backend : scheduler::kNoBackend;
}

}  // namespace torii::stages
