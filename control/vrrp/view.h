#pragma once
// What is known about instances in the event loop, and what the API tells of it. Pure but for the
// clock.

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/api/vrrp.h"
#include "control/vrrp/messages.h"

namespace torii::control::vrrp {

/// One instance as far as the event loop has heard.
struct Known {
    Key key = 0;
    std::string name, group, interface;
    config::VrrpNotify notify;
    std::vector<torii::vrrp::Tracked> tracked;
    std::string missing;  ///< what it stands on and has not, as a sentence
    torii::vrrp::Role role = torii::vrrp::Role::initialize;
    torii::vrrp::Reason reason = torii::vrrp::Reason::none;
    unsigned priority = 0;
    std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
    bool gone = false;  ///< is configured no more; its last transition is still to come

    /// Follows a new plan; what was seen of a thing stays known.
    void take(const InstancePlan&, const std::string& group_name, const config::VrrpNotify&);
};

/// What the threads have told.
struct Picture {
    std::unique_ptr<Report> report;
    std::vector<std::string> warnings;
};

api::Vrrp view_of(const Plan&, const std::map<Key, Known>&,
                  const std::map<std::string, torii::vrrp::Role>& groups, const Picture&);

}  // namespace torii::control::vrrp
