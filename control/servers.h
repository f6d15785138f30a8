#pragma once
// Servers: which servers' next hops the kernel keeps resolved: those of everything that is to be,
// whether they are up or not, and those that say sorry. Who comes is told at once, who has gone
// within Network::kRefresh. One thread.

#include "control/desired.h"
#include "control/health/apply.h"
#include "control/network.h"

namespace torii::control {

class Servers {
public:
    /// The Network must outlive it.
    explicit Servers(Network& network) : network_(network) {}

    /// Another state; costs what is new in it.
    void add(const Desired&);
    /// The whole of it.
    void set(const Desired&, const health::HealthState&);
    /// Call it every Network::kRefresh.
    void tidy(const Desired& d, const health::HealthState& h) {
        if (!exact_) set(d, h);
    }

private:
    Network& network_;
    ServiceList told_;
    bool exact_ = false;  // and no others are kept resolved
};

}  // namespace torii::control
