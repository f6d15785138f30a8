#pragma once
// View: one pair of generations (services, routes) with what is derived from it, immutable while in
// force. Built by the dataplane's main thread (or a test); workers see one View for a whole burst.

#include <memory>
#include <span>
#include <vector>

#include "dataplane/scheduler/scheduler.h"
#include "dataplane/shm/routes.h"
#include "dataplane/shm/services.h"

namespace torii::stages {

struct ServiceRuntime {
    const scheduler::Scheduler* scheduler = nullptr;
    scheduler::ServiceView view;
    std::span<const uint32_t> consistent;  ///< empty for NAT services
};

struct View {
    shm::Services services;
    shm::Routes routes;
    std::vector<ServiceRuntime> runtime;  ///< one a service, same order
    std::vector<uint32_t>
        backend_next_hop;       ///< by slot: index into routes.next_hops, or kNoNextHop
    uint32_t routes_stamp = 0;  ///< changes with every routes generation; never 0

    /// Resolves schedulers by name and a next hop for every backend. Errc::layout for an unknown
    /// scheduler or sections that do not fit its types. The objects must outlive the View.
    static Result<std::unique_ptr<View>> make(const shm::Services&, const shm::Routes&,
                                              uint32_t routes_stamp);
};

}  // namespace torii::stages
