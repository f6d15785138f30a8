#pragma once
// What toriid tells about health checks, as plain structs, and their JSON. See model.h.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "control/api/model.h"

namespace torii::api {

/// A server of a service that a check speaks for.
struct CheckedServer {
    std::string service, virtual_service, server, backend;
    friend bool operator==(const CheckedServer&, const CheckedServer&) = default;
};

struct Check {
    std::string type, target;
    std::string via;  ///< the virtual address, for via: service
    bool up = false, proven = false;
    bool held = false;    ///< down because it flapped
    uint32_t streak = 0;  ///< results in a row that contradict `up`
    uint64_t seconds_in_state = 0;
    std::string reason, detail, warning;  ///< of the last result; reason is empty before it
    uint64_t duration_us = 0;             ///< of the last probe
    uint64_t good = 0, bad = 0;           ///< results since the check began
    int32_t weight = -1;                  ///< what its script asks for; -1 = nothing
    std::vector<CheckedServer> servers;
    friend bool operator==(const Check&, const Check&) = default;
};

/// An LVS service whose servers are checked.
struct ServiceHealth {
    std::string virtual_service;
    bool quorum = true;
    uint64_t up = 0, servers = 0;  ///< how many of its checked servers are up
    friend bool operator==(const ServiceHealth&, const ServiceHealth&) = default;
};

/// What an operator said by hand.
struct HeldServer {
    std::string server, service;  ///< no service: every one
    std::string state;            ///< up, drain, down
    friend bool operator==(const HeldServer&, const HeldServer&) = default;
};

struct Lateness {
    uint64_t up_to_us = 0;  ///< 0 = without bound
    uint64_t probes = 0;
    friend bool operator==(const Lateness&, const Lateness&) = default;
};

struct Health {
    std::vector<Check> checks;
    std::vector<ServiceHealth> services;
    std::vector<HeldServer> held;
    std::map<std::string, std::map<std::string, uint64_t>> results;  ///< by type, by reason
    uint64_t started = 0, late = 0;  ///< probes; late: began over 50 ms after their time
    std::vector<Lateness> lateness;  ///< probes by how long after their time they began
    uint64_t lateness_sum_us = 0, worst_delay_us = 0, most_running = 0;
    /// Times that the checker itself got no processor or was stopped, and for how long together.
    uint64_t absences = 0, away_us = 0;
    friend bool operator==(const Health&, const Health&) = default;
};

std::string to_json(const Health&);
template <>
Result<Health> from_json(std::string_view);

}  // namespace torii::api
