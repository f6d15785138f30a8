// nq: never queue: the first eligible target without an active connection, whatever its weight; if
// there is none, as sed.

#include "dataplane/scheduler/ranking.h"
#include "dataplane/scheduler/rows.h"

namespace torii::scheduler {

// (0 + 1) / weight is above 0 at any weight: a key of 0 is only an idle target's.
uint64_t nq_rank(Load load, uint32_t weight, uint32_t shift) {
    return load.active == 0 ? 0 : sed_rank(load, weight, shift);
}

uint32_t nq_pick(const ServiceView& view, Cursor& cursor, const Loads& loads, const Key& key) {
    if (loads.ranking) return champion(view, *loads.ranking);
    for (const Target& t : view.targets)
        if (loads.eligible(t) && loads.of(t.backend).active == 0) return t.backend;
    return sed_pick(view, cursor, loads, key);
}

}  // namespace torii::scheduler
