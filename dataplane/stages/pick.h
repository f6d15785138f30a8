#pragma once
// Which backend a new connection goes to: the service's scheduler, fed with what all workers count.

#include "dataplane/stages/context.h"
#include "dataplane/stages/packet.h"

namespace torii::stages {

/// Backend slot for a new connection of p.service, or ~0u when no backend is eligible.
uint32_t pick(Context&, const Packet&);

/// To be called once the connection counts: its backend may have reached its upper threshold.
void picked(Context&, const Packet&, uint32_t slot);

/// Backend slot of a service's target (an index into its list), or ~0u if it is not present.
uint32_t backend_at(const View&, uint32_t service, uint32_t target);

}  // namespace torii::stages
