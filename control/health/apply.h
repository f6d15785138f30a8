#pragma once
// What the state of servers does to the tables: the last pure step before they are compiled. A
// service always goes from one complete list to the next; there is no moment without a server that
// the rules do not ask for.
//
// - A server that is down is removed, or keeps weight 0 with inhibit_on_failure.
// - Without quorum the sorry server takes the new connections; servers that are up stay with weight
//   0, so that their connections go on.

#include <map>
#include <optional>
#include <set>
#include <string>

#include "control/desired.h"
#include "healthcheck/service.h"

namespace torii::health {

using control::Desired;
using control::Destination;
using control::ServiceKey;
using healthcheck::TimePoint;

struct ServerHealth {
    bool up = true;
    TimePoint changed{};              ///< since when
    std::vector<uint16_t> said = {};  ///< weights that its scripts ask for
    friend bool operator==(const ServerHealth&, const ServerHealth&) = default;
};

struct ServiceHealth {
    bool inhibit = false;
    healthcheck::QuorumRules quorum;
    std::optional<Endpoint> sorry;
    uint32_t max_down = 0;                ///< per cent; 0 = no bound
    healthcheck::Duration slow_start{0};  ///< 0 = a server that comes back gets its weight at once
    bool has_quorum = true;
    std::map<Endpoint, ServerHealth> servers = {};  ///< those that are checked
    friend bool operator==(const ServiceHealth&, const ServiceHealth&) = default;
};

struct HealthState {
    std::map<ServiceKey, control::Shared<ServiceHealth>> services;
    friend bool operator==(const HealthState&, const HealthState&) = default;
};

struct QuorumChange {
    ServiceKey service;
    bool has_quorum;
    uint64_t weight;  ///< of the servers that are up
};

struct Applied {
    Desired desired;
    std::vector<QuorumChange> changes;
    std::optional<TimePoint> again;  ///< when a slow start goes on
};

/// The same health, not merely an equal one.
struct SameHealth {
    control::Shared<ServiceHealth> health;
    friend bool operator==(const SameHealth& a, const SameHealth& b) {
        return a.health.same(b.health);
    }
};
using HealthMemory = control::Remembered<SameHealth>;

/// Servers that `state` does not know are up. `state` is as before; remember() takes the changes.
/// `memory`: of former calls.
Applied apply_health(Desired, const HealthState& state, TimePoint now, HealthMemory& memory);
Applied apply_health(Desired, const HealthState& state, TimePoint now);
void remember(HealthState&, const std::vector<QuorumChange>&);

/// Whether every virtual of a configured service has its quorum: of each of `names`, false for one
/// that the tables do not have. A service that nobody watches has its quorum while any server of
/// it takes connections.
std::map<std::string, bool> quorums(const std::set<std::string>& names, const Desired&,
                                    const HealthState&);

}  // namespace torii::health
