// sed: the eligible target that would serve one more connection soonest, (active + 1) / weight; the
// first in the list among equals. Inactive connections do not count.

#include "dataplane/scheduler/least.h"
#include "dataplane/scheduler/ranking.h"

namespace torii::scheduler {

uint64_t sed_rank(Load load, uint32_t weight, uint32_t shift) {
    return quotient(load.active + 1, weight, shift);
}

uint32_t sed_pick(const ServiceView& view, Cursor&, const Loads& loads, const Key&) {
    if (loads.ranking) return champion(view, *loads.ranking);
    return least_loaded(view, loads, [](const Load& load) { return load.active + 1; });
}

}  // namespace torii::scheduler
