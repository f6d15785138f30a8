#include "control/vrrp/view.h"

#include <algorithm>

namespace torii::control::vrrp {

namespace pure = torii::vrrp;

namespace {

constexpr pure::Role kRoles[] = {pure::Role::initialize, pure::Role::backup, pure::Role::active,
                                 pure::Role::fault};

const InstanceReport* find(const Picture& p, Key key) {
    if (!p.report) return nullptr;
    const auto& all = p.report->instances;
    const auto it =
        std::find_if(all.begin(), all.end(), [&](const auto& r) { return r.key == key; });
    return it == all.end() ? nullptr : &*it;
}

void add_counters(api::VrrpInstance& out, const Counters& c) {
    out.sent = c.sent;
    out.received = c.received;
    out.resignations_sent = c.resignations_sent;
    out.resignations_received = c.resignations_received;
    out.late = c.late;
    out.send_failed = c.send_failed;
    out.weaker = c.weaker;
    for (const pure::RefusalInfo& r : pure::kRefusals)
        out.refused.emplace(r.name, c.refused[size_t(r.id)]);
    for (const pure::Role r : kRoles)
        out.transitions.emplace(to_string(r), c.transitions[size_t(r)]);
    for (size_t n = 0; n < c.lateness.size(); ++n)
        out.lateness.push_back({n < kLateness.size() ? kLateness[n] : 0, c.lateness[n]});
    out.lateness_sum_us = c.lateness_sum_us;
}

// The weights of a group apply to all its members.
std::vector<pure::Tracked> shared_of(const std::map<Key, Known>& all, const Known& of) {
    std::vector<pure::Tracked> shared;
    for (const auto& [key, k] : all)
        if (!k.gone && key != of.key && !of.group.empty() && k.group == of.group)
            shared.insert(shared.end(), k.tracked.begin(), k.tracked.end());
    return shared;
}

api::VrrpInstance instance_view(const InstancePlan& p, const Known& k,
                                const std::map<Key, Known>& all, const Picture& picture) {
    api::VrrpInstance out;
    out.name = p.name;
    out.group = k.group;
    out.interface = p.interface;
    out.family = p.identity.family == Family::ipv4 ? "ipv4" : "ipv6";
    out.router_id = p.identity.router_id;
    out.version = p.identity.version;
    out.state = to_string(k.role);
    out.reason = pure::info(k.reason).name;
    out.since_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - k.since).count();
    out.configured_priority = p.settings.priority;
    const pure::Effective e =
        pure::effective_priority(p.settings.priority, k.tracked, shared_of(all, k));
    out.priority = e.priority;
    if (!k.missing.empty()) out.influences.push_back(k.missing);
    for (const pure::Influence& i : e.influences) out.influences.push_back(to_string(i));
    out.interval_us = uint64_t(p.settings.interval.count());
    for (const config::VrrpAddress& a : p.addresses) out.addresses.push_back(to_string(a.prefix));
    Counters none;
    const InstanceReport* r = find(picture, p.key);
    add_counters(out, r != nullptr ? r->counters : none);
    if (r == nullptr) return out;
    if (r->active_router != Address{}) out.active_router = to_string(r->active_router);
    out.active_priority = r->active_priority;
    out.active_interval_us = uint64_t(r->active_interval.count());
    return out;
}

}  // namespace

void Known::take(const InstancePlan& p, const std::string& group_name,
                 const config::VrrpNotify& n) {
    key = p.key;
    name = p.name;
    group = group_name;
    interface = p.interface;
    notify = n;
    gone = false;
    auto next = p.tracked;
    for (pure::Tracked& t : next)
        for (const pure::Tracked& old : tracked)
            if (old.kind == t.kind && old.name == t.name) {
                t.health = old.health;
                t.number = old.number;
            }
    tracked = std::move(next);
    if (priority == 0) priority = p.settings.priority;
}

api::Vrrp view_of(const Plan& plan, const std::map<Key, Known>& known,
                  const std::map<std::string, pure::Role>& groups, const Picture& picture) {
    api::Vrrp out;
    for (const InstancePlan& p : plan.instances)
        out.instances.push_back(instance_view(p, known.at(p.key), known, picture));
    for (const GroupPlan& g : plan.groups) {
        if (g.name.empty()) continue;
        api::VrrpGroup group{g.name, "", {}};
        for (const size_t n : g.members) group.members.push_back(plan.instances[n].name);
        if (const auto it = groups.find(g.name); it != groups.end())
            group.state = to_string(it->second);
        out.groups.push_back(std::move(group));
    }
    if (picture.report) out.lost = picture.report->lost;
    out.warnings = picture.warnings;
    return out;
}

}  // namespace torii::control::vrrp
