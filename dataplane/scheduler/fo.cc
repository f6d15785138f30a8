// fo: failover: the eligible target with the highest weight takes every connection; the first in
// the list among equals.
// ovf: overflow: the same, but a target takes no more than its weight in active connections, and
// one over, before the next heaviest gets any.

#include "dataplane/scheduler/ranking.h"
#include "dataplane/scheduler/rows.h"

namespace torii::scheduler {
namespace {

bool overflows(const Load& load, uint32_t weight) { return load.active > int64_t(weight); }

template <class May>
uint32_t heaviest(const ServiceView& view, const Loads& loads, May&& may) {
    uint32_t best = kNoBackend, weight = 0;
    for (const Target& t : view.targets) {
        if (t.weight <= weight || !loads.eligible(t) || !may(t)) continue;
        best = t.backend;
        weight = t.weight;
    }
    return best;
}

}  // namespace

uint64_t fo_rank(Load, uint32_t weight, uint32_t) { return uint64_t(UINT32_MAX) - weight; }

uint64_t ovf_rank(Load load, uint32_t weight, uint32_t) {
    return overflows(load, weight) ? kOut : uint64_t(UINT32_MAX) - weight;
}

uint32_t fo_pick(const ServiceView& view, Cursor&, const Loads& loads, const Key&) {
    if (loads.ranking) return champion(view, *loads.ranking);
    return heaviest(view, loads, [](const Target&) { return true; });
}

uint32_t ovf_pick(const ServiceView& view, Cursor&, const Loads& loads, const Key&) {
    if (loads.ranking) return champion(view, *loads.ranking);
    return heaviest(view, loads,
                    [&](const Target& t) { return !overflows(loads.of(t.backend), t.weight); });
}

}  // namespace torii::scheduler
