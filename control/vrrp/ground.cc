#include "control/vrrp/ground.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "control/kernel/editor.h"

namespace torii::control::vrrp {
namespace {

bool is_virtual(const Plan& plan, const Address& a) {
    return std::any_of(plan.instances.begin(), plan.instances.end(), [&](const InstancePlan& i) {
        return std::any_of(i.addresses.begin(), i.addresses.end(),
                           [&](const auto& v) { return v.prefix.address == a; });
    });
}

bool fits(const InstancePlan& i, const kernel::InterfaceAddress& a) {
    const Address& address = a.prefix.address;
    if (a.tentative || address.family() != i.identity.family) return false;
    if (i.source != Address{} && !i.source.is_unspecified()) return address == i.source;
    return address.is_v4() || address.is_link_local();
}

std::optional<Address> local_of(const Plan& plan, const InstancePlan& i,
                                const kernel::Interface& on) {
    std::optional<Address> own;
    for (const kernel::InterfaceAddress& a : on.addresses) {
        if (!fits(i, a)) continue;
        if (!is_virtual(plan, a.prefix.address)) return a.prefix.address;
        // An owner's address is its own; what an earlier run left is not.
        if (!own && a.protocol != kernel::kVrrpMark) own = a.prefix.address;
    }
    return own;
}

}  // namespace

Footing footing_of(const Plan& plan, const InstancePlan& i, const kernel::Interfaces& all) {
    Footing f;
    const kernel::Interface* on = all.find(std::string_view(i.interface));
    if (on == nullptr) {
        f.reason = fmt::format("there is no interface {}", i.interface);
        return f;
    }
    f.ifindex = on->link.ifindex;
    if (!on->link.up) {
        f.reason = fmt::format("interface {} is down", i.interface);
        return f;
    }
    const auto local = local_of(plan, i, *on);
    if (local) {
        f.local = *local;
    } else if (i.source != Address{} && !i.source.is_unspecified()) {
        f.reason = fmt::format("interface {} does not have the source address {}", i.interface,
                               to_string(i.source));
    } else {
        f.reason = fmt::format("interface {} has no {} address to send from", i.interface,
                               i.identity.family == Family::ipv4 ? "IPv4" : "IPv6 link-local");
    }
    return f;
}

}  // namespace torii::control::vrrp
