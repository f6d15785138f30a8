// What toriid answers to those who ask over HTTP.

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "config/schema/schema.h"
#include "control/daemon_state.h"
#include "control/ipvs_api.h"
#include "control/log.h"
#include "control/metrics/metrics.h"
#include "control/views.h"
#include "control/web/page.h"

namespace torii::control {

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
    manual_memory.clear();
    Engine::Applied applied;
    if (auto ok = apply_to(applied)(runtime->desired(), {}); !ok) {
        std::swap(manual, *next);
        manual_memory.clear();
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

api::Health Daemon::State::health_now() const {
    api::Health h = monitor->view();
    for (const auto& [key, state] : manual)
        h.held.push_back({key.server, key.service, std::string(to_string(state))});
    return h;
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
    const Facts facts{engine->tables(),
                      *link,
                      network->routes(),
                      sums,
                      engine->estimator(),
                      network->pending(),
                      config.dataplane.ports.empty()};
    const auto uptime = std::chrono::steady_clock::now() - started;
    const Identity identity{
        TORII_VERSION, config.instance, options.file,
        uint64_t(std::chrono::duration_cast<std::chrono::seconds>(uptime).count())};
    if (path == "/v1/status")
        return {200, "application/json", to_json(status_view(facts, identity))};
    if (path == "/v1/services") return {200, "application/json", to_json(services_view(facts))};
    if (path == "/v1/config")
        return {200, "application/yaml", config::emit_yaml(*config::write_config(config))};
    if (path == "/v1/health") return {200, "application/json", to_json(health_now())};
    if (path == "/v1/ready") return {200, "application/json", to_json(ready_view(facts))};
    if (path == "/v1/connections")
        return {200, "application/x-ndjson", {}, connections_view(*link, engine->shared_tables())};
    if (path == "/v1/config/diff") return difference();
    if (path == "/v1/vrrp") return {200, "application/json", to_json(failover->view())};
    if (path == "/v1/events") return failover->events();
    if (path == "/metrics")
        return {200, "text/plain; version=0.0.4; charset=utf-8",
                metrics::exposition(status_view(facts, identity), services_view(facts),
                                    failover->view(), health_now())};
    if (path == "/")
        return {200, "text/html; charset=utf-8",
                web::page(status_view(facts, identity), services_view(facts))};
    return {404, "application/json", api::error_json("there is nothing at " + path)};
}

}  // namespace torii::control
