#include "control/health/monitor.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "control/health/ledger.h"
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
    State(asio::io_context& l, std::function<void()> c)
        : loop(l), changed(std::move(c)), timer(l), notifier(l), prober([this] {
              asio::post(loop, [this] { take_in(); });
          }) {}

    void take_in();
    void take(const Board::Change&);
    void schedule(TimePoint);
    void say(const PlannedCheck&, const Board::Change&);
    void notify_server(const Member&, bool up);
    void notify_quorum(const QuorumChange&);

    asio::io_context& loop;
    std::function<void()> changed;
    asio::steady_timer timer;
    TimePoint scheduled = TimePoint::max();
    uint64_t round = 0;
    Ledger ledger;
    Notifier notifier;
    Prober prober;  // last: its thread ends first
};

Monitor::Monitor(asio::io_context& loop, std::function<void()> changed)
    : state_(std::make_unique<State>(loop, std::move(changed))) {}
Monitor::~Monitor() = default;

const HealthState& Monitor::state() const { return state_->ledger.plan().state; }

Plan Monitor::prepare(const config::Config& c, const Before* before) const {
    return state_->ledger.prepare(c, before);
}

void Monitor::adopt(Plan next) {
    State& s = *state_;
    s.ledger.adopt(std::move(next));
    std::vector<healthcheck::Check> checks;
    checks.reserve(s.ledger.plan().checks.size());
    for (const PlannedCheck& p : s.ledger.plan().checks) checks.push_back(p.check);
    s.prober.set(++s.round, std::move(checks));
}

void Monitor::applied(const Applied& a) {
    State& s = *state_;
    s.ledger.remember(a.changes);
    for (const QuorumChange& c : a.changes) {
        const ServiceHealth& h = *s.ledger.plan().state.services.at(c.service);
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
    say(ledger.plan().checks[c.check], c);
    Ledger::Known known = ledger.known(c.check);
    known.up = c.report.state.up;
    known.weight = c.report.last.weight;
    if (c.event != Event::none) known.changed = c.report.state.changed;
    for (const Ledger::Moved& m : ledger.take(c.check, known)) {
        spdlog::log(m.up ? spdlog::level::info : spdlog::level::warn,
                    "event=server state={} service={} virtual={} server={} backend={}",
                    m.up ? "up" : "down", in_quotes(m.member.service_name),
                    control::to_string(m.member.service), in_quotes(name_of(m.member)),
                    to_string(m.member.backend));
        notify_server(m.member, m.up);
    }
}

void Monitor::State::notify_server(const Member& m, bool up) {
    const auto programs = ledger.plan().programs.find(m.service);
    if (programs == ledger.plan().programs.end()) return;
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
    const auto programs = ledger.plan().programs.find(c.service);
    if (programs == ledger.plan().programs.end()) return;
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
    return health_view(state_->ledger.plan(), state_->prober.board().view(state_->round),
                       Clock::now());
}

}  // namespace torii::health
