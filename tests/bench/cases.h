#pragma once
// The cases of torii-bench, a family each.

#include "tests/bench/results.h"

namespace torii::bench {

/// pipeline/{nat,dr}/{ipv4,ipv6}/flows=N in ns/packet, with their /requests, /replies
/// and /requests/tcp (nothing for the branch predictor to guess); and
/// ceiling/macswap, measured in between them.
void measure_pipeline(Report&, const Effort&);

/// connections/new/SCHEDULER in 1/s.
void measure_connections(Report&, const Effort&);

/// memory/connection in bytes: what the process grows by.
void measure_memory(Report&, const Effort&);

}  // namespace torii::bench
