#include "control/health/ledger.h"

#include <algorithm>
#include <utility>

namespace torii::health {
namespace {

/// The state of a server is what all its checks say.
ServerHealth server_of(const std::vector<uint32_t>& checks,
                       const std::vector<Ledger::Known>& known) {
    ServerHealth s;
    TimePoint up_since{}, down_since = TimePoint::max();
    for (const uint32_t n : checks) {
        const Ledger::Known& k = known[n];
        s.up = s.up && k.up;
        if (k.up)
            up_since = std::max(up_since, k.changed);
        else
            down_since = std::min(down_since, k.changed);
        if (k.weight) s.said.push_back(*k.weight);
    }
    s.changed = s.up ? up_since : down_since;
    return s;
}

bool any_down(const std::vector<Member>& members, const HealthState& state) {
    return std::ranges::any_of(members, [&](const Member& m) {
        const auto service = state.services.find(m.service);
        if (service == state.services.end()) return false;
        const auto server = service->second->servers.find(m.backend);
        return server != service->second->servers.end() && !server->second.up;
    });
}

}  // namespace

std::vector<Ledger::Known> Ledger::known_of(const Plan& next) const {
    std::vector<Known> known;
    known.reserve(next.checks.size());
    for (const PlannedCheck& p : next.checks) {
        const auto old = by_identity_.find(p.check.identity);
        known.push_back(old == by_identity_.end() ? Known{p.check.up} : known_[old->second]);
    }
    return known;
}

Plan Ledger::prepare(const config::Config& c, const Before* before) const {
    Plan next = make_plan(c, before);
    for (PlannedCheck& p : next.checks) {
        const auto old = by_identity_.find(p.check.identity);
        p.check.up = old != by_identity_.end() ? known_[old->second].up
                                               : p.check.up && !any_down(p.members, plan_.state);
    }
    const std::vector<Known> known = known_of(next);
    for (const auto& [server, checks] : next.of_server)
        next.state.services[server.first].edit().servers[server.second] = server_of(checks, known);
    for (auto& [key, service] : next.state.services) {
        const auto old = plan_.state.services.find(key);
        if (old != plan_.state.services.end() && old->second->has_quorum != service->has_quorum)
            service.edit().has_quorum = old->second->has_quorum;
    }
    return next;
}

void Ledger::adopt(Plan next) {
    known_ = known_of(next);
    by_identity_.clear();
    plan_ = std::move(next);
    by_identity_.reserve(plan_.checks.size());
    for (size_t i = 0; i < plan_.checks.size(); ++i)
        by_identity_.emplace(plan_.checks[i].check.identity, uint32_t(i));
}

std::vector<Ledger::Moved> Ledger::take(size_t check, const Known& found) {
    known_[check] = found;
    std::vector<Moved> moved;
    for (const Member& m : plan_.checks[check].members) {
        ServerHealth& server = plan_.state.services.at(m.service).edit().servers.at(m.backend);
        const bool was = server.up;
        server = server_of(plan_.of_server.at({m.service, m.backend}), known_);
        if (was != server.up) moved.push_back({m, server.up});
    }
    return moved;
}

}  // namespace torii::health
