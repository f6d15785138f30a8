#pragma once
// Sums over the workers' counters. A moment's estimate while packets flow.

#include <array>
#include <vector>

#include "control/slots.h"
#include "dataplane/shm/counters.h"

namespace torii::control {

/// Connections of one backend, over all workers; never negative here.
struct Connections {
    uint64_t active = 0, inactive = 0, persistent = 0;
};

struct Tally {
    std::vector<Usage> backends, services;  ///< by slot
    std::vector<Connections> connections;   ///< by backend slot
    uint64_t received = 0, waiting = 0, transmitted = 0, transmitted_bytes = 0, events_lost = 0;
    uint64_t insertions = 0, expired = 0, recycled = 0, full = 0, stateless = 0;
    std::array<uint64_t, shm::kMaxVerdicts> verdicts{};
};

/// The first `services` and `backends` rows (as many as there are); null counters give zeros.
Tally tally(const shm::Counters*, size_t services, size_t backends);

/// One slot alone; zeros where there is none.
Usage backend_usage(const shm::Counters*, uint32_t slot);
Usage service_usage(const shm::Counters*, uint32_t slot);

/// What was counted since the base; a base above it (counters made anew) counts as zero.
shm::CounterBase since(const shm::CounterBase& counted, const shm::CounterBase& base);

}  // namespace torii::control
