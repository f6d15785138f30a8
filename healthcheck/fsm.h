#pragma once
// The state of one check as a pure function: what a result does to it, and when to probe next.
// Time and chance are parameters, so that any course of events can be replayed.
//
// - The very first result decides alone, in both directions (keepalived does so for failures).
// - Afterwards `fall` failures in a row take the server down, `rise` successes bring it back;
//   probes follow each other by `retry_interval` while such a change is being confirmed.
// - Probes are counted from start to start, so that a server that dies is down at most
//   fall * interval + timeout later. First probes are spread over `warm_up` by `seed`, later ones
//   stay where they are: many checks never start together.
// - A server that goes up and down more than flap.changes times within flap.window is held down
//   for flap.hold, and comes back with the first success after that.

#include "config/model/health.h"
#include "healthcheck/result.h"

namespace torii::healthcheck {

struct State {
    bool up = true;
    bool proven = false;  ///< a result has been seen
    uint32_t streak = 0;  ///< results in a row that contradict `up`
    uint64_t dice = 1;    ///< of the jitter; never 0
    double flaps = 0;     ///< changes that are not forgotten, as of `flaps_at`
    TimePoint flaps_at{};
    TimePoint held_until{};
    TimePoint changed{};  ///< when `up` got its value
    friend bool operator==(const State&, const State&) = default;
};

enum class Event : uint8_t { none, went_up, went_down, held };

struct Step {
    State state;
    TimePoint due;  ///< of the next probe
    Event event = Event::none;
};

/// A check that begins in state `up`; `seed` is any number of its own. Where so many begin together
/// that it must not be sooner, `crowd` is how many times as long the warm-up is, if it is not
/// given; never longer than the interval.
Step begin(const config::Health&, bool up, uint64_t seed, TimePoint now, double crowd = 1);

/// The probe that began at `started` has ended at `now`.
Step step(const config::Health&, State, bool good, TimePoint started, TimePoint now);

/// When to begin again with a probe that was given up: somewhen in its warm-up.
TimePoint spread(const config::Health&, State&, TimePoint now);

/// The state under settings that have changed: it is kept, and so is what has been counted.
State adapt(const config::Health& settings, State);

}  // namespace torii::healthcheck
