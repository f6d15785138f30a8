#include "control/vrrp/failover.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <optional>

#include "control/log.h"
#include "control/vrrp/events.h"
#include "control/vrrp/hands.h"
#include "control/vrrp/notifier.h"
#include "control/vrrp/realtime.h"
#include "control/vrrp/speaker.h"
#include "control/vrrp/view.h"
#include "control/vrrp/watchers.h"

namespace torii::control::vrrp {

namespace asio = boost::asio;
namespace pure = torii::vrrp;
using Code = boost::system::error_code;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::chrono::milliseconds kReport{500};
// How long a stop waits for the kernel; and for the programs after that.
constexpr std::chrono::seconds kStopWait{5};
constexpr std::chrono::milliseconds kStopLook{20};

}  // namespace

struct Failover::State {
    State(asio::io_context& l, shm::StandbyTable& table)
        : loop(l),
          standby(table),
          notifier(l),
          events(l),
          watchers(l, [this](const Watchers::Where& w, pure::Health h,
                             int number) { seen(w, h, number); }),
          news_wait(l),
          remarks_wait(l),
          report_timer(l),
          stop_timer(l) {}
    ~State() {
        for (auto* d : {&news_wait, &remarks_wait})
            if (d->is_open()) d->release();  // they belong to the mailboxes
        if (speaker) quit();
    }

    Result<> start_threads(unsigned realtime);
    void take_news();
    void take_remarks();
    void take(News);
    void take(Remark);
    void transition(const News&);
    void group_transition(const Known&, const News&);
    void publish(const api::VrrpEvent&);
    void ask_report();
    void seen(const Watchers::Where&, pure::Health, int number);
    void tell_tracked(Known&, size_t item, pure::Health, int number);
    void tell_outside();
    void send_plan();
    void quit();
    void wait_programs(Clock::time_point until, std::function<void()> done);

    asio::io_context& loop;
    shm::StandbyTable& standby;  // the hands' once they are there
    config::Vrrp config;
    bool backup_only = false;
    Keys keys;
    Plan plan;  // a copy to look things up in
    Mailboxes boxes;
    std::unique_ptr<Hands> hands;
    std::unique_ptr<Speaker> speaker;
    Notifier notifier;
    Events events;
    std::map<Key, Known> known;
    std::map<std::string, pure::Role> group_roles;
    Picture picture;
    std::optional<bool> dataplane;
    std::map<std::string, bool> services;
    bool ready = false, report_asked = false, stopped = false;
    Watchers watchers;
    asio::posix::stream_descriptor news_wait, remarks_wait;
    asio::steady_timer report_timer, stop_timer;
    std::function<void()> on_stopped;
};

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
