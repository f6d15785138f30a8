// Failover: what the two threads tell, and who is told of it.

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/log.h"
#include "control/vrrp/failover_state.h"

namespace torii::control::vrrp {

namespace {

// How often a stop looks whether the programs have ended.
constexpr std::chrono::milliseconds kStopLook{20};

}  // namespace

void Failover::State::take_news() {
    boxes.news->rest();
    while (auto n = boxes.news->take()) take(std::move(*n));
    if (stopped) return;
    news_wait.async_wait(asio::posix::stream_descriptor::wait_read, [this](Code error) {
        if (!error) take_news();
    });
}

void Failover::State::take_remarks() {
    boxes.remarks->rest();
    while (auto r = boxes.remarks->take()) take(std::move(*r));
    if (stopped) return;
    remarks_wait.async_wait(asio::posix::stream_descriptor::wait_read, [this](Code error) {
        if (!error) take_remarks();
    });
}

void Failover::State::take(News n) {
    switch (n.kind) {
        case News::Kind::none:
            break;
        case News::Kind::old_plan:
            break;  // it ends here
        case News::Kind::transition:
            return transition(n);
        case News::Kind::report:
            picture.report = std::move(n.report);
            report_asked = false;
            break;
        case News::Kind::priority:
        case News::Kind::weaker: {
            const auto it = known.find(n.key);
            if (it == known.end()) break;
            it->second.priority = n.priority;
            const bool weaker = n.kind == News::Kind::weaker;
            if (!weaker)
                spdlog::info("event=vrrp_priority instance={} priority={}",
                             in_quotes(it->second.name), n.priority);
            publish({utc_now(), weaker ? "weaker" : "priority", "instance", it->second.name,
                     std::string(to_string(it->second.role)), "", n.priority});
            break;
        }
        case News::Kind::stopped:
            stopped = true;
            stop_timer.cancel();
            wait_programs(Clock::now() + std::chrono::hours(1), std::exchange(on_stopped, nullptr));
            break;
    }
}

void Failover::State::wait_programs(Clock::time_point until, std::function<void()> done) {
    if (!done) return;
    if (notifier.idle() || Clock::now() > until) return done();
    stop_timer.expires_after(kStopLook);
    stop_timer.async_wait([this, until, done = std::move(done)](Code error) mutable {
        if (!error) wait_programs(until, std::move(done));
    });
}

void Failover::State::transition(const News& n) {
    const auto it = known.find(n.key);
    if (it == known.end()) return;
    Known& k = it->second;
    k.role = n.role;
    k.reason = n.reason;
    k.priority = n.priority;
    k.since = Clock::now();
    spdlog::info("event=vrrp instance={} state={} reason={} priority={}", in_quotes(k.name),
                 to_string(n.role), pure::info(n.reason).name, n.priority);
    publish({utc_now(), "transition", "instance", k.name, std::string(to_string(n.role)),
             std::string(pure::info(n.reason).name), n.priority});
    notifier.tell({Transition::Of::instance, k.name, n.role, n.reason, n.priority, k.interface},
                  k.notify);
    if (!k.group.empty()) group_transition(k, n);
    if (k.gone && n.role == pure::Role::initialize) known.erase(it);
}

// A group has changed when its last member has.
void Failover::State::group_transition(const Known& changed, const News& n) {
    unsigned priority = 255;
    for (const auto& [key, k] : known) {
        if (k.group != changed.group || (k.gone && key != n.key)) continue;
        if (k.role != n.role) return;
        priority = std::min<unsigned>(priority, k.priority);
    }
    const auto [it, fresh] = group_roles.emplace(changed.group, n.role);
    if (!fresh && it->second == n.role) return;
    it->second = n.role;
    const Transition t{Transition::Of::group, changed.group, n.role, n.reason, priority, ""};
    publish({utc_now(), "transition", "group", t.name, std::string(to_string(t.role)),
             std::string(pure::info(t.reason).name), priority});
    for (const config::VrrpGroup& g : config.groups)
        if (g.name == changed.group) notifier.tell(t, g.notify);
}

void Failover::State::publish(const api::VrrpEvent& e) { events.publish(api::to_json(e)); }

void Failover::State::take(Remark r) {
    const auto it = known.find(r.key);
    const std::string name = it == known.end() ? "" : it->second.name;
    switch (r.kind) {
        case Remark::Kind::none:
            break;
        case Remark::Kind::info:
            spdlog::info("event=vrrp instance={} note={}", in_quotes(name), in_quotes(r.text));
            break;
        case Remark::Kind::warning:
            spdlog::warn("event=vrrp instance={} error={}", in_quotes(name), in_quotes(r.text));
            break;
        case Remark::Kind::ground:
            if (it == known.end()) break;
            if (!r.text.empty() && r.text != it->second.missing)
                spdlog::warn("event=vrrp instance={} error={}", in_quotes(name), in_quotes(r.text));
            it->second.missing = r.text;
            break;
        case Remark::Kind::tracked:
            if (it != known.end() && r.item < it->second.tracked.size())
                it->second.tracked[r.item].health = r.health;
            break;
    }
}

}  // namespace torii::control::vrrp
