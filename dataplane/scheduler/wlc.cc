// wlc: the eligible target with the fewest connections for its weight; the first in the list among
// equals.

#include "dataplane/scheduler/least.h"
#include "dataplane/scheduler/ranking.h"

namespace torii::scheduler {

uint64_t wlc_rank(Load load, uint32_t weight, uint32_t shift) {
    return quotient(load.overhead(), weight, shift);
}

uint32_t least_overhead(const ServiceView& view, const Loads& loads) {
    if (loads.ranking) return champion(view, *loads.ranking);
    return least_loaded(view, loads, [](const Load& load) { return load.overhead(); });
}

uint32_t wlc_pick(const ServiceView& view, Cursor&, const Loads& loads, const Key&) {
    return least_overhead(view, loads);
}

}  // namespace torii::scheduler
