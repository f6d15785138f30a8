#include "control/daemon.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>

#include "config/schema/schema.h"
#include "control/api/server.h"
#include "control/engine.h"
#include "control/health/monitor.h"
#include "control/ipvs_api.h"
#include "control/kernel/mirror.h"
#include "control/log.h"
#include "control/manual.h"
#include "control/metrics/metrics.h"
#include "control/network.h"
#include "control/replacement.h"
#include "control/runtime.h"
#include "control/views.h"
#include "control/vrrp/failover.h"
#include "control/web/page.h"

namespace torii::control {

namespace asio = boost::asio;
using Code = boost::system::error_code;
using std::chrono::milliseconds;

namespace {

// How often a worker's events are taken out, and how often the dataplane's state is looked at.
constexpr milliseconds kEvents{10}, kWatch{100};
constexpr uint64_t kLargestRequest = uint64_t{64} << 20;

// Also of servers that are down, and those that say sorry.
std::vector<Address> servers_of(const Desired& d, const health::HealthState& h) {
    std::vector<Address> all;
    for (const Service& s : d.services)
        for (const Destination& b : s.destinations) all.push_back(b.key.address);
    for (const auto& [key, s] : h.services)
        if (s.sorry) all.push_back(s.sorry->address);
    std::ranges::sort(all);
    all.erase(std::ranges::unique(all).begin(), all.end());
    return all;
}

Error error_of(const std::vector<config::Diagnostic>& all) {
    std::string text = config::format(all);
    if (!text.empty()) text.pop_back();
    return {Errc::invalid, std::move(text)};
}

}  // namespace

struct Daemon::State {
    explicit State(DaemonOptions o)
        : options(std::move(o)),
          signals(loop),
          tick(loop),
          started(std::chrono::steady_clock::now()) {}

    Result<> begin();
    Result<> attach(const shm::Location&);
    Result<> listen();
    void wait_signal();
    void next_tick();
    void watch();
    void watch_vrrp();
    bool forwards() const;
    api::ReloadOutcome reload(std::string_view why);
    api::ReloadOutcome take(Checked, std::string_view why);
    api::ReloadOutcome install(std::string_view text);
    Result<size_t> put_into_force(const config::Config&, const Desired* before);
    void health_changed();
    void log_applied(const Engine::Applied&);
    Runtime::Apply apply_to(Engine::Applied&, health::Plan* = nullptr);
    api::Reply say_by_hand(const api::Request&);
    Machine machine();
    api::Reply ipvs(const api::Request&, bool full);
    api::Reply difference();
    api::Reply answer(const api::Request&, bool full);
    api::Reply view(const std::string& path);

    DaemonOptions options;
    asio::io_context loop{1};
    config::Config config;
    std::optional<shm::Lock> lock;
    shm::Mapping control;
    // In the order they depend on each other; destroyed backwards.
    std::unique_ptr<DataplaneLink> link;
    std::unique_ptr<Publisher> publisher;
    std::unique_ptr<Engine> engine;
    std::unique_ptr<Network> network;
    std::unique_ptr<Runtime> runtime;
    Manual manual;
    std::unique_ptr<health::Monitor> monitor;
    std::unique_ptr<vrrp::Failover> failover;
    std::unique_ptr<api::Server> api, web;
    asio::signal_set signals;
    asio::steady_timer tick;
    std::chrono::steady_clock::time_point started, next_watch, next_estimate;
    uint64_t superseded_for = 0;
    bool stopping = false;
};

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
    const auto kept = put_into_force(config, &engine->tables().desired);
    if (!kept) return tl::unexpected(kept.error());
    if (auto ok = network->start(); !ok) return ok;
    if (!link->up()) publisher->remove_superseded();
    failover = std::make_unique<vrrp::Failover>(loop);
    if (auto ok = failover->apply(config.vrrp); !ok) return ok;
    watch_vrrp();
    spdlog::info("event=started instance={} file={} api={} dataplane={}", config.instance,
                 in_quotes(options.file), in_quotes(config.api.socket), link->up() ? "up" : "down");
    return {};
}

// From the configuration with its edits to the tables: what operators say by hand, then what the
// checks found. `plan`: the checks of another configuration, adopted with its tables.
Runtime::Apply Daemon::State::apply_to(Engine::Applied& applied, health::Plan* plan) {
    return [this, &applied, plan](Desired next, const Zero& zero) -> Result<> {
        const health::HealthState& known = plan ? plan->state : monitor->state();
        const std::vector<Address> servers = servers_of(next, known);
        health::Applied wanted = apply_health(apply_manual(std::move(next), manual), known,
                                              std::chrono::steady_clock::now());
        auto done =
            engine->apply(std::move(wanted.desired), uint32_t(config.dataplane.backends), zero);
        if (!done) return tl::unexpected(done.error());
        applied = *done;
        if (plan) monitor->adopt(std::move(*plan));
        monitor->applied(wanted);
        network->keep_resolved(servers);
        return {};
    };
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

// Another configuration; the number of edits that it made void. `before`: what was in force when
// toriid started.
Result<size_t> Daemon::State::put_into_force(const config::Config& c, const Desired* before) {
    health::Plan plan = monitor->prepare(c, before);
    Engine::Applied applied;
    auto dropped = runtime->configure(control::desired(c), apply_to(applied, &plan));
    if (dropped) log_applied(applied);
    return dropped;
}

// The same configuration and edits; what is known of servers is another.
void Daemon::State::health_changed() {
    Engine::Applied applied;
    if (auto ok = apply_to(applied)(runtime->desired(), {}); !ok)
        return spdlog::error("event=publish kind=services error={}", in_quotes(ok.error().message));
    log_applied(applied);
}

// {"server": NAME, "service": NAME or "", "state": up, drain or down}
api::Reply Daemon::State::say_by_hand(const api::Request& r) {
    if (r.method == "GET") return {200, "application/json", to_json(manual)};
    if (r.method != "POST") return {405, "application/json", api::error_json("use GET or POST")};
    const auto said = manual_from_json("[" + r.body + "]");
    if (!said || said->size() != 1)
        return {400, "application/json",
                api::error_json(said ? "one object is wanted" : said.error().message)};
    auto next = say(manual, said->begin()->first, said->begin()->second, runtime->desired());
    if (!next) return {404, "application/json", api::error_json(next.error().message)};
    std::swap(manual, *next);
    Engine::Applied applied;
    if (auto ok = apply_to(applied)(runtime->desired(), {}); !ok) {
        std::swap(manual, *next);
        return {500, "application/json", api::error_json(ok.error().message)};
    }
    log_applied(applied);
    const auto& [key, state] = *said->begin();
    spdlog::info("event=manual server={} service={} state={}", in_quotes(key.server),
                 in_quotes(key.service), to_string(state));
    const auto path = shm::Location::of_instance(config.instance).path("manual");
    if (auto ok = store_manual(path, manual); !ok)
        spdlog::error("event=manual error={}", in_quotes(ok.error().message));
    return {200, "application/json", to_json(manual)};
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
    if (!link->up())
        failover->set_dataplane(false);
    else if (forwards()) {
        failover->set_dataplane(true);
        failover->set_ready();
    }
}

api::ReloadOutcome Daemon::State::reload(std::string_view why) {
    return take(load_checked(options.file, options.instance, network->routes()), why);
}

// The text is put into force first, and only then takes the file's place.
api::ReloadOutcome Daemon::State::install(std::string_view text) {
    auto written = Replacement::write(options.file, text);
    if (!written) return {false, {written.error().message}, {}};
    auto outcome =
        take(check_text(text, options.file, options.instance, network->routes()), "apply");
    if (!outcome.ok) return outcome;
    if (auto ok = written->commit(); !ok)
        outcome.notes.push_back("in force, but not kept: " + ok.error().message);
    return outcome;
}

api::ReloadOutcome Daemon::State::take(Checked checked, std::string_view why) {
    ::sd_notify(0, "RELOADING=1");
    api::ReloadOutcome outcome;
    for (const config::Diagnostic& d : checked.diagnostics)
        outcome.diagnostics.push_back(config::to_string(d));
    if (checked.config) {
        const auto dropped = put_into_force(*checked.config, nullptr);
        if (dropped) {
            outcome.ok = true;
            outcome.notes = restart_notes(config, *checked.config);
            if (*dropped != 0)
                outcome.notes.push_back(fmt::format(
                    "{} runtime edits are dropped: the file says something new there", *dropped));
            const bool routers = config.vrrp != checked.config->vrrp;
            config = std::move(*checked.config);
            if (routers)
                if (auto vrrp_ok = failover->apply(config.vrrp); !vrrp_ok)
                    spdlog::error("event=vrrp error={}", in_quotes(vrrp_ok.error().message));
        } else {
            outcome.diagnostics.push_back(
                fmt::format("{}: {}", options.file, dropped.error().message));
        }
    }
    for (const std::string& d : outcome.diagnostics)
        spdlog::error("event=reload cause={} error={}", why, in_quotes(d));
    for (const std::string& n : outcome.notes)
        spdlog::warn("event=reload cause={} note={}", why, in_quotes(n));
    if (!outcome.ok) spdlog::error("event=reload cause={} result=refused", why);
    ::sd_notify(0, "READY=1");
    return outcome;
}

void Daemon::State::log_applied(const Engine::Applied& a) {
    const Difference& d = a.difference;
    spdlog::info(
        "event=applied generation={} published={} services_added={} services_removed={} "
        "services_edited={} backends_added={} backends_removed={} backends_edited={}",
        a.generation, a.published, d.services_added, d.services_removed, d.services_edited,
        d.backends_added, d.backends_removed, d.backends_edited);
}

// `full`: the unix socket, which may also change things.
api::Reply Daemon::State::answer(const api::Request& r, bool full) {
    if (full && r.path == "/v1/reload") {
        if (r.method != "POST") return {405, "application/json", api::error_json("use POST")};
        return {200, "application/json", to_json(reload("api"))};
    }
    if (full && r.path == "/v1/config" && r.method == "PUT")
        return {200, "application/json", to_json(install(r.body))};
    if (is_ipvs_path(r.path)) return ipvs(r, full);
    if (r.path == "/v1/servers" && (full || r.method == "GET")) return say_by_hand(r);
    if (r.method != "GET")
        return {405, "application/json", api::error_json("only GET is served here")};
    return view(r.path);
}

api::Reply Daemon::State::ipvs(const api::Request& r, bool full) {
    Engine::Applied applied;
    const api::Reply reply = answer_ipvs({*runtime, *engine, *link, apply_to(applied)}, r, full);
    if (applied.generation != 0) log_applied(applied);
    if (const std::string problem = runtime->take_problem(); !problem.empty())
        spdlog::error("event=edits error={}", in_quotes(problem));
    return reply;
}

// Running beside the file as it is on disk now, which need not be the one that was loaded.
api::Reply Daemon::State::difference() {
    const Checked file = load_checked(options.file, options.instance, network->routes());
    if (!file.config)
        return {409, "application/json", api::error_json(error_of(file.diagnostics).message)};
    return {200, "text/plain", describe_difference(desired(*file.config), runtime->desired())};
}

api::Reply Daemon::State::view(const std::string& path) {
    const Tally sums = engine->tally();
    const Facts facts{engine->tables(),  *link, network->routes(), sums, engine->estimator(),
                      network->pending()};
    const auto uptime = std::chrono::steady_clock::now() - started;
    const Identity identity{
        TORII_VERSION, config.instance, options.file,
        uint64_t(std::chrono::duration_cast<std::chrono::seconds>(uptime).count())};
    if (path == "/v1/status")
        return {200, "application/json", to_json(status_view(facts, identity))};
    if (path == "/v1/services") return {200, "application/json", to_json(services_view(facts))};
    if (path == "/v1/config")
        return {200, "application/yaml", config::emit_yaml(*config::write_config(config))};
    if (path == "/v1/health") return {200, "application/json", to_json(monitor->view())};
    if (path == "/v1/ready") return {200, "application/json", to_json(ready_view(facts))};
    if (path == "/v1/connections")
        return {200, "application/x-ndjson", {}, connections_view(*link, engine->shared_tables())};
    if (path == "/v1/config/diff") return difference();
    if (path == "/v1/vrrp") return {200, "application/json", to_json(failover->view())};
    if (path == "/v1/events") return failover->events();
    if (path == "/metrics")
        return {200, "text/plain; version=0.0.4; charset=utf-8",
                metrics::exposition(status_view(facts, identity), services_view(facts),
                                    failover->view(), monitor->view())};
    if (path == "/")
        return {200, "text/html; charset=utf-8",
                web::page(status_view(facts, identity), services_view(facts))};
    return {404, "application/json", api::error_json("there is nothing at " + path)};
}

}  // namespace torii::control
