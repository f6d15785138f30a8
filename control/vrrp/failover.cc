#include "control/vrrp/failover.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <boost/asio/post.hpp>

#include "control/log.h"
#include "control/vrrp/failover_state.h"
#include "control/vrrp/realtime.h"

namespace torii::control::vrrp {

namespace {

constexpr std::chrono::milliseconds kReport{500};
constexpr std::chrono::seconds kStopWait{5};  // for the kernel

}  // namespace

Failover::Failover(asio::io_context& loop, shm::StandbyTable& standby)
    : state_(std::make_unique<State>(loop, standby)) {}
Failover::~Failover() = default;

Result<> Failover::apply(const config::Vrrp& c, bool backup_only) {
    State& s = *state_;
    s.backup_only = backup_only;
    if (c.instances.empty() && !s.speaker) {
        s.config = c;
        write(s.standby, {});  // a run before this one may have had some
        return {};
    }
    if (!s.speaker)
        if (auto ok = s.start_threads(c.realtime); !ok) return ok;
    if (auto ok = s.notifier.set_fifo(c.fifo); !ok)
        spdlog::warn("event=vrrp_fifo error={}", in_quotes(ok.error().message));
    s.config = c;
    s.send_plan();
    return {};
}

void Failover::set_ready() {
    State& s = *state_;
    if (s.ready) return;
    s.ready = true;
    if (!s.speaker) return;
    Command c;
    c.kind = Command::Kind::ready;
    s.boxes.commands->send(std::move(c));
}

bool Failover::ready() const { return state_->ready; }

void Failover::set_dataplane(bool alive) {
    if (state_->dataplane == alive) return;
    state_->dataplane = alive;
    state_->tell_outside();
}

void Failover::set_service(const std::string& name, bool quorum) {
    const auto [it, fresh] = state_->services.emplace(name, quorum);
    if (!fresh && it->second == quorum) return;
    it->second = quorum;
    state_->tell_outside();
}

void Failover::stop(std::function<void()> done) {
    State& s = *state_;
    if (!s.speaker) {
        asio::post(s.loop, std::move(done));
        return;
    }
    s.on_stopped = std::move(done);
    s.report_timer.cancel();
    Command c;
    c.kind = Command::Kind::stop;
    s.boxes.commands->send(std::move(c));
    s.stop_timer.expires_after(kStopWait);
    s.stop_timer.async_wait([&s](Code error) {
        if (error) return;
        spdlog::error("event=vrrp_stop error={}",
                      in_quotes("the kernel does not answer: addresses may be left behind"));
        if (const auto d = std::exchange(s.on_stopped, nullptr)) d();
    });
}

api::Vrrp Failover::view() const {
    const State& s = *state_;
    return view_of(s.plan, s.known, s.group_roles, s.picture);
}

api::Reply Failover::events() { return state_->events.subscribe(); }

Result<> Failover::State::start_threads(unsigned realtime) {
    auto made = Mailboxes::open();
    if (!made) return tl::unexpected(made.error());
    boxes = std::move(*made);
    if (auto ok = lock_memory(); !ok) picture.warnings.push_back(ok.error().message);
    // The hands come after the speaker: an advert waits for no address.
    auto h = Hands::start(boxes, standby, realtime > 1 ? realtime - 1 : realtime);
    if (!h) return tl::unexpected(std::move(h.error()).within("vrrp"));
    hands = std::move(*h);
    auto s = Speaker::start(boxes, realtime);
    if (!s) {
        Order o;
        o.kind = Order::Kind::quit;
        boxes.orders->send(std::move(o));
        hands.reset();
        return tl::unexpected(std::move(s.error()).within("vrrp"));
    }
    speaker = std::move(*s);
    for (const std::string& w : {hands->warning(), speaker->warning()})
        if (!w.empty() && (picture.warnings.empty() || picture.warnings.back() != w))
            picture.warnings.push_back(w);
    for (const std::string& w : picture.warnings) spdlog::warn("event=vrrp error={}", in_quotes(w));
    news_wait.assign(boxes.news->fd());
    remarks_wait.assign(boxes.remarks->fd());
    take_news();
    take_remarks();
    ask_report();
    if (ready) {
        Command c;
        c.kind = Command::Kind::ready;
        boxes.commands->send(std::move(c));
    }
    return {};
}

// The buffer goes to and fro, so that the speaker never allocates.
void Failover::State::ask_report() {
    if (!report_asked) {
        Command c;
        c.kind = Command::Kind::report;
        c.report = std::make_unique<Report>();
        c.report->instances.reserve(plan.instances.size() + 16);
        boxes.commands->send(std::move(c));
        report_asked = true;
    }
    report_timer.expires_after(kReport);
    report_timer.async_wait([this](Code error) {
        if (!error) ask_report();
    });
}

void Failover::State::tell_tracked(Known& k, size_t item, pure::Health health, int number) {
    k.tracked[item].health = health;
    k.tracked[item].number = number;
    Command c;
    c.kind = Command::Kind::tracked;
    c.key = k.key;
    c.item = uint32_t(item);
    c.health = health;
    c.number = number;
    boxes.commands->send(std::move(c));
}

void Failover::State::seen(const Watchers::Where& w, pure::Health health, int number) {
    for (auto& [key, k] : known)
        if (!k.gone && k.name == w.instance && w.item < k.tracked.size())
            tell_tracked(k, w.item, health, number);
}

// What comes from outside this folder: the dataplane and the services.
void Failover::State::tell_outside() {
    for (auto& [key, k] : known) {
        for (size_t n = 0; n < k.tracked.size() && !k.gone; ++n) {
            const pure::Tracked& t = k.tracked[n];
            std::optional<bool> well;
            if (t.kind == pure::TrackKind::dataplane) well = dataplane;
            if (t.kind == pure::TrackKind::service)
                if (const auto it = services.find(t.name); it != services.end()) well = it->second;
            if (!well) continue;
            const auto health = *well ? pure::Health::well : pure::Health::ill;
            if (health != t.health) tell_tracked(k, n, health, 0);
        }
    }
}

void Failover::State::send_plan() {
    plan = make_plan(config, backup_only, keys);
    for (auto& [key, k] : known) k.gone = true;
    for (size_t n = 0; n < plan.instances.size(); ++n) {
        const InstancePlan& p = plan.instances[n];
        Known& k = known[p.key];
        k.take(p, plan.groups[p.group].name, config.instances[n].notify);
    }
    Command c;
    c.kind = Command::Kind::plan;
    c.plan = std::make_unique<Plan>(plan);
    c.hands_plan = std::make_unique<Plan>(plan);
    boxes.commands->send(std::move(c));
    watchers.set(config.instances);
    tell_outside();
}

// Without the event loop: resigns and releases all the same.
void Failover::State::quit() {
    if (!stopped) {
        Command c;
        c.kind = Command::Kind::stop;
        boxes.commands->send(std::move(c));
    }
    speaker.reset();
    hands.reset();
}

}  // namespace torii::control::vrrp
