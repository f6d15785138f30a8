#pragma once
// What toriid tells about VRRP, as plain structs, and their JSON.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "control/api/model.h"

namespace torii::api {

/// Sent adverts by how late they were: `up_to_us` microseconds or less; the last has no bound (0).
struct VrrpLateness {
    uint64_t up_to_us = 0, adverts = 0;
    friend bool operator==(const VrrpLateness&, const VrrpLateness&) = default;
};

struct VrrpInstance {
    std::string name, group;  ///< group is empty for an instance of its own
    std::string interface, family;
    uint32_t router_id = 0, version = 0;
    std::string state;   ///< initialize, backup, active, fault
    std::string reason;  ///< of the last transition
    double since_seconds = 0;
    uint32_t priority = 0, configured_priority = 0;
    std::vector<std::string> influences;  ///< why the two differ, and what is missing
    uint64_t interval_us = 0;
    std::vector<std::string> addresses;
    std::string active_router;  ///< who was heard last; empty when nobody was
    uint32_t active_priority = 0;
    uint64_t active_interval_us = 0;
    uint64_t sent = 0, received = 0, resignations_sent = 0, resignations_received = 0;
    uint64_t late = 0, send_failed = 0, weaker = 0;
    std::map<std::string, uint64_t> refused;      ///< adverts by why
    std::map<std::string, uint64_t> transitions;  ///< by the state entered
    std::vector<VrrpLateness> lateness;
    uint64_t lateness_sum_us = 0;
    friend bool operator==(const VrrpInstance&, const VrrpInstance&) = default;
};

struct VrrpGroup {
    std::string name;
    std::string state;  ///< empty while its members differ
    std::vector<std::string> members;
    friend bool operator==(const VrrpGroup&, const VrrpGroup&) = default;
};

struct Vrrp {
    std::vector<VrrpGroup> groups;
    std::vector<VrrpInstance> instances;
    uint64_t lost = 0;                  ///< messages dropped because too many waited
    std::vector<std::string> warnings;  ///< such as missing real-time priority
    friend bool operator==(const Vrrp&, const Vrrp&) = default;
};

/// One line of GET /v1/events.
struct VrrpEvent {
    std::string time;   ///< UTC, RFC 3339 with microseconds
    std::string event;  ///< transition, priority, weaker
    std::string kind;   ///< instance, group
    std::string name, state, reason;
    uint32_t priority = 0;
    friend bool operator==(const VrrpEvent&, const VrrpEvent&) = default;
};

std::string to_json(const Vrrp&);
std::string to_json(const VrrpEvent&);  ///< one line, without its end
template <>
Result<Vrrp> from_json(std::string_view);
template <>
Result<VrrpEvent> from_json(std::string_view);

}  // namespace torii::api
