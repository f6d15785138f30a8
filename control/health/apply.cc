#include "control/health/apply.h"

#include <algorithm>

namespace torii::health {
namespace {

using healthcheck::Duration;

const ServerHealth* find(const ServiceHealth& h, const Endpoint& key) {
    const auto it = h.servers.find(key);
    return it == h.servers.end() ? nullptr : &it->second;
}

/// Which destinations count as up, in their order.
std::vector<bool> up_of(const control::Service& s, const ServiceHealth& h) {
    std::vector<healthcheck::Member> members;
    for (const Destination& d : s.destinations) {
        const ServerHealth* server = find(h, d.key);
        members.push_back(server ? healthcheck::Member{server->up, server->changed}
                                 : healthcheck::Member{});
    }
    return healthcheck::counted_up(members, h.max_down);
}

uint16_t weight_of(const Destination& d, const ServerHealth* server) {
    if (server == nullptr || server->said.empty() || d.weight == 0) return d.weight;
    return healthcheck::adjusted_weight(d.weight, server->said);
}

void ramp(Destination& d, const ServiceHealth& h, const ServerHealth* server, TimePoint now,
          std::optional<TimePoint>& again) {
    if (h.slow_start.count() == 0 || server->changed == TimePoint{}) return;  // it never went
    const auto up_for = std::chrono::duration_cast<Duration>(now - server->changed);
    d.weight = healthcheck::ramped_weight(d.weight, h.slow_start, up_for);
    const Duration wait = healthcheck::until_next_ramp(h.slow_start, up_for);
    if (wait.count() > 0) again = std::min(again.value_or(TimePoint::max()), now + wait);
}

Destination sorry_of(const control::Service& s, const Endpoint& at) {
    Destination d;
    d.key = at;
    if (d.key.port == 0) d.key.port = s.key.port;
    if (!s.destinations.empty()) {
        d = s.destinations.front();  // forwarded like the others
        d.key = {at.address, at.port == 0 ? s.key.port : at.port};
    }
    d.name = "sorry";
    d.weight = 1;
    d.upper = d.lower = 0;
    return d;
}

// What follows from `now`, or is still to be told, goes to `out`.
void apply_to(control::Service& s, const ServiceHealth& h, TimePoint now, Applied& out) {
    const std::vector<bool> up = up_of(s, h);
    uint64_t weight = 0;
    std::vector<Destination> next;
    for (size_t i = 0; i < s.destinations.size(); ++i) {
        Destination d = s.destinations[i];
        const ServerHealth* server = find(h, d.key);
        d.weight = weight_of(d, server);
        if (up[i]) {
            weight += d.weight;
            if (server != nullptr && server->up) ramp(d, h, server, now, out.again);
        } else if (h.inhibit) {
            d.weight = 0;
        } else {
            continue;
        }
        next.push_back(std::move(d));
    }
    const bool has = healthcheck::has_quorum(h.quorum, h.has_quorum, weight);
    if (has != h.has_quorum) out.changes.push_back({s.key, has, weight});
    if (!has && h.sorry) {
        Destination sorry = sorry_of(s, *h.sorry);
        std::erase_if(next, [&](const Destination& d) { return d.key == sorry.key; });
        for (Destination& d : next) d.weight = 0;
        next.push_back(std::move(sorry));
    }
    s.destinations = std::move(next);
}

}  // namespace

namespace {

// True when nothing of it depends on `now` and nothing is to be told.
bool is_steady(const Applied& out) { return out.changes.empty() && !out.again; }

void take(Applied& all, const Applied& one) {
    all.changes.insert(all.changes.end(), one.changes.begin(), one.changes.end());
    if (one.again) all.again = std::min(all.again.value_or(TimePoint::max()), *one.again);
}

}  // namespace

Applied apply_health(Desired desired, const HealthState& state, TimePoint now,
                     HealthMemory& memory) {
    Applied out;
    for (size_t i = 0; i < desired.services.size(); ++i) {
        const control::ServiceHandle s = desired.services.handles()[i];
        const auto health = state.services.find(s->key);
        if (health == state.services.end()) continue;
        if (const auto* known = memory.find(s->key, s, {health->second})) {
            desired.services.set(i, *known);
            continue;
        }
        Applied one;
        control::Service next = *s;
        apply_to(next, *health->second, now, one);
        const control::ServiceHandle made =
            next == *s ? s : control::ServiceHandle(std::move(next));
        if (is_steady(one)) memory.keep(s, {health->second}, made);
        take(out, one);
        desired.services.set(i, made);
    }
    memory.sweep();
    out.desired = std::move(desired);
    return out;
}

Applied apply_health(Desired desired, const HealthState& state, TimePoint now) {
    HealthMemory none;
    return apply_health(std::move(desired), state, now, none);
}

void remember(HealthState& state, const std::vector<QuorumChange>& changes) {
    for (const QuorumChange& c : changes)
        if (const auto it = state.services.find(c.service); it != state.services.end())
            it->second.edit().has_quorum = c.has_quorum;
}

std::map<std::string, bool> quorums(const std::set<std::string>& names, const Desired& desired,
                                    const HealthState& state) {
    std::map<std::string, bool> found;
    if (names.empty()) return found;
    for (const control::Service& s : desired.services) {
        if (!names.contains(s.name)) continue;
        const auto health = state.services.find(s.key);
        const bool has = health != state.services.end()
                             ? health->second->has_quorum
                             : std::ranges::any_of(s.destinations, [](const Destination& d) {
                                   return d.weight > 0;
                               });
        const auto [it, fresh] = found.emplace(s.name, has);
        if (!fresh) it->second = it->second && has;
    }
    for (const std::string& name : names) found.emplace(name, false);
    return found;
}

}  // namespace torii::health
