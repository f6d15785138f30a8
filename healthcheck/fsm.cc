#include "healthcheck/fsm.h"

#include <algorithm>
#include <utility>

namespace torii::healthcheck {
namespace {

using config::Health;

constexpr Duration kMostWarmUp = std::chrono::seconds(2);

/// xorshift64*: good enough to spread probes, and the same everywhere.
uint64_t roll(uint64_t& dice) {
    dice ^= dice >> 12;
    dice ^= dice << 25;
    dice ^= dice >> 27;
    return dice * 0x2545f4914f6cdd1du;
}

/// At random from [0, below).
Duration up_to(Duration below, uint64_t& dice) {
    if (below.count() <= 0) return Duration(0);
    return Duration(int64_t(roll(dice) % uint64_t(below.count())));
}

Duration warm_up(const Health& h) {
    return h.warm_up.count() > 0 ? h.warm_up : std::min(h.interval, kMostWarmUp);
}

bool confirming(const Health& h, const State& s) {
    return s.streak > 0 && s.streak < (s.up ? h.fall : h.rise);
}

TimePoint next(const Health& h, State& s, bool first, TimePoint started, TimePoint now) {
    Duration pause = h.interval;
    if (first)
        pause = h.interval / 2 + up_to(h.interval / 2, s.dice);  // warm_up is short, intervals long
    else if (confirming(h, s) && h.retry_interval.count() > 0)
        pause = h.retry_interval;
    return std::max(started + pause + up_to(h.jitter, s.dice), now);
}

/// Whether this change is one too many.
bool flapping(const config::FlapDamping& f, State& s, TimePoint now) {
    if (f.changes == 0) return false;
    const std::chrono::duration<double> passed = now - s.flaps_at, window = f.window;
    s.flaps = std::max(0.0, s.flaps - passed / window * f.changes) + 1;
    s.flaps_at = now;
    return s.flaps > f.changes;
}

Event change(const Health& h, State& s, TimePoint now) {
    s.up = !s.up;
    s.streak = 0;
    s.changed = now;
    const bool too_often = flapping(h.flap, s, now);
    if (s.up) return Event::went_up;
    if (!too_often) return Event::went_down;
    s.held_until = now + h.flap.hold;
    return Event::held;
}

}  // namespace

Step begin(const Health& h, bool up, uint64_t seed, TimePoint now, double crowd) {
    State s;
    s.up = up;
    s.dice = seed * 0x9e3779b97f4a7c15u | 1;
    s.changed = now;
    for (int n = 0; n < 4; ++n) roll(s.dice);
    const Duration own = warm_up(h);
    const Duration longer =
        h.warm_up.count() > 0
            ? own
            : std::min(h.interval, Duration(int64_t(double(own.count()) * crowd)));
    return {s, now + up_to(std::max(own, longer), s.dice), Event::none};
}

TimePoint spread(const Health& h, State& s, TimePoint now) {
    return now + up_to(warm_up(h), s.dice);
}

Step step(const Health& h, State s, bool good, TimePoint started, TimePoint now) {
    const bool first = !std::exchange(s.proven, true);
    Event event = Event::none;
    if (good == s.up) {
        s.streak = 0;
    } else {
        const uint32_t needed = first ? 1 : s.up ? h.fall : h.rise;
        s.streak = std::min(s.streak + 1, needed);
        const bool held = !s.up && now < s.held_until;
        if (s.streak >= needed && !held) event = change(h, s, now);
    }
    const TimePoint due = next(h, s, first, started, now);
    return {s, due, event};
}

State adapt(const Health& h, State s) {
    s.streak = std::min(s.streak, (s.up ? h.fall : h.rise) - 1);
    if (h.flap.changes == 0) {
        s.flaps = 0;
        s.held_until = {};
    }
    return s;
}

}  // namespace torii::healthcheck
