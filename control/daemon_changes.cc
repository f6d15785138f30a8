// Every way to other tables: a reload, another file, an edit, what checks found.

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include "control/daemon_state.h"
#include "control/log.h"
#include "control/replacement.h"

namespace torii::control {

// From the configuration with its edits to the tables: what operators say by hand, then what the
// checks found. `plan`: the checks of another configuration, adopted with its tables.
Runtime::Apply Daemon::State::apply_to(Engine::Applied& applied, health::Plan* plan) {
    return [this, &applied, plan](const Desired& next, const Zero& zero) -> Result<> {
        const health::HealthState& known = plan ? plan->state : monitor->state();
        health::Applied wanted = apply_health(apply_manual(next, manual, manual_memory), known,
                                              std::chrono::steady_clock::now(), health_memory);
        auto done =
            engine->apply(std::move(wanted.desired), uint32_t(config.dataplane.backends), zero);
        if (!done) return tl::unexpected(done.error());
        applied = *done;
        if (plan) monitor->adopt(std::move(*plan));
        monitor->applied(wanted);
        if (plan)
            servers->set(next, monitor->state());
        else
            servers->add(next);
        return {};
    };
}

// Another configuration; the number of edits that it made void. `before`: what was in force when
// toriid started.
Result<size_t> Daemon::State::put_into_force(const config::Config& c,
                                             const health::Before* before) {
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
    tell_quorums();
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
            const uint32_t backup_only = checked.config->behaviour.backup_only;
            const bool routers =
                config.vrrp != checked.config->vrrp || config.behaviour.backup_only != backup_only;
            config = std::move(*checked.config);
            if (routers)
                if (auto vrrp_ok = failover->apply(config.vrrp, backup_only != 0); !vrrp_ok)
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

}  // namespace torii::control
