#include "control/health/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

namespace torii::health {
namespace {

using config::Health;
using config::HealthType;
using Settings = std::shared_ptr<const Health>;

/// The times and counts, which make no other probe of it but another check.
std::string timing_of(const Health& h) {
    return fmt::format("|{} {} {} {} {} {} {} {} {} {}", h.interval.count(), h.timeout.count(),
                       h.fall, h.rise, h.retry_interval.count(), h.jitter.count(),
                       h.warm_up.count(), h.flap.changes, h.flap.window.count(),
                       h.flap.hold.count());
}

/// Every field of the settings that makes another probe of it, as text.
std::string text_of(const Health& h) {
    const config::HttpHealth& w = h.http;
    std::string status;
    for (const config::StatusRange& r : w.status) status += to_string(r) + ' ';
    std::string text = fmt::format("{} {} {}:{} {} {} {}\n", to_string(h.type), to_string(h.via),
                                   to_string(h.address), h.port.value_or(0), to_string(h.bind),
                                   h.interface, h.fwmark);
    switch (h.type) {
        case HealthType::http:
        case HealthType::https:
            text += fmt::format("{} {}\n{}\n{}\n{}\n{}\n{}\n{} {} {}\n", w.method,
                                fmt::join(w.path, "\n"), w.host, fmt::join(w.headers, "\n"),
                                to_string(w.version), status, w.body_regex, w.regex_no_match,
                                w.digest, w.max_body);
            break;
        case HealthType::smtp:
            text += fmt::format("{} {}\n", h.smtp.helo, h.smtp.starttls);
            break;
        case HealthType::script:
            text += fmt::format("{}\n{} {}\n", fmt::join(h.script.command, "\n"), h.script.user,
                                h.script.weight_from_exit);
            break;
        case HealthType::dns:
            text += fmt::format("{} {} {}\n{}\n", h.dns.name, to_string(h.dns.record),
                                to_string(h.dns.transport), fmt::join(h.dns.answer, "\n"));
            break;
        case HealthType::udp:
            text += fmt::format("{}\n{}\n{}\n", h.udp.payload, h.udp.reply, h.udp.require_reply);
            break;
        case HealthType::none:
        case HealthType::tcp:
        case HealthType::icmp:
            break;
    }
    if (h.type == HealthType::https || h.type == HealthType::smtp)
        text += fmt::format("{}\n{} {}\n{}\n{}\n", h.tls.server_name, h.tls.verify, h.tls.ca,
                            h.tls.certificate, h.tls.key);
    return text;
}

std::string text_of(const healthcheck::Target& t) {
    std::string text = to_string(t.to);
    if (t.way) text += " for " + to_string(t.way->to);
    if (t.way && t.way->tunnel)
        text += fmt::format(" in {}:{} {}", to_string(t.way->tunnel->type), t.way->tunnel->port,
                            to_string(t.way->tunnel->checksum));
    for (const auto& [name, value] : t.environment) text += fmt::format("\n{}={}", name, value);
    return text;
}

class Planner {
public:
    Planner(const config::Config& c, const Before* before) {
        auto all = std::make_shared<std::set<Address>>();
        for (const config::Service& s : c.services)
            for (const config::Virtual& v : s.virtuals) all->insert(v.endpoint.address);
        virtuals_ = std::move(all);
        if (before == nullptr) return;
        held_ = &before->held;
        for (const control::Service& s : before->tables.services) before_.emplace(s.key, &s);
    }

    void add(const config::Service& s, const config::Virtual& v);
    Plan take() { return std::move(plan_); }

private:
    void add(const config::Service&, const config::Virtual&, const config::Backend&, const Member&,
             const Settings&);
    uint32_t check_of(healthcheck::Target, const Settings&, bool up);
    bool was_down(const config::Service&, const config::Backend&, const Member&) const;
    bool had_quorum(const config::Service&, const ServiceHealth&, const ServiceKey&) const;
    void add_programs(const config::Service&, const ServiceKey&);
    std::vector<Settings> settings_of(const std::vector<Health>&);

    Plan plan_;
    std::map<ServiceKey, const control::Service*> before_;
    const control::Manual* held_ = nullptr;
    std::shared_ptr<const std::set<Address>> virtuals_;
    std::unordered_map<std::string, uint32_t> by_key_;
    struct Texts {
        std::string probing, timing;
    };
    std::unordered_map<const Health*, Texts> texts_;
    std::map<const std::vector<Health>*, std::vector<Settings>> shared_;
};

bool has(const control::Service& s, const Endpoint& server) {
    return std::ranges::find(s.destinations, server, &Destination::key) != s.destinations.end();
}

/// A weight of 0 has many reasons; of a server that was inhibited only its health is one.
bool Planner::was_down(const config::Service& s, const config::Backend& b, const Member& m) const {
    const auto before = before_.find(m.service);
    if (before == before_.end()) return false;
    if (!held_->empty()) {
        control::Service service;
        service.key = m.service;
        service.name = s.name;
        Destination d;
        d.key = m.backend;
        d.name = b.server;
        if (manual_state(*held_, service, d) != control::ManualState::up) return false;
    }
    const auto& all = before->second->destinations;
    const auto there = std::ranges::find(all, m.backend, &Destination::key);
    if (there == all.end()) return true;
    const auto h = plan_.state.services.find(m.service);
    const bool sorry = h != plan_.state.services.end() && h->second->sorry &&
                       has(*before->second, *h->second->sorry);
    return there->weight == 0 && s.inhibit_on_failure && b.weight != 0 && !sorry;
}

bool Planner::had_quorum(const config::Service& s, const ServiceHealth& h,
                         const ServiceKey& key) const {
    const auto before = before_.find(key);
    if (before == before_.end()) return !s.start_down;
    if (h.sorry) return !has(*before->second, *h.sorry);
    uint64_t weight = 0;
    for (const Destination& d : before->second->destinations) weight += d.weight;
    return healthcheck::has_quorum(h.quorum, true, weight);
}

void Planner::add_programs(const config::Service& s, const ServiceKey& key) {
    if (s.quorum.on_up.empty() && s.quorum.on_down.empty() && s.notify.up.empty() &&
        s.notify.down.empty())
        return;
    plan_.programs[key] = std::make_shared<const ServicePrograms>(
        ServicePrograms{s.name, s.quorum.on_up, s.quorum.on_down, s.notify});
}

std::vector<Settings> Planner::settings_of(const std::vector<Health>& list) {
    auto [known, fresh] = shared_.try_emplace(&list);
    if (fresh)
        for (const Health& h : list) known->second.push_back(std::make_shared<const Health>(h));
    return known->second;
}

void Planner::add(const config::Service& s, const config::Virtual& v) {
    const ServiceKey key{v.endpoint.address, v.endpoint.port, v.protocol, v.fwmark};
    ServiceHealth& h = plan_.state.services[key].edit();
    h.inhibit = s.inhibit_on_failure;
    h.quorum = {s.quorum.up, s.quorum.hysteresis};
    h.max_down = s.max_down;
    h.slow_start = s.slow_start;
    if (!s.sorry_server.address.is_unspecified() &&
        s.sorry_server.address.family() == v.endpoint.address.family())
        h.sorry = Endpoint{s.sorry_server.address, s.sorry_server.port.value_or(v.endpoint.port)};
    h.has_quorum = had_quorum(s, h, key);
    add_programs(s, key);
    for (const config::Backend& b : s.backends) {
        if (!control::usable(b, v)) continue;
        const Member member{key, {b.address, config::backend_port(b, v)}, s.name, b.server};
        for (const Settings& settings : settings_of(config::checks_of(s, b)))
            add(s, v, b, member, settings);
    }
    // Nobody watches it: nothing can change.
    if (h.servers.empty() && !h.sorry && s.quorum == config::Quorum{})
        plan_.state.services.erase(key);
}

void Planner::add(const config::Service& s, const config::Virtual& v, const config::Backend& b,
                  const Member& member, const Settings& settings) {
    if (settings->type == HealthType::none) return;
    healthcheck::Target target;
    target.to.address = settings->address.is_unspecified() ? b.address : settings->address;
    target.to.port = settings->port.value_or(member.backend.port);
    if (settings->type == HealthType::icmp) target.to.port = 0;
    if (settings->via == config::HealthVia::service)
        target.way = healthcheck::Way{
            {v.endpoint.address, settings->port.value_or(v.endpoint.port)},
            b.forward == config::Forward::tunnel ? std::optional(b.tunnel) : std::nullopt,
            virtuals_};
    if (settings->type == HealthType::script)
        target.environment = {{"TORII_SERVICE", s.name},
                              {"TORII_VIRTUAL", control::to_string(member.service)},
                              {"TORII_SERVER", b.server.empty() ? to_string(b.address) : b.server},
                              {"TORII_ADDRESS", to_string(b.address)},
                              {"TORII_PORT", fmt::format("{}", member.backend.port)}};
    const bool up = !s.start_down && !was_down(s, b, member);
    const uint32_t n = check_of(std::move(target), settings, up);
    plan_.checks[n].members.push_back(member);
    plan_.of_server[{member.service, member.backend}].push_back(n);
    ServerHealth& server = plan_.state.services[member.service].edit().servers[member.backend];
    server.up = server.up && plan_.checks[n].check.up;
}

uint32_t Planner::check_of(healthcheck::Target target, const Settings& settings, bool up) {
    Texts& texts = texts_[settings.get()];
    if (texts.probing.empty()) texts = {text_of(*settings), timing_of(*settings)};
    std::string identity = texts.probing + text_of(target);
    std::string key = identity + texts.timing;
    for (;; key += '+') {  // texts that are equal although the settings are not
        const auto [known, fresh] = by_key_.try_emplace(key, uint32_t(plan_.checks.size()));
        if (fresh) break;
        if (*plan_.checks[known->second].check.request.settings == *settings) return known->second;
    }
    plan_.checks.push_back({{std::move(identity), {settings, std::move(target)}, up}, {}});
    return uint32_t(plan_.checks.size() - 1);
}

}  // namespace

Plan make_plan(const config::Config& c, const Before* before) {
    Planner planner(c, before);
    for (const config::Service& s : c.services)
        for (const config::Virtual& v : s.virtuals) planner.add(s, v);
    return planner.take();
}

}  // namespace torii::health
