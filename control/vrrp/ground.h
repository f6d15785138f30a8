#pragma once
// Whether an instance has what it stands on: a link that is up, and an address to send from. Pure.

#include <string>

#include "control/kernel/interfaces.h"
#include "control/vrrp/plan.h"

namespace torii::control::vrrp {

struct Footing {
    uint32_t ifindex = 0;
    Address local;
    std::string reason;  ///< why it has none, as a sentence; empty when it has
};

/// IPv4 adverts come from the configured source or the first address of the interface that is
/// nobody's virtual address; an owner has only such. IPv6 adverts come from its link-local address.
Footing footing_of(const Plan&, const InstancePlan&, const kernel::Interfaces&);

}  // namespace torii::control::vrrp
