#include "control/vrrp/plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace torii::control::vrrp {

namespace pure = torii::vrrp;

namespace {

std::string name_of(const config::VrrpTrackScript& s) {
    if (!s.name.empty() || s.command.empty()) return s.name;
    return s.command[0].substr(s.command[0].rfind('/') + 1);
}

pure::Identity identity_of(const config::VrrpInstance& c) {
    pure::Identity id;
    id.version = uint8_t(c.version);
    id.family = c.family();
    id.router_id = uint8_t(c.router_id);
    id.interval = c.interval;
    for (const config::VrrpAddress& a : c.addresses) id.addresses.push_back(a.prefix.address);
    if (c.authentication.type == config::VrrpAuth::pass)
        id.password = pure::make_password(c.authentication.secret);
    id.pseudo_header = c.pseudo_header;
    id.unicast = !c.peers.empty();
    id.peers = c.peers;
    id.min_ttl = uint8_t(c.min_ttl);
    return id;
}

pure::Settings settings_of(const config::VrrpInstance& c) {
    pure::Settings s;
    s.version = uint8_t(c.version);
    s.priority = uint8_t(c.priority);
    s.interval = c.interval;
    s.missed_adverts = c.missed_adverts;
    s.preempt = c.preempt.enabled;
    s.preempt_delay = c.preempt.delay;
    s.startup_delay = c.startup_delay;
    s.announce_repeat = uint16_t(c.garp.repeat);
    s.announce_delay = c.garp.delay;
    s.announce_refresh = c.garp.refresh;
    s.announce_refresh_repeat = uint16_t(c.garp.refresh_repeat);
    return s;
}

InstancePlan instance_of(const config::VrrpInstance& c, Key key) {
    InstancePlan p;
    p.key = key;
    p.name = c.name;
    p.interface = c.interface;
    p.identity = identity_of(c);
    p.settings = settings_of(c);
    p.source = c.source;
    p.addresses = c.addresses;
    p.addresses.insert(p.addresses.end(), c.excluded.begin(), c.excluded.end());
    p.routes = c.routes;
    p.virtual_mac = c.virtual_mac;
    p.accept = c.accept;
    p.announce_interval = c.garp.interval;
    p.tracked = tracked_of(c.track);
    return p;
}

}  // namespace

const InstancePlan* Plan::find(Key key) const {
    const auto it = std::find_if(instances.begin(), instances.end(),
                                 [&](const InstancePlan& i) { return i.key == key; });
    return it == instances.end() ? nullptr : &*it;
}

Key Keys::of(const config::VrrpInstance& c) {
    const std::string router = fmt::format("{} {} {} {} {}", c.name, c.interface, c.router_id,
                                           c.version, c.family() == Family::ipv4 ? 4 : 6);
    const auto [it, fresh] = known_.emplace(router, last_ + 1);
    if (fresh) ++last_;
    return it->second;
}

std::vector<pure::Tracked> tracked_of(const config::VrrpTrack& t) {
    std::vector<pure::Tracked> all;
    const auto add = [&](pure::TrackKind kind, std::string name, int weight, bool reverse) {
        pure::Tracked one;
        one.kind = kind;
        one.name = std::move(name);
        one.weight = weight;
        one.reverse = reverse;
        all.push_back(std::move(one));
    };
    for (const auto& i : t.interfaces) add(pure::TrackKind::interface, i.name, i.weight, i.reverse);
    for (const auto& s : t.scripts) add(pure::TrackKind::script, name_of(s), s.weight, s.reverse);
    for (const auto& f : t.files) add(pure::TrackKind::file, f.path, f.weight, false);
    for (const auto& p : t.processes) add(pure::TrackKind::process, p.name, p.weight, p.reverse);
    if (t.dataplane) add(pure::TrackKind::dataplane, "torii-dataplane", 0, false);
    for (const auto& s : t.services) add(pure::TrackKind::service, s.name, s.weight, s.reverse);
    return all;
}

Plan make_plan(const config::Vrrp& c, bool backup_only, Keys& keys) {
    Plan plan;
    plan.realtime = c.realtime;
    plan.backup_only = backup_only;
    std::map<std::string, size_t, std::less<>> groups;  // by name
    for (const config::VrrpInstance& i : c.instances) {
        InstancePlan p = instance_of(i, keys.of(i));
        const config::VrrpGroup* group = config::group_of(c, i.name);
        p.settings.grouped = group != nullptr && group->members.size() > 1;
        p.group = plan.groups.size();
        if (group != nullptr) p.group = groups.emplace(group->name, p.group).first->second;
        if (p.group == plan.groups.size())
            plan.groups.push_back({group != nullptr ? group->name : "", {}});
        plan.groups[p.group].members.push_back(plan.instances.size());
        plan.instances.push_back(std::move(p));
    }
    return plan;
}

}  // namespace torii::control::vrrp
