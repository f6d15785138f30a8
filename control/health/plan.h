#pragma once
// Which checks a configuration asks for, and which servers of which services each of them speaks
// for. Pure functions. Checks of the same target with the same settings are one.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/model/config.h"
#include "control/health/apply.h"
#include "control/manual.h"
#include "healthcheck/engine.h"

namespace torii::health {

/// A server of an LVS service that a check speaks for.
struct Member {
    ServiceKey service;
    Endpoint backend;
    std::string service_name, server_name;  ///< the latter is empty when given by address
};

struct PlannedCheck {
    healthcheck::Check check;
    std::vector<Member> members;
};

/// Commands for what becomes of a service and its servers.
struct ServicePrograms {
    std::string service;
    std::vector<std::string> on_up, on_down;  ///< of the quorum
    config::Notify servers;
};

struct Plan {
    std::vector<PlannedCheck> checks;
    /// Positions in `checks`, of every server that is checked.
    std::map<std::pair<ServiceKey, Endpoint>, std::vector<uint32_t>> of_server;
    std::map<ServiceKey, std::shared_ptr<const ServicePrograms>> programs;  ///< of those with any
    /// With every server as if it had not been probed yet.
    HealthState state;
};

/// What is known when toriid starts. A server that the tables lack was down and begins so, unless
/// it is held by hand; a service whose sorry server stands there, or whose servers there weigh too
/// little, had no quorum.
struct Before {
    const Desired& tables;
    const control::Manual& held;
};

/// Without `before`, servers begin as start_down says.
Plan make_plan(const config::Config&, const Before* before);

}  // namespace torii::health
