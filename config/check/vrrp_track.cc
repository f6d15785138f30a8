// What makes sense in the `vrrp:` section: groups, what instances watch and whom they tell.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "config/check/checks.h"

namespace torii::config {
namespace {

constexpr int kLowest = 1, kHighest = 254, kOwner = 255;

/// One weight an instance's watching brings, whatever it watches.
struct Weight {
    int value;
    Mark mark;
};

std::vector<Weight> weights_of(const VrrpInstance& i) {
    std::vector<Weight> all;
    const auto add = [&](const auto& list) {
        for (const auto& t : list)
            if (!t.weight_mark.bad && t.weight != 0) all.push_back({t.weight, t.weight_mark});
    };
    add(i.track.interfaces);
    add(i.track.scripts);
    add(i.track.files);
    add(i.track.processes);
    add(i.track.services);
    return all;
}

/// How far the instance's priority can be moved, by its own weights and those of its group. A
/// file's number may have either sign and any size.
struct Reach {
    int up = 0, down = 0;
};

Reach reach_of(const VrrpInstance& instance, const Config& config) {
    const VrrpGroup* group = group_of(config.vrrp, instance.name);
    Reach reach;
    for (const VrrpInstance& i : config.vrrp.instances) {
        if (&i != &instance &&
            (!group || std::ranges::find(group->members, i.name) == group->members.end()))
            continue;
        for (const Weight& w : weights_of(i)) (w.value > 0 ? reach.up : reach.down) += w.value;
        if (!i.track.files.empty()) reach = {reach.up + kOwner, reach.down - kOwner};
    }
    return reach;
}

/// A weight that no state of the watched things can make count: an owner's priority never changes,
/// and sums end at 1 and 254.
void check_weights(const VrrpInstance& i, const Config& config, Diagnostics& out) {
    if (i.priority_mark.bad) return;
    const Reach reach = reach_of(i, config);
    for (const Weight& w : weights_of(i)) {
        std::string_view why;
        if (i.priority == kOwner)
            why = "priority 255 never changes";
        else if (w.value < 0 && i.priority + reach.up <= kLowest)
            why = "the priority is 1 already and cannot become less";
        else if (w.value > 0 && i.priority + reach.down >= kHighest)
            why = "the priority is 254 already and cannot become more";
        if (!why.empty())
            out.push_back({w.mark, fmt::format("the weight {} can never matter: {}; change "
                                               "'priority' or leave the weight out",
                                               w.value, why)});
    }
}

template <class T>
void check_once(const std::vector<T>& list, std::string T::*name, std::string_view what,
                Diagnostics& out) {
    std::map<std::string_view, Mark> seen;
    for (const T& t : list) {
        if ((t.*name).empty()) continue;
        const auto [first, fresh] = seen.emplace(t.*name, t.mark);
        if (!fresh)
            out.push_back({t.mark, fmt::format("the {} '{}' is already watched at {}", what,
                                               t.*name, to_string(first->second))});
    }
}

void check_command(const std::vector<std::string>& command, const Mark& mark, std::string_view key,
                   Diagnostics& out) {
    if (mark && !mark.bad && !command.empty() && !command.front().starts_with('/'))
        out.push_back({mark, fmt::format("'{}' must begin with the absolute path of a program, got "
                                         "'{}'",
                                         key, command.front())});
}

void check_notify(const VrrpNotify& n, Diagnostics& out) {
    check_command(n.active, n.active_mark, "active", out);
    check_command(n.backup, n.backup_mark, "backup", out);
    check_command(n.fault, n.fault_mark, "fault", out);
    check_command(n.stop, n.stop_mark, "stop", out);
    check_command(n.any, n.any_mark, "any", out);
}

void check_own_interface(const VrrpInstance& i, Diagnostics& out) {
    for (const VrrpTrackInterface& t : i.track.interfaces) {
        check_interface_name(t.name, t.name_mark, out);
        if (t.name != i.interface) continue;
        if (t.weight != 0)
            out.push_back(
                {t.weight_mark,
                 fmt::format("the weight of {} can never matter: it is the instance's own "
                             "interface, and that one down is always a fault",
                             t.name)});
        if (t.reverse)
            out.push_back(
                {t.mark, fmt::format("{} is the instance's own interface: it cannot be "
                                     "active only while that is down; leave 'reverse' out",
                                     t.name)});
    }
}

void check_track_names(const VrrpInstance& i, const Config& config, Diagnostics& out) {
    for (const VrrpTrackScript& s : i.track.scripts) {
        check_command(s.command, s.command_mark, "command", out);
        if (s.command_mark && !s.command_mark.bad && s.command.empty())
            out.push_back({s.command_mark, "'command' needs a program"});
    }
    for (const VrrpTrackFile& f : i.track.files)
        if (!f.path_mark.bad && !f.path.starts_with('/'))
            out.push_back({f.path_mark, fmt::format("'path' must be absolute, got '{}'", f.path)});
    for (const VrrpTrackService& t : i.track.services)
        if (!t.name_mark.bad &&
            std::ranges::find(config.services, t.name, &Service::name) == config.services.end())
            out.push_back(
                {t.name_mark, fmt::format("there is no service '{}' in 'services'", t.name)});
    if (i.track.dataplane_mark && i.track.dataplane && config.dataplane.ports.empty())
        out.push_back({i.track.dataplane_mark,
                       "without 'dataplane.ports' there is no dataplane: watching it would be a "
                       "fault for ever; leave it out"});
}

}  // namespace

void check_vrrp_tracking(const Config& config, Diagnostics& out) {
    for (const VrrpInstance& i : config.vrrp.instances) {
        check_weights(i, config, out);
        check_own_interface(i, out);
        check_track_names(i, config, out);
        check_once(i.track.interfaces, &VrrpTrackInterface::name, "interface", out);
        check_once(i.track.scripts, &VrrpTrackScript::name, "script", out);
        check_once(i.track.files, &VrrpTrackFile::path, "file", out);
        check_once(i.track.processes, &VrrpTrackProcess::name, "process", out);
        check_once(i.track.services, &VrrpTrackService::name, "service", out);
    }
}

void check_vrrp_notify(const Config& config, Diagnostics& out) {
    for (const VrrpInstance& i : config.vrrp.instances) check_notify(i.notify, out);
    for (const VrrpGroup& g : config.vrrp.groups) check_notify(g.notify, out);
    if (config.vrrp.fifo_mark && !config.vrrp.fifo_mark.bad && !config.vrrp.fifo.starts_with('/'))
        out.push_back({config.vrrp.fifo_mark, "'fifo' must be an absolute path"});
}

void check_vrrp_groups(const Config& config, Diagnostics& out) {
    std::map<std::string_view, Mark> names;
    std::map<std::string_view, const VrrpGroup*> grouped;
    for (const VrrpGroup& g : config.vrrp.groups) {
        if (!g.name.empty() && !names.emplace(g.name, g.name_mark).second)
            out.push_back({g.name_mark, fmt::format("the group name '{}' is already used at {}",
                                                    g.name, to_string(names[g.name]))});
        if (g.members_mark && !g.members_mark.bad && g.members.empty())
            out.push_back({g.members_mark, fmt::format("the group '{}' has no members", g.name)});
        for (const std::string& member : g.members) {
            const auto& all = config.vrrp.instances;
            if (std::ranges::find(all, member, &VrrpInstance::name) == all.end())
                out.push_back({g.members_mark,
                               fmt::format("there is no instance '{}' in 'instances'", member)});
            const auto [first, fresh] = grouped.emplace(member, &g);
            if (!fresh)
                out.push_back(
                    {g.members_mark,
                     fmt::format("'{}' is already a member of '{}': an instance is in one "
                                 "group, once",
                                 member, first->second->name)});
        }
    }
}

void check_vrrp_interfaces(const Config& config, const Machine& machine, Diagnostics& out) {
    std::string known;
    for (const std::string& name : machine.interfaces) known += ' ' + name;
    const auto need = [&](const std::string& name, const Mark& mark) {
        if (mark && !machine.interfaces.contains(name))
            out.push_back({mark, fmt::format("there is no interface '{}': this machine has{}", name,
                                             known.empty() ? " none" : known)});
    };
    for (const VrrpInstance& i : config.vrrp.instances) {
        need(i.interface, i.interface_mark);
        for (const auto* list : {&i.addresses, &i.excluded})
            for (const VrrpAddress& a : *list) need(a.interface, a.interface_mark);
        for (const VrrpRoute& r : i.routes) need(r.interface, r.interface_mark);
        for (const VrrpTrackInterface& t : i.track.interfaces) need(t.name, t.name_mark);
    }
}

}  // namespace torii::config
