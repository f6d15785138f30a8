#pragma once
// affinity: persistence, a client keeps its backend (LVS: ip_vs_sched_persist). Only packets that
// begin a connection come here.

#include "dataplane/stages/context.h"
#include "dataplane/stages/packet.h"

namespace torii::stages {

/// Where a new connection goes.
struct Choice {
    uint32_t slot = ~0u;             ///< backend slot, ~0u = nowhere
    uint32_t control = flow::kNone;  ///< the template that holds it there and counts it already
};

/// The backend of the client's template, else the scheduler's choice, which makes the template. A
/// weight of 0 and a reached threshold do not part a client from its backend.
Choice choose_backend(Context&, const Packet&);

/// The connection that was chosen for was not made.
void give_up(Context&, const Choice&);

/// The server's port for a new connection: that of the backend, unless the service takes every
/// port.
be16 backend_port(const shm::ServiceRecord&, const shm::BackendRecord&, be16 destination);

}  // namespace torii::stages
