// lc: the eligible target with the fewest connections; the first in the list among equals.

#include "dataplane/scheduler/ranking.h"
#include "dataplane/scheduler/rows.h"

namespace torii::scheduler {

uint64_t lc_rank(Load load, uint32_t, uint32_t) { return quotient(load.overhead(), 1, 0); }

uint32_t lc_pick(const ServiceView& view, Cursor&, const Loads& loads, const Key&) {
    if (loads.ranking) return champion(view, *loads.ranking);
    uint32_t best = kNoBackend;
    int64_t least = 0;
    for (const Target& t : view.targets) {
        if (!loads.eligible(t)) continue;
        const int64_t overhead = loads.of(t.backend).overhead();
        if (best != kNoBackend && overhead >= least) continue;
        best = t.backend;
        least = overhead;
    }
    return best;
}

}  // namespace torii::scheduler
