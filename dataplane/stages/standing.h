#pragma once
// How busy backends are: what this worker counts itself, together with what it last saw the others
// count; thresholds; and the rankings that schedulers choose from.

#include "dataplane/scheduler/ranking.h"
#include "dataplane/stages/context.h"

namespace torii::stages {

/// Connections of a backend over all workers; others' are at most 1 ms old where they matter.
scheduler::Load load_of(Context&, uint32_t slot);

/// Whether a backend has reached its upper threshold. Looks at the counts, as LVS does when a
/// connection begins or ends; `begun` says that one has just begun.
bool is_overloaded(Context&, uint32_t slot, bool begun = false);

/// Where a backend is in its service's list, by its ranking; ~0u when it has none.
uint32_t position_of(Context&, uint32_t slot);

/// Adds up what the other workers count on the service's backends, if that is older than 1 ms.
void look_at_others(Context&, const ServiceRuntime&, ServiceState&);

/// Brings a service's ranking up to date. False: it has none.
bool rank(Context&, uint32_t service, ServiceState&, scheduler::Ranking&);

/// The key of one backend again: its counts are about to look different.
void rank_again(Context&, uint32_t slot);

}  // namespace torii::stages
