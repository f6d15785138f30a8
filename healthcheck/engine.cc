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
#include "healthcheck/detour.h"
#include "healthcheck/tls.h"

namespace torii::healthcheck {

namespace asio = boost::asio;

namespace {

// More first probes than this take longer than a warm-up of 2 seconds: a processor has other work.
constexpr size_t kCrowd = 10000;
constexpr std::chrono::milliseconds kLate{50};
// While probes run, the loop shows this often that it is there. What it is late by, beyond kAway,
// is time in which no answer could be taken.
constexpr std::chrono::milliseconds kBeat{10}, kAway{10};

bool same(const Check& a, const Check& b) {
    return a.request.target == b.request.target && *a.request.settings == *b.request.settings;
}

void count(Punctuality& p, Duration late) {
    const auto bucket = std::ranges::find_if(
        kLateness, [&](uint32_t most) { return late <= std::chrono::milliseconds(most); });
    ++p.lateness[size_t(bucket - kLateness.begin())];
    p.lateness_sum += late;
    p.worst = std::max(p.worst, late);
    p.late += late > kLate;
    ++p.started;
}

}  // namespace

struct Engine::Impl {
    struct Item {
        uint32_t at = 0;  // its position, in `items` and for those who are told
        Check check;
        const Checker* checker = nullptr;
        State state;
        TimePoint planned;  // when its probe should begin
        TimePoint due;      // planned, or later because the loop was away
        TimePoint next;     // its moment in the agenda
        TimePoint started;
        bool last_look = false;  // its time is up, but something had arrived
        std::unique_ptr<Probe> probe;
    };

    Impl(asio::io_context& l, ScriptRunner& scripts, Tell t, size_t most)
        : loop(l),
          connector(l),
          detour(l),
          environment{l, connector, detour, tls, scripts},
          tell(std::move(t)),
          most_running(most),
          timer(l) {}

    void wait();
    void arm(TimePoint);
    void act();
    void start(Item&);
    void expire(Item&, TimePoint now);
    void finish(Item&, Result);
    void start_waiting();
    void move(Item& i, TimePoint to) { agenda.set(i.at, i.next = to); }

    asio::io_context& loop;
    Connector connector;
    Detour detour;
    TlsContexts tls;
    Environment environment;
    Tell tell;
    const size_t most_running;
    asio::steady_timer timer;
    TimePoint armed = TimePoint::max();
    std::vector<std::unique_ptr<Item>> items;
    Agenda agenda;
    std::deque<uint32_t> waiting;
    Punctuality counted;
    bool busy = false;  ///< act() or start_waiting() goes on; it will wait() at its end
    // While a probe is being started, its result is kept here instead.
    const Item* starting = nullptr;
    std::optional<Result> at_once;
};

Engine::Engine(asio::io_context& loop, ScriptRunner& scripts, Tell tell, size_t most_sockets)
    : impl_(std::make_unique<Impl>(loop, scripts, std::move(tell), most_sockets)) {}
Engine::~Engine() = default;

Punctuality Engine::punctuality() const { return impl_->counted; }

namespace {

/// The items of a former set, to be taken over by those that are the same. The keys lie in the
/// items, which must not change their identity before this ends.
template <class Item>
class Former {
public:
    explicit Former(std::vector<std::unique_ptr<Item>> items) : items_(std::move(items)) {
        known_.reserve(items_.size());
        for (size_t i = 0; i < items_.size(); ++i)
            known_.emplace(items_[i]->check.identity, uint32_t(i));
    }
    /// The one that was exactly this, as a whole; it is given once.
    std::unique_ptr<Item> take(const Check& c) {
        for (auto [i, end] = known_.equal_range(c.identity); i != end; ++i) {
            std::unique_ptr<Item>& there = items_[i->second];
            if (there->checker == nullptr || !same(there->check, c)) continue;
            auto left = std::make_unique<Item>();  // others may still go by its state
            left->at = there->at;
            left->state = there->state;
            left->due = there->due;
            return std::exchange(there, std::move(left));
        }
        return nullptr;
    }
    /// One that probed the same, or null.
    const Item* find(const Check& c) const {
        const auto i = known_.find(c.identity);
        return i == known_.end() ? nullptr : items_[i->second].get();
    }

private:
    std::vector<std::unique_ptr<Item>> items_;
    std::unordered_multimap<std::string_view, uint32_t> known_;
};

}  // namespace

std::vector<Engine::Placed> Engine::set(std::vector<Check> checks) {
    using Item = Impl::Item;
    Impl& m = *impl_;
    const TimePoint now = Clock::now();
    const size_t fresh = checks.size() - std::min(checks.size(), m.items.size());
    const double crowd = std::max(1.0, double(fresh) / kCrowd);
    Former<Item> before(std::exchange(m.items, {}));
    m.agenda = Agenda(checks.size());
    m.waiting.clear();
    m.tls.forget();
    m.counted.running = 0;
    m.items.reserve(checks.size());
    std::vector<Placed> placed;
    placed.reserve(checks.size());
    for (Check& c : checks) {
        const config::Health& settings = *c.request.settings;
        size_t was = kNew;
        std::unique_ptr<Item> item = before.take(c);
        if (item) {
            was = item->at;
        } else {
            item = std::make_unique<Item>();
            if (const Item* old = before.find(c)) {
                was = old->at;
                // A probe that is under way is given up: its answer belongs to other settings.
                item->state = adapt(settings, old->state);
                item->next = old->probe ? spread(settings, item->state, now)
                                        : std::min(old->due, now + settings.interval);
            } else {
                const Step s =
                    begin(settings, c.up, std::hash<std::string>()(c.identity), now, crowd);
                item->state = s.state;
                item->next = s.due;
            }
            item->planned = item->due = item->next;
            item->checker = find_checker(settings);
            item->check = std::move(c);
        }
        item->at = uint32_t(m.items.size());
        m.counted.running += item->probe != nullptr;
        if (!item->probe || !item->probe->keeps_time()) m.move(*item, item->next);
        placed.push_back({item->state, was});
        m.items.push_back(std::move(item));
    }
    if (Clock::now() - now > kAway) m.arm(now);  // its own time is no server's
    m.wait();
    return placed;
}

// To the millisecond: probes that are due together start together.
void Engine::Impl::wait() {
    if (busy) return;
    TimePoint at = agenda.empty() ? TimePoint::max() : agenda.first();
    if (counted.running > 0) at = std::min(at, Clock::now() + kBeat);
    if (at == TimePoint::max()) {
        timer.cancel();
        armed = at;
    } else if (at < armed) {
        arm(at);
    }
}

void Engine::Impl::arm(TimePoint at) {
    armed = at;
    timer.expires_at(std::chrono::ceil<std::chrono::milliseconds>(at));
    timer.async_wait([this](boost::system::error_code error) {
        if (!error) act();
    });
}

// Time in which the loop was away is as if it had not been: what would have come up in it comes up
// as much later. So nobody's patience ends by it, and probes do not start in one bunch after it.
void Engine::Impl::act() {
    const TimePoint now = Clock::now(), expected = std::exchange(armed, TimePoint::max());
    const auto away = now - expected;
    const bool was_away = away > kAway;
    if (was_away) {
        ++counted.absences;
        counted.away += std::chrono::duration_cast<Duration>(away);
    }
    busy = true;
    bool looked = false;
    while (!agenda.empty() && agenda.first() <= now) {
        Item& item = *items[agenda.first_item()];
        if (was_away && item.next > expected) {
            if (!item.probe) item.due = item.next + away;
            move(item, item.next + away);
        } else if (item.probe && !std::exchange(looked, true)) {
            connector.take_ready();  // timers are believed after sockets
        } else if (item.probe) {
            expire(item, now);
        } else if (agenda.remove(item.at); counted.running >= most_running) {
            waiting.push_back(item.at);
        } else {
            start(item);
        }
    }
    busy = false;
    start_waiting();
}

void Engine::Impl::start(Item& item) {
    item.started = Clock::now();
    item.last_look = false;
    count(counted, std::chrono::duration_cast<Duration>(item.started - item.planned));
    counted.most_running = std::max(counted.most_running, ++counted.running);
    starting = &item;
    at_once.reset();
    auto probe = item.checker->start(environment, item.check.request, [this, &item](Result r) {
        if (starting == &item)
            at_once = std::move(r);
        else
            finish(item, std::move(r));
    });
    starting = nullptr;
    item.probe = std::move(probe);
    if (at_once) return finish(item, std::move(*at_once));
    if (!item.probe->keeps_time()) move(item, item.started + item.check.request.settings->timeout);
}

void Engine::Impl::expire(Item& item, TimePoint now) {
    if (!item.last_look && item.probe->has_news()) {
        item.last_look = true;
        return move(item, now + kBeat);
    }
    finish(item, item.probe->expired());
}

void Engine::Impl::finish(Item& item, Result result) {
    item.probe.reset();
    --counted.running;
    ++counted.ended;
    const TimePoint now = Clock::now();
    result.took = std::chrono::duration_cast<Duration>(now - item.started);
    // Counted from when it was due, a probe keeps its place among the others.
    const TimePoint began = item.started - item.due < kAway ? item.due : item.started;
    const Step s = step(*item.check.request.settings, item.state, result.good(), began, now);
    item.state = s.state;
    item.planned = item.due = s.due;
    move(item, s.due);
    tell({item.at, item.state, result, s.event});
    if (!busy) start_waiting();
}

void Engine::Impl::start_waiting() {
    busy = true;
    while (!waiting.empty() && counted.running < most_running) {
        const uint32_t next = waiting.front();
        waiting.pop_front();
        start(*items[next]);
    }
    busy = false;
    wait();
}

}  // namespace torii::healthcheck
