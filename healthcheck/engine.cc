#include "healthcheck/engine.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>

#include "healthcheck/agenda.h"
#include "healthcheck/connector.h"
#include "healthcheck/tls.h"

namespace torii::healthcheck {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds kLate{50};

bool same(const Check& a, const Check& b) {
    return a.request.target == b.request.target && *a.request.settings == *b.request.settings;
}

}  // namespace

struct Engine::Impl {
    struct Item {
        Check check;
        const Checker* checker = nullptr;
        State state;
        TimePoint due, started;
        std::unique_ptr<Probe> probe;
    };

    Impl(asio::io_context& l, ScriptRunner& scripts, Tell t, size_t most)
        : loop(l),
          connector(l),
          environment{l, connector, tls, scripts},
          tell(std::move(t)),
          most_running(most),
          timer(l) {}

    void wait();
    void act();
    void start(uint32_t);
    void expire(uint32_t);
    void finish(uint32_t, Result);
    void start_waiting();
    void adopt(Item&, Item& old, TimePoint now);

    asio::io_context& loop;
    Connector connector;
    TlsContexts tls;
    Environment environment;
    Tell tell;
    const size_t most_running;
    asio::steady_timer timer;
    TimePoint armed = TimePoint::max();
    std::vector<Item> items;
    Agenda agenda;
    std::deque<uint32_t> waiting;
    Punctuality counted;
    bool busy = false;  ///< act() or start_waiting() goes on; it will wait() at its end
    // While a probe is being started, its result is kept here instead.
    uint32_t starting = Agenda::kNowhere;
    std::optional<Result> at_once;
};

Engine::Engine(asio::io_context& loop, ScriptRunner& scripts, Tell tell, size_t most_sockets)
    : impl_(std::make_unique<Impl>(loop, scripts, std::move(tell), most_sockets)) {}
Engine::~Engine() = default;

Punctuality Engine::punctuality() const { return impl_->counted; }

std::vector<State> Engine::set(std::vector<Check> checks) {
    Impl& m = *impl_;
    const TimePoint now = Clock::now();
    std::unordered_map<std::string, size_t> known;
    for (size_t i = 0; i < m.items.size(); ++i) known.emplace(m.items[i].check.identity, i);
    std::vector<Engine::Impl::Item> before = std::exchange(m.items, {});
    m.items.resize(checks.size());
    m.agenda = Agenda(checks.size());
    m.waiting.clear();
    m.tls.forget();
    std::vector<State> states;
    for (size_t i = 0; i < checks.size(); ++i) {
        Engine::Impl::Item& item = m.items[i];
        item.check = std::move(checks[i]);
        item.checker = find_checker(*item.check.request.settings);
        const auto old = known.find(item.check.identity);
        if (old != known.end()) {
            m.adopt(item, before[old->second], now);
        } else {
            const uint64_t seed = std::hash<std::string>()(item.check.identity);
            const Step s = begin(*item.check.request.settings, item.check.up, seed, now);
            item.state = s.state;
            item.due = s.due;
        }
        m.agenda.set(uint32_t(i), item.due);
        states.push_back(item.state);
    }
    m.counted.running = 0;  // probes that were under way are given up with `before`
    m.wait();
    return states;
}

// A probe that is under way is made again: its answer belongs to the old settings.
void Engine::Impl::adopt(Item& item, Item& old, TimePoint now) {
    const config::Health& settings = *item.check.request.settings;
    item.state = adapt(settings, old.state);
    item.due = std::max(now, old.probe ? now : old.due);
    if (!same(item.check, old.check)) item.due = std::min(item.due, now + settings.interval);
}

// To the millisecond: probes that are due together start together.
void Engine::Impl::wait() {
    if (busy) return;
    if (agenda.empty()) {
        timer.cancel();
        armed = TimePoint::max();
        return;
    }
    if (agenda.first() >= armed) return;  // it is looked at soon enough
    armed = agenda.first();
    timer.expires_at(std::chrono::ceil<std::chrono::milliseconds>(armed));
    timer.async_wait([this](boost::system::error_code error) {
        if (error) return;
        armed = TimePoint::max();
        act();
    });
}

void Engine::Impl::act() {
    const TimePoint now = Clock::now();
    busy = true;
    while (!agenda.empty() && agenda.first() <= now) {
        const uint32_t i = agenda.first_item();
        agenda.remove(i);
        if (items[i].probe) {
            expire(i);
        } else if (counted.running >= most_running) {
            waiting.push_back(i);
        } else {
            start(i);
        }
    }
    busy = false;
    start_waiting();
}

void Engine::Impl::start(uint32_t i) {
    Item& item = items[i];
    item.started = Clock::now();
    const auto late = std::chrono::duration_cast<Duration>(item.started - item.due);
    counted.worst = std::max(counted.worst, late);
    counted.late += late > kLate;
    ++counted.started;
    counted.most_running = std::max(counted.most_running, ++counted.running);
    starting = i;
    at_once.reset();
    auto probe = item.checker->start(environment, item.check.request, [this, i](Result r) {
        if (starting == i)
            at_once = std::move(r);
        else
            finish(i, std::move(r));
    });
    starting = Agenda::kNowhere;
    item.probe = std::move(probe);
    if (at_once) return finish(i, std::move(*at_once));
    if (!item.probe->keeps_time())
        agenda.set(i, item.started + item.check.request.settings->timeout);
}

void Engine::Impl::expire(uint32_t i) { finish(i, items[i].probe->expired()); }

void Engine::Impl::finish(uint32_t i, Result result) {
    Item& item = items[i];
    item.probe.reset();
    --counted.running;
    ++counted.ended;
    const TimePoint now = Clock::now();
    result.took = std::chrono::duration_cast<Duration>(now - item.started);
    const Step s = step(*item.check.request.settings, item.state, result.good(), item.started, now);
    item.state = s.state;
    item.due = s.due;
    agenda.set(i, s.due);
    tell({i, item.state, result, s.event});
    if (!busy) start_waiting();
}

void Engine::Impl::start_waiting() {
    busy = true;
    while (!waiting.empty() && counted.running < most_running) {
        const uint32_t next = waiting.front();
        waiting.pop_front();
        start(next);
    }
    busy = false;
    wait();
}

}  // namespace torii::healthcheck
