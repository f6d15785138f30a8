#pragma once
// Which checks a configuration asks for, and which servers of which services each of them speaks
// for. Pure functions. Checks of the same target with the same settings are one.

#include <map>
#include <string>
#include <vector>

#include "config/model/config.h"
#include "control/health/apply.h"
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

struct Plan {
    std::vector<PlannedCheck> checks;
    /// Positions in `checks`, of every server that is checked.
    std::map<std::pair<ServiceKey, Endpoint>, std::vector<uint32_t>> of_server;
    /// With every server as if it had not been probed yet.
    HealthState state;
};

/// `before` are the tables in force when nothing is known yet: a server that they lack, or that has
/// weight 0 there, was down and begins so. Null: servers begin as start_down says.
Plan make_plan(const config::Config&, const Desired* before);

}  // namespace torii::health
