#include "control/health/view.h"

namespace torii::health {
namespace {

uint64_t seconds_since(TimePoint then, TimePoint now) {
    return uint64_t(std::chrono::duration_cast<std::chrono::seconds>(now - then).count());
}

api::Check check_view(const PlannedCheck& p, const CheckReport& r, TimePoint now) {
    const healthcheck::Request& request = p.check.request;
    api::Check c;
    c.type = to_string(request.settings->type);
    c.target = to_string(request.target.to);
    if (request.target.way) c.via = to_string(request.target.way->to);
    c.up = r.state.up;
    c.proven = r.state.proven;
    c.held = !r.state.up && now < r.state.held_until;
    c.streak = r.state.streak;
    c.seconds_in_state = seconds_since(r.state.changed, now);
    if (r.state.proven) c.reason = to_string(r.last.reason);
    c.detail = r.last.detail;
    c.warning = r.last.warning;
    c.duration_us = uint64_t(r.last.took.count());
    c.good = r.good;
    c.bad = r.bad;
    if (r.last.weight) c.weight = *r.last.weight;
    for (const Member& m : p.members)
        c.servers.push_back(
            {m.service_name, control::to_string(m.service), m.server_name, to_string(m.backend)});
    return c;
}

}  // namespace

api::Health health_view(const Plan& plan, const Board::View& v, TimePoint now) {
    api::Health out;
    for (size_t i = 0; i < v.reports.size(); ++i)
        out.checks.push_back(check_view(plan.checks[i], v.reports[i], now));
    for (const auto& [type, counts] : v.results)
        for (const healthcheck::ReasonInfo& reason : healthcheck::kReasons)
            if (counts[size_t(reason.id)] != 0)
                out.results[std::string(to_string(type))][std::string(reason.name)] =
                    counts[size_t(reason.id)];
    out.started = v.punctuality.started;
    out.late = v.punctuality.late;
    const auto& lateness = v.punctuality.lateness;
    for (size_t n = 0; n < lateness.size(); ++n)
        out.lateness.push_back(
            {n < healthcheck::kLateness.size() ? healthcheck::kLateness[n] * 1000 : 0,
             lateness[n]});
    out.lateness_sum_us = uint64_t(v.punctuality.lateness_sum.count());
    out.worst_delay_us = uint64_t(v.punctuality.worst.count());
    out.most_running = v.punctuality.most_running;
    out.absences = v.punctuality.absences;
    out.away_us = uint64_t(v.punctuality.away.count());
    for (const auto& [key, h] : plan.state.services) {
        if (h->servers.empty()) continue;
        uint64_t up = 0;
        for (const auto& [endpoint, server] : h->servers) up += server.up;
        out.services.push_back({control::to_string(key), h->has_quorum, up, h->servers.size()});
    }
    return out;
}

}  // namespace torii::health
