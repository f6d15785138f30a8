// Conductor: from one plan to the next.

#include <algorithm>

#include "control/vrrp/conductor_parts.h"

namespace torii::control::vrrp {

namespace {

// What was seen of a thing stays known over a reload.
void keep_health(const std::vector<pure::Tracked>& from, std::vector<pure::Tracked>& to) {
    for (pure::Tracked& t : to)
        for (const pure::Tracked& f : from)
            if (f.kind == t.kind && f.name == t.name) {
                t.health = f.health;
                t.number = f.number;
            }
}

}  // namespace

void Conductor::apply(std::unique_ptr<Plan> mine, std::unique_ptr<Plan> hands, Time now) {
    retire_missing(*mine, now);
    Order o;
    o.kind = Order::Kind::plan;
    o.edition = ++edition_;
    o.plan = std::move(hands);
    boxes_.orders->send(std::move(o));
    for (InstancePlan& p : mine->instances) {
        Instance* i = find(p.key);
        if (i == nullptr) {
            i = instances_.emplace_back(std::make_unique<Instance>()).get();
            i->key = p.key;
        } else {
            i->kept = i->state();
            i->fresh = false;
            i->addresses_changed =
                i->plan->addresses != p.addresses || i->plan->routes != p.routes ||
                i->plan->virtual_mac != p.virtual_mac || i->plan->accept != p.accept ||
                i->identity.addresses != p.identity.addresses;
            keep_health(i->plan->tracked, p.tracked);
        }
        const Address local = i->identity.local;
        i->plan = &p;
        i->identity = p.identity;
        const uint8_t priority = i->fresh ? p.settings.priority : i->settings.priority;
        i->settings = p.settings;
        i->settings.priority = priority;
        i->settings.local = i->identity.local = local;
    }
    std::swap(plan_, mine);
    regroup(*plan_);
    fill_ports();
    settle(now);
    if (mine == nullptr) return;
    News n;
    n.kind = News::Kind::old_plan;
    n.plan = std::move(mine);
    boxes_.news->send(std::move(n));
}

// A virtual router that is configured no more resigns; its group stays as it is.
void Conductor::retire_missing(const Plan& next, Time now) {
    for (const auto& i : instances_) {
        if (next.find(i->key) != nullptr) continue;
        stop(*i, now);
        stop(*i, now);
        i->ground = {};
    }
    fill_ports();
    std::erase_if(instances_, [&](const auto& i) { return next.find(i->key) == nullptr; });
}

void Conductor::regroup(const Plan& plan) {
    groups_.clear();
    for (const GroupPlan& g : plan.groups) {
        auto group = std::make_unique<Group>();
        for (const size_t n : g.members) {
            Instance& i = *find(plan.instances[n].key);
            i.group = group.get();
            i.member = group->members.size();
            group->members.push_back({&i.settings, i.kept});
            group->instances.push_back(&i);
        }
        groups_.push_back(std::move(group));
    }
}

// Nothing of this makes an active instance anything else, unless a fault says so.
void Conductor::settle(Time now) {
    for (const auto& i : instances_)
        i->fresh ? step(*i, pure::Start{}, now)
                 : step(*i, pure::Changed{std::exchange(i->addresses_changed, false)}, now);
    for (const auto& g : groups_) {
        for (const auto& i : g->instances) {
            const bool missing =
                std::any_of(g->instances.begin(), g->instances.end(),
                            [&](Instance* other) { return other != i && other->state().fault; });
            if (missing == i->state().group_fault) continue;
            const pure::Step s =
                pure::step(i->settings, i->state(), pure::GroupFault{missing}, now);
            i->state() = s.state;
            perform(*i, s.actions);
            tell_waits(*i);
        }
        refresh(*g, now);
    }
    for (const auto& i : instances_) i->fresh = false;
}

}  // namespace torii::control::vrrp
