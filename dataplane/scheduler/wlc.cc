// wlc: the eligible target with the fewest connections for its weight; the first in the list among
// equals. Quotients are compared by cross-multiplication: a/b < c/d as a*d < c*b.

#include "dataplane/scheduler/rows.h"

namespace torii::scheduler {

uint32_t wlc_pick(const ServiceView& view, Cursor&, const Loads& loads, const Key&) {
    uint32_t best = kNoBackend;
    int64_t least = 0, weight = 0;
    for (const Target& t : view.targets) {
        if (!loads.eligible(t)) continue;
        const int64_t overhead = loads.of(t.backend).overhead();
        if (best != kNoBackend && overhead * weight >= least * int64_t(t.weight)) continue;
        best = t.backend;
        least = overhead;
        weight = t.weight;
    }
    return best;
}

}  // namespace torii::scheduler
