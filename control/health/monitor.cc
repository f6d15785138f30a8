#include "control/health/monitor.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <unordered_map>

#include "control/health/notifier.h"
#include "control/health/prober.h"
#include "control/health/view.h"
#include "control/log.h"

namespace torii::health {

namespace asio = boost::asio;
using control::in_quotes;
using healthcheck::Clock;
using healthcheck::Event;

namespace {

std::string name_of(const Member& m) {
    return m.server_name.empty() ? to_string(m.backend.address) : m.server_name;
}

double milliseconds(healthcheck::Duration d) { return double(d.count()) / 1000; }

}  // namespace

struct Monitor::State {
    /// What is remembered of a check over a reload.
    struct Known {
        bool up;
        TimePoint changed;
        std::optional<uint16_t> weight;
    };

    State(asio::io_context& l, std::function<void()> c)
        : loop(l), changed(std::move(c)), timer(l), notifier(l), prober([this] {
              asio::post(loop, [this] { take_in(); });
          }) {}

    void take_in();
    void take(const Board::Change&);
    void update(const Member&);
    void schedule(TimePoint);
    void say(const PlannedCheck&, const Board::Change&);
    void notify_server(const Member&, bool up);
    void notify_quorum(const QuorumChange&);

    asio::io_context& loop;
    std::function<void()> changed;
    asio::steady_timer timer;
    TimePoint scheduled = TimePoint::max();
    uint64_t round = 0;
    Plan plan;
    std::vector<Known> known;  // of each check
    std::unordered_map<std::string, uint32_t> by_identity;
    Notifier notifier;
    Prober prober;  // last: its thread ends first
};

Monitor::Monitor(asio::io_context& loop, std::function<void()> changed)
    : state_(std::make_unique<State>(loop, std::move(changed))) {}
Monitor::~Monitor() = default;

const HealthState& Monitor::state() const { return state_->plan.state; }

namespace {

/// The state of a server is what all its checks say.
template <class Known>
ServerHealth server_of(const std::vector<uint32_t>& checks, const std::vector<Known>& known) {
    ServerHealth s;
    TimePoint up_since{}, down_since = TimePoint::max();
    for (const uint32_t n : checks) {
        const Known& k = known[n];
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

}  // namespace

namespace {

/// A server that was down is not up because it is checked in another way.
bool any_down(const std::vector<Member>& members, const HealthState& state) {
    return std::ranges::any_of(members, [&](const Member& m) {
        const auto service = state.services.find(m.service);
        if (service == state.services.end()) return false;
        const auto server = service->second.servers.find(m.backend);
        return server != service->second.servers.end() && !server->second.up;
    });
}

}  // namespace

Plan Monitor::prepare(const config::Config& c, const Before* before) const {
    const State& s = *state_;
    Plan next = make_plan(c, before);
    std::vector<State::Known> known;
    for (PlannedCheck& p : next.checks) {
        const auto old = s.by_identity.find(p.check.identity);
        if (old != s.by_identity.end())
            p.check.up = s.known[old->second].up;
        else
            p.check.up = p.check.up && !any_down(p.members, s.plan.state);
        known.push_back(old == s.by_identity.end() ? State::Known{p.check.up, {}, {}}
                                                   : s.known[old->second]);
    }
    for (const auto& [server, checks] : next.of_server)
        next.state.services[server.first].servers[server.second] = server_of(checks, known);
    for (auto& [key, service] : next.state.services) {
        const auto old = s.plan.state.services.find(key);
        if (old != s.plan.state.services.end()) service.has_quorum = old->second.has_quorum;
    }
    return next;
}

void Monitor::adopt(Plan next) {
    State& s = *state_;
    std::vector<State::Known> known;
    std::unordered_map<std::string, uint32_t> by_identity;
    std::vector<healthcheck::Check> checks;
    for (const PlannedCheck& p : next.checks) {
        const auto old = s.by_identity.find(p.check.identity);
        known.push_back(old == s.by_identity.end() ? State::Known{p.check.up, {}, {}}
                                                   : s.known[old->second]);
        by_identity.emplace(p.check.identity, uint32_t(checks.size()));
        checks.push_back(p.check);
    }
    s.plan = std::move(next);
    s.known = std::move(known);
    s.by_identity = std::move(by_identity);
    s.prober.set(++s.round, std::move(checks));
}

void Monitor::applied(const Applied& a) {
    State& s = *state_;
    remember(s.plan.state, a.changes);
    for (const QuorumChange& c : a.changes) {
        const ServiceHealth& h = s.plan.state.services.at(c.service);
        spdlog::log(c.has_quorum ? spdlog::level::info : spdlog::level::warn,
                    "event=quorum state={} virtual={} weight={} needed={} hysteresis={} sorry={}",
                    c.has_quorum ? "gained" : "lost", control::to_string(c.service), c.weight,
                    h.quorum.up, h.quorum.hysteresis,
                    !h.sorry       ? "none"
                    : c.has_quorum ? "out"
                                   : "in");
        s.notify_quorum(c);
    }
    if (a.again) s.schedule(*a.again);
}

void Monitor::State::take_in() {
    const auto changes = prober.board().changes(round);
    for (const Board::Change& c : changes) take(c);
    if (!changes.empty()) schedule(Clock::now() + kCoalesce);
}

void Monitor::State::take(const Board::Change& c) {
    const PlannedCheck& p = plan.checks[c.check];
    say(p, c);
    Known& k = known[c.check];
    k.up = c.report.state.up;
    if (c.event != Event::none) k.changed = c.report.state.changed;
    k.weight = c.report.last.weight;
    for (const Member& m : p.members) update(m);
}

void Monitor::State::update(const Member& m) {
    ServerHealth& server = plan.state.services.at(m.service).servers.at(m.backend);
    const bool was = server.up;
    server = server_of(plan.of_server.at({m.service, m.backend}), known);
    if (was == server.up) return;
    spdlog::log(server.up ? spdlog::level::info : spdlog::level::warn,
                "event=server state={} service={} virtual={} server={} backend={}",
                server.up ? "up" : "down", in_quotes(m.service_name), control::to_string(m.service),
                in_quotes(name_of(m)), to_string(m.backend));
    notify_server(m, server.up);
}

void Monitor::State::notify_server(const Member& m, bool up) {
    const auto programs = plan.programs.find(m.service);
    if (programs == plan.programs.end()) return;
    const config::Notify& n = programs->second->servers;
    process::Task task;
    task.program = {up ? n.up : n.down,
                    {{"TORII_EVENT", up ? "server_up" : "server_down"},
                     {"TORII_SERVICE", m.service_name},
                     {"TORII_VIRTUAL", control::to_string(m.service)},
                     {"TORII_SERVER", name_of(m)},
                     {"TORII_ADDRESS", to_string(m.backend.address)},
                     {"TORII_PORT", fmt::format("{}", m.backend.port)}},
                    n.user};
    task.timeout = n.timeout;
    if (!task.program.argv.empty())
        notifier.tell(m.service_name, fmt::format("server {} {}", name_of(m), up ? "up" : "down"),
                      std::move(task));
}

void Monitor::State::notify_quorum(const QuorumChange& c) {
    const auto programs = plan.programs.find(c.service);
    if (programs == plan.programs.end()) return;
    const ServicePrograms& p = *programs->second;
    process::Task task;
    task.program = {c.has_quorum ? p.on_up : p.on_down,
                    {{"TORII_EVENT", c.has_quorum ? "quorum_up" : "quorum_down"},
                     {"TORII_SERVICE", p.service},
                     {"TORII_VIRTUAL", control::to_string(c.service)},
                     {"TORII_WEIGHT", fmt::format("{}", c.weight)}},
                    p.servers.user};
    task.timeout = p.servers.timeout;
    if (!task.program.argv.empty())
        notifier.tell(p.service, c.has_quorum ? "quorum up" : "quorum down", std::move(task));
}

void Monitor::State::say(const PlannedCheck& p, const Board::Change& c) {
    const healthcheck::Result& r = c.report.last;
    const std::string type(to_string(p.check.request.settings->type));
    const std::string target = to_string(p.check.request.target.to);
    if (!r.warning.empty())
        spdlog::warn("event=check type={} target={} warning={}", type, target,
                     in_quotes(r.warning));
    if (c.event == Event::none) return;
    const char* state = c.event == Event::went_up ? "up" : c.event == Event::held ? "held" : "down";
    spdlog::log(c.event == Event::went_up ? spdlog::level::info : spdlog::level::warn,
                "event=check state={} type={} target={} reason={} detail={} took={:.1f}ms", state,
                type, target, to_string(r.reason), in_quotes(r.detail), milliseconds(r.took));
}

void Monitor::State::schedule(TimePoint at) {
    if (at >= scheduled) return;
    scheduled = at;
    timer.expires_at(at);
    timer.async_wait([this](boost::system::error_code error) {
        if (error) return;
        scheduled = TimePoint::max();
        changed();
    });
}

bool Monitor::first_checks_done() const {
    State& s = *state_;
    return s.prober.board().all_proven(s.round) && s.scheduled > Clock::now() + kCoalesce;
}

api::Health Monitor::view() const {
    return health_view(state_->plan, state_->prober.board().view(state_->round), Clock::now());
}

}  // namespace torii::health
