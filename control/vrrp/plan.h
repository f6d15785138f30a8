#pragma once
// What the threads of VRRP are told to do, made from the configuration. Plain values: each thread
// has a copy of its own.

#include <map>
#include <string>
#include <vector>

#include "config/model/vrrp.h"
#include "vrrp/codec.h"
#include "vrrp/fsm.h"
#include "vrrp/track.h"

namespace torii::control::vrrp {

/// Names an instance as long as it is the same virtual router; never used again.
using Key = uint32_t;

struct InstancePlan {
    Key key = 0;
    std::string name, interface;
    torii::vrrp::Identity identity;              ///< without `local`, which the interface decides
    torii::vrrp::Settings settings;              ///< without `local`; with the configured priority
    Address source;                              ///< unspecified = the interface's first
    std::vector<config::VrrpAddress> addresses;  ///< told or not, all that it holds
    std::vector<config::VrrpRoute> routes;
    bool virtual_mac = false, accept = true;
    config::Duration announce_interval{0};
    std::vector<torii::vrrp::Tracked> tracked;  ///< whose health is filled in later
    size_t group = 0;                           ///< its place in Plan::groups
    friend bool operator==(const InstancePlan&, const InstancePlan&) = default;
};

/// Instances that move together; every instance is in exactly one.
struct GroupPlan {
    std::string name;             ///< empty for an instance of its own
    std::vector<size_t> members;  ///< places in Plan::instances
    friend bool operator==(const GroupPlan&, const GroupPlan&) = default;
};

struct Plan {
    std::vector<InstancePlan> instances;
    std::vector<GroupPlan> groups;
    unsigned realtime = 0;     ///< SCHED_FIFO priority; 0 = an ordinary thread
    bool backup_only = false;  ///< see StandbyBook
    friend bool operator==(const Plan&, const Plan&) = default;

    const InstancePlan* find(Key) const;
};

/// Gives instances their keys: the same one over reloads as long as name, interface, router id,
/// version and family stay, for then it is the same virtual router.
class Keys {
public:
    Key of(const config::VrrpInstance&);

private:
    std::map<std::string, Key> known_;
    Key last_ = 0;
};

Plan make_plan(const config::Vrrp&, bool backup_only, Keys&);

/// The things an instance watches, in the order of Plan's `tracked`.
std::vector<torii::vrrp::Tracked> tracked_of(const config::VrrpTrack&);

}  // namespace torii::control::vrrp
