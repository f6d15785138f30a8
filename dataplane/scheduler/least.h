#pragma once
// A scan of a list for the least loaded target: what every scheduler of the least-connection kind
// comes to, and the yardstick for rankings. Private to this folder.

#include "dataplane/scheduler/rows.h"

namespace torii::scheduler {

/// The eligible target with the smallest busy / weight, the first among equals. `measure` says how
/// busy a target is. Quotients are compared by cross-multiplication: a/b < c/d as a*d < c*b.
template <class Measure>
uint32_t least_loaded(const ServiceView& view, const Loads& loads, Measure&& measure) {
    uint32_t best = kNoBackend;
    int64_t least = 0, weight = 0;
    for (const Target& t : view.targets) {
        if (!loads.eligible(t)) continue;
        const int64_t busy = measure(loads.of(t.backend));
        if (best != kNoBackend && busy * weight >= least * int64_t(t.weight)) continue;
        best = t.backend;
        least = busy;
        weight = t.weight;
    }
    return best;
}

/// By the kernel's measure (ip_vs_dest_conn_overhead): from the ranking where there is one.
uint32_t least_overhead(const ServiceView&, const Loads&);

}  // namespace torii::scheduler
