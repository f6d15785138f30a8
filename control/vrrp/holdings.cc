#include "control/vrrp/holdings.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "vrrp/codec.h"

namespace torii::control::vrrp {
namespace {

const kernel::InterfaceAddress* find_address(const kernel::Interface* i, const Prefix& p) {
    if (i == nullptr) return nullptr;
    for (const kernel::InterfaceAddress& a : i->addresses)
        if (a.prefix == p) return &a;
    return nullptr;
}

// Whether the kernel has nftables shows only when it is asked for something.
Result<std::unique_ptr<kernel::InputFilter>> try_out(std::unique_ptr<kernel::InputFilter> filter,
                                                     const std::string& table) {
    if (auto ok = filter->remove(table); !ok) return tl::unexpected(ok.error());
    return filter;
}

void set_sysctl(const std::string& interface, const char* name, const char* value) {
    std::ofstream("/proc/sys/net/ipv4/conf/" + interface + "/" + name) << value;
}

}  // namespace

Holdings::Holdings(kernel::Editor& editor, const kernel::Interfaces& interfaces, Warn warn)
    : editor_(editor), interfaces_(interfaces), warn_(std::move(warn)) {}

void Holdings::warn(const InstancePlan& plan, const Result<>& ok) {
    if (!ok) warn_(plan.key, ok.error().message);
}

// 0 when there is no such link.
uint32_t Holdings::link_of(const InstancePlan& plan, const std::string& interface) const {
    if (interface.empty() || interface == plan.interface)
        if (const auto it = macvlans_.find(plan.key); it != macvlans_.end())
            return it->second.ifindex;
    const kernel::Interface* i =
        interfaces_.find(std::string_view(interface.empty() ? plan.interface : interface));
    return i == nullptr ? 0 : i->link.ifindex;
}

kernel::RouteEdit Holdings::edit_of(const InstancePlan& plan, const config::VrrpRoute& r) const {
    const bool anywhere = r.interface.empty() && !r.via.is_unspecified() && r.via != Address{};
    return {r.destination, r.via,    anywhere ? 0 : link_of(plan, r.interface),
            r.source,      r.metric, r.table};
}

void Holdings::hold(const InstancePlan& plan) {
    set_up(plan, true);
    plan.accept ? admit_input(plan.key) : refuse_input(plan);
    Held& held = held_[plan.key];
    hold_addresses(plan, held);
    hold_routes(plan, held);
}

void Holdings::hold_addresses(const InstancePlan& plan, Held& held) {
    std::vector<Mine> wanted;
    for (const config::VrrpAddress& a : plan.addresses) {
        const Mine mine{link_of(plan, a.interface), a.prefix};
        if (mine.ifindex == 0) {
            warn_(plan.key, fmt::format("cannot add address {}: there is no link {}",
                                        to_string(a.prefix), a.interface));
            continue;
        }
        const bool ours = has(held.addresses, mine);
        const auto* there = find_address(interfaces_.find(mine.ifindex), a.prefix);
        if (there != nullptr && there->protocol != kernel::kVrrpMark && !ours) continue;
        const auto made = editor_.add_address(mine.ifindex, mine.prefix);
        if (!made)
            warn_(plan.key, made.error().message);
        else
            wanted.push_back(mine);
    }
    for (const Mine& m : held.addresses)
        if (!has(wanted, m)) warn(plan, editor_.remove_address(m.ifindex, m.prefix));
    held.addresses = std::move(wanted);
}

void Holdings::hold_routes(const InstancePlan& plan, Held& held) {
    std::vector<kernel::RouteEdit> wanted;
    for (const config::VrrpRoute& r : plan.routes) {
        const kernel::RouteEdit edit = edit_of(plan, r);
        const auto made = editor_.add_route(edit);
        if (!made)
            warn_(plan.key, made.error().message);
        else
            wanted.push_back(edit);  // removed later only if it carries our mark
    }
    for (const kernel::RouteEdit& r : held.routes)
        if (std::find(wanted.begin(), wanted.end(), r) == wanted.end())
            warn(plan, editor_.remove_route(r));
    held.routes = std::move(wanted);
}

void Holdings::release(const InstancePlan& plan) {
    const Held held = std::move(held_[plan.key]);
    held_.erase(plan.key);
    for (const kernel::RouteEdit& r : held.routes) warn(plan, editor_.remove_route(r));
    for (const Mine& m : held.addresses) warn(plan, editor_.remove_address(m.ifindex, m.prefix));
    for (const config::VrrpAddress& a : plan.addresses) {
        const kernel::Interface* i = interfaces_.find(link_of(plan, a.interface));
        const auto* there = find_address(i, a.prefix);
        if (there != nullptr && there->protocol == kernel::kVrrpMark)
            warn(plan, editor_.remove_address(i->link.ifindex, a.prefix));
    }
    if (held.routes.empty())
        for (const config::VrrpRoute& r : plan.routes)
            warn(plan, editor_.remove_route(edit_of(plan, r)));
    if (!plan.accept && filter_) filtered_.emplace(plan.key, table_of(plan));
    admit_input(plan.key);
    set_up(plan, false);
}

// The name says family, router id and interface, so that what a killed run left is found.
std::string Holdings::table_of(const InstancePlan& plan) const {
    const kernel::Interface* i = interfaces_.find(std::string_view(plan.interface));
    return fmt::format("torii_vrrp{}_{}_{}", plan.identity.family == Family::ipv4 ? 4 : 6,
                       plan.identity.router_id, i == nullptr ? 0 : i->link.ifindex);
}

void Holdings::refuse_input(const InstancePlan& plan) {
    if (!filter_) return;  // then it has no ground, and nothing is held
    std::vector<Address> addresses;
    for (const config::VrrpAddress& a : plan.addresses) addresses.push_back(a.prefix.address);
    const auto [it, fresh] = filtered_.emplace(plan.key, table_of(plan));
    warn(plan, filter_->refuse(it->second, addresses));
}

void Holdings::admit_input(Key key) {
    const auto it = filtered_.find(key);
    if (it == filtered_.end()) return;
    if (const auto ok = filter_->remove(it->second); !ok) warn_(key, ok.error().message);
    filtered_.erase(it);
}

bool Holdings::missing(const InstancePlan& plan) {
    const auto it = held_.find(plan.key);
    if (it == held_.end()) return false;
    bool any = false;
    for (Mine& m : it->second.addresses) {
        const kernel::Interface* i = interfaces_.find(m.ifindex);
        const bool there = find_address(i, m.prefix) != nullptr;
        any |= m.seen && !there && i != nullptr && i->link.up;
        m.seen = there;
    }
    return any;
}

bool Holdings::has(const std::vector<Mine>& all, const Mine& one) {
    return std::any_of(all.begin(), all.end(), [&](const Mine& m) { return m.same(one); });
}

Result<> Holdings::prepare(const InstancePlan& plan, uint32_t parent) {
    if (!plan.accept && !filter_) {
        auto opened = kernel::InputFilter::open();
        if (opened) opened = try_out(std::move(*opened), table_of(plan));
        if (!opened) return tl::unexpected(std::move(opened.error()).within("accept: false"));
        filter_ = std::move(*opened);
    }
    return prepare_macvlan(plan, parent);
}

// The name says family, router id and parent, so that what a killed run left is found and replaced.
Result<> Holdings::prepare_macvlan(const InstancePlan& plan, uint32_t parent) {
    if (!plan.virtual_mac) {
        forget_macvlan(plan.key);
        return {};
    }
    Macvlan& m = macvlans_[plan.key];
    if (m.ifindex != 0 && m.parent == parent && interfaces_.find(m.ifindex) != nullptr) return {};
    const bool v4 = plan.identity.family == Family::ipv4;
    m.name = fmt::format("vrrp{}.{}.{}", v4 ? 4 : 6, plan.identity.router_id, parent);
    m.parent = parent;
    const auto made = editor_.add_macvlan(
        m.name, parent, torii::vrrp::virtual_mac(plan.identity.family, plan.identity.router_id));
    if (!made) {
        macvlans_.erase(plan.key);
        return tl::unexpected(made.error());
    }
    m.ifindex = *made;
    // Each of the two links answers for its own addresses only, and the way back is the parent's.
    set_sysctl(m.name, "arp_ignore", "1");
    set_sysctl(plan.interface, "arp_ignore", "1");
    // Nor does the parent ask for others in the name of a virtual address: that would spread its
    // MAC.
    set_sysctl(plan.interface, "arp_announce", "2");
    set_sysctl(m.name, "rp_filter", "0");
    set_sysctl(m.name, "accept_local", "1");
    return {};
}

void Holdings::forget(Key key) {
    admit_input(key);
    forget_macvlan(key);
}

void Holdings::forget_macvlan(Key key) {
    const auto it = macvlans_.find(key);
    if (it == macvlans_.end()) return;
    if (const auto ok = editor_.remove_link(it->second.ifindex); !ok)
        warn_(key, ok.error().message);
    macvlans_.erase(it);
}

void Holdings::set_up(const InstancePlan& plan, bool up) {
    const auto it = macvlans_.find(plan.key);
    if (it != macvlans_.end()) warn(plan, editor_.set_link(it->second.ifindex, up));
}

std::vector<Holdings::Place> Holdings::places(const InstancePlan& plan) const {
    std::vector<Place> all;
    if (!holds(plan.key)) return all;
    for (const config::VrrpAddress& a : plan.addresses) {
        const bool virtual_mac =
            plan.virtual_mac && (a.interface.empty() || a.interface == plan.interface);
        const kernel::Interface* i =
            interfaces_.find(std::string_view(a.interface.empty() ? plan.interface : a.interface));
        if (i == nullptr || i->link.mac.is_zero()) continue;
        all.push_back({a.prefix.address, i->link.ifindex,
                       virtual_mac
                           ? torii::vrrp::virtual_mac(plan.identity.family, plan.identity.router_id)
                           : i->link.mac});
    }
    return all;
}

}  // namespace torii::control::vrrp
