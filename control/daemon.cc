#include "control/daemon.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <csignal>
#include <set>

#include "config/schema/schema.h"
#include "control/daemon_state.h"
#include "control/kernel/mirror.h"
#include "control/log.h"

namespace torii::control {

using Code = boost::system::error_code;
using std::chrono::milliseconds;

namespace {

// How often a worker's events are taken out, and how often the dataplane's state is looked at.
constexpr milliseconds kEvents{10}, kWatch{100};
// So long after its start VRRP waits for the first result of every check: a check that takes an
// hour to warm up is no reason to leave the addresses to nobody.
constexpr std::chrono::seconds kFirstChecks{10};
constexpr uint64_t kLargestRequest = uint64_t{64} << 20;

}  // namespace

Daemon::Daemon(std::unique_ptr<State> s) : state_(std::move(s)) {}
Daemon::~Daemon() = default;

Result<std::unique_ptr<Daemon>> Daemon::start(const DaemonOptions& options) {
    auto s = std::make_unique<State>(options);
    if (auto ok = s->begin(); !ok) return tl::unexpected(ok.error());
    return std::unique_ptr<Daemon>(new Daemon(std::move(s)));
}

void Daemon::run() {
    State& s = *state_;
    ::sd_notify(0, "READY=1");
    s.wait_signal();
    s.next_tick();
    s.loop.run();
    ::sd_notify(0, "STOPPING=1");
    spdlog::info("event=stopped instance={}", s.config.instance);
}

// Checks first, then the lock, then what others can see.
Result<> Daemon::State::begin() {
    {
        const auto mirror = kernel::Mirror::open();
        if (!mirror) return tl::unexpected(mirror.error());
        const kernel::RouteIndex routes((*mirror)->snapshot());
        Checked checked = load_checked(options.file, options.instance, routes);
        if (!checked.config) return tl::unexpected(error_of(checked.diagnostics));
        config = std::move(*checked.config);
    }
    options.instance = config.instance;
    const shm::Location location = shm::Location::of_instance(config.instance);
    auto taken = shm::Lock::acquire(location, "toriid", std::chrono::seconds(2));
    if (!taken) return tl::unexpected(taken.error());
    lock = std::move(*taken);
    if (auto ok = attach(location); !ok) return ok;
    if (auto ok = listen(); !ok) return ok;
    const health::Before before{engine->tables().desired, manual};
    const auto kept = put_into_force(config, &before);
    if (!kept) return tl::unexpected(kept.error());
    if (auto ok = network->start(); !ok) return ok;
    if (!link->up()) publisher->remove_superseded();
    failover = std::make_unique<vrrp::Failover>(loop, shm::standby_of(standby));
    if (auto ok = failover->apply(config.vrrp, config.behaviour.backup_only != 0); !ok) return ok;
    watch_vrrp();
    spdlog::info("event=started instance={} file={} api={} dataplane={}", config.instance,
                 in_quotes(options.file), in_quotes(config.api.socket), link->up() ? "up" : "down");
    return {};
}

// Whether an address is the host's is asked of the kernel's mirror at the time of each command.
Machine Daemon::State::machine() {
    return {[this](const Address& a) {
                return network->routes().lookup(a).kind == kernel::Resolved::Kind::local;
            },
            [](std::string_view name) { return scheduler::find_scheduler(name) != nullptr; }};
}

Result<> Daemon::State::attach(const shm::Location& location) {
    auto mapped = shm::open_control(location);
    if (!mapped) return tl::unexpected(mapped.error());
    control = std::move(*mapped);
    auto waiting = shm::open_standby(location);
    if (!waiting) return tl::unexpected(waiting.error());
    standby = std::move(*waiting);
    shm::ControlBlock& block = shm::control_of(control);
    link = std::make_unique<DataplaneLink>(location, block);
    for (const std::string& problem : link->refresh().problems)
        spdlog::warn("event=attach error={}", in_quotes(problem));
    publisher = std::make_unique<Publisher>(location, block);
    std::string problem;
    engine = std::make_unique<Engine>(location, block, *publisher, *link, problem);
    if (!problem.empty()) spdlog::warn("event=recover error={}", in_quotes(problem));
    auto opened = Network::open(loop, *publisher, *link);
    if (!opened) return tl::unexpected(opened.error());
    network = std::move(*opened);
    servers = std::make_unique<Servers>(*network);
    network->on_refresh([this] { servers->tidy(runtime->desired(), monitor->state()); });
    problem.clear();
    runtime = std::make_unique<Runtime>(location.path("edits"), machine(), problem);
    if (!problem.empty()) spdlog::warn("event=edits error={}", in_quotes(problem));
    if (auto said = load_manual(location.path("manual")))
        manual = std::move(*said);
    else
        spdlog::warn("event=manual error={}", in_quotes(said.error().message));
    monitor = std::make_unique<health::Monitor>(loop, [this] { health_changed(); });
    return {};
}

Result<> Daemon::State::listen() {
    api::Limits large;  // a configuration, or a saved table, comes as one request
    large.body_bytes = std::max<uint64_t>(config::kMaxBytes, kLargestRequest);
    auto full = api::Server::listen_unix(
        loop, config.api.socket, config.api.group,
        [this](const api::Request& r) { return answer(r, true); }, large);
    if (!full) return tl::unexpected(std::move(full.error()).within("api.socket"));
    api = std::move(*full);
    if (!api->warning().empty()) spdlog::warn("event=api warning={}", in_quotes(api->warning()));
    if (!config.web.listen) return {};
    auto reading = api::Server::listen_tcp(
        loop, *config.web.listen, [this](const api::Request& r) { return answer(r, false); });
    if (!reading) return tl::unexpected(std::move(reading.error()).within("web.listen"));
    web = std::move(*reading);
    return {};
}

void Daemon::State::wait_signal() {
    signals.add(SIGHUP);
    signals.add(SIGTERM);
    signals.add(SIGINT);
    signals.async_wait([this](Code error, int number) {
        if (error) return;
        if (number == SIGHUP)
            reload("SIGHUP");
        else if (std::exchange(stopping, true))
            return loop.stop();  // told twice
        else
            failover->stop([this] { loop.stop(); });
        wait_signal();
    });
}

void Daemon::State::next_tick() {
    tick.expires_after(link->up() ? kEvents : kWatch);
    tick.async_wait([this](Code error) {
        if (error) return;
        link->drain([this](const shm::Event& e) {
            if (e.kind == shm::EventKind::neighbour_wanted) network->wanted(e.ifindex, e.address);
        });
        const auto now = std::chrono::steady_clock::now();
        // A dataplane that died is noticed at once: the peer is to take over.
        if (now >= next_watch || (link->up() && !link->running())) {
            next_watch = now + kWatch;
            watch();
        }
        if (now >= next_estimate) {
            next_estimate = std::max(next_estimate, now - kEstimatorTick) + kEstimatorTick;
            engine->estimate();
        }
        next_tick();
    });
}

void Daemon::State::watch() {
    const DataplaneLink::Changes c = link->refresh();
    if (c.came) spdlog::info("event=dataplane state=up");
    if (c.went) {
        spdlog::warn("event=dataplane state=down");
        publisher->remove_superseded();
    }
    watch_vrrp();
    for (const std::string& problem : c.problems)
        spdlog::warn("event=attach error={}", in_quotes(problem));
    if (c.objects) {
        network->ports_changed();
        if (auto ok = engine->counters_changed(); !ok)
            spdlog::error("event=publish kind=services error={}", in_quotes(ok.error().message));
    }
    // Generations that came so fast that the dataplane never saw them are nobody's to remove.
    const shm::ControlBlock& block = link->control();
    const uint64_t n = block.services_in_force.load(std::memory_order_acquire) +
                       block.routes_in_force.load(std::memory_order_acquire);
    const uint64_t published = publisher->next_services() - 1 + publisher->next_routes() - 1;
    if (n == published && n != superseded_for) {
        superseded_for = n;
        publisher->remove_superseded();
    }
}

// Whether the workers forward by the tables that are in force.
bool Daemon::State::forwards() const {
    const shm::ControlBlock& c = link->control();
    const auto taken = [](const auto& published, const auto& n) {
        return n.load(std::memory_order_acquire) == published.load(std::memory_order_acquire);
    };
    return link->ready() && taken(c.services_generation, c.services_in_force) &&
           taken(c.routes_generation, c.routes_in_force) && !network->pending();
}

// A dataplane is well from when it forwards until it is gone: between, tables come and go.
void Daemon::State::watch_vrrp() {
    first_checks_done = first_checks_done || monitor->first_checks_done() ||
                        std::chrono::steady_clock::now() - started > kFirstChecks;
    tell_quorums();
    if (!link->up())
        failover->set_dataplane(false);
    else if (forwards()) {
        failover->set_dataplane(true);
        if (first_checks_done) failover->set_ready();
    }
}

// Of the services that an instance tracks, once it is known whether their servers answer.
void Daemon::State::tell_quorums() {
    if (!first_checks_done) return;
    std::set<std::string> tracked;
    for (const config::VrrpInstance& i : config.vrrp.instances)
        for (const config::VrrpTrackService& s : i.track.services) tracked.insert(s.name);
    for (const auto& [name, has] :
         health::quorums(tracked, engine->tables().desired, monitor->state()))
        failover->set_service(name, has);
}

}  // namespace torii::control
