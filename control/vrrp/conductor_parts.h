#pragma once
// What a Conductor keeps; for conductor*.cc alone.

#include <optional>

#include "control/vrrp/conductor.h"

namespace torii::control::vrrp {

namespace pure = torii::vrrp;

struct Conductor::Instance {
    InstancePlan* plan = nullptr;  // its tracked things have their health
    pure::Identity identity;
    pure::Settings settings;
    Ground ground;
    bool ground_known = false, addresses_changed = false;
    Group* group = nullptr;
    size_t member = 0;
    Counters counters;
    Key key = 0;
    pure::State kept;  // between two plans
    bool fresh = true;
    std::optional<bool> waits;  // what the hands were told last

    pure::State& state() const;
};

struct Conductor::Group {
    std::vector<pure::Member> members;
    std::vector<Instance*> instances;
};

struct Conductor::Port {
    AdvertSocket* socket = nullptr;
    std::array<Instance*, 256> by_id{};
};

inline pure::State& Conductor::Instance::state() const { return group->members[member].state; }

}  // namespace torii::control::vrrp
