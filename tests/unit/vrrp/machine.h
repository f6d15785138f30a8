#pragma once
// One router's state machine from a known moment: kT0, when its state was entered.

#include "vrrp/fsm.h"

namespace torii::vrrp {

using namespace std::chrono_literals;

inline constexpr Time kT0{1000s};
inline Address ip(std::string_view text) { return parse_address(text).value(); }
inline const Address kUs = ip("192.0.2.2"), kLower = ip("192.0.2.1"), kHigher = ip("192.0.2.3");

inline Settings settings() {
    Settings s;
    s.local = kUs;
    return s;
}

inline Step go(const Settings& s, const State& from, const Event& event, Duration after = 0ms) {
    return step(s, from, event, kT0 + after);
}

inline State in(Role role, const Settings& s = settings()) {
    State state = go(s, {}, Start{}).state;
    if (role == Role::initialize) return state;
    if (role == Role::fault) state = go(s, state, Fault{true}).state;
    state = go(s, state, Ready{}).state;
    if (role != Role::active) return state;
    Settings alone = s;
    alone.grouped = false;
    const Time expired = state.deadline;
    state = step(alone, state, Tick{}, expired).state;
    // As if it had become active at kT0.
    state.since = kT0;
    state.deadline = kT0 + s.interval;
    if (state.announce != kNever) state.announce = kT0 + s.announce_delay;
    if (state.refresh != kNever) state.refresh = kT0 + s.announce_refresh;
    return state;
}

inline Advert heard(int priority, Address sender = kHigher, Duration interval = 1s) {
    return {uint8_t(priority), interval, sender, false};
}

// Priority 100, 1 s: skew (256 - 100) / 256 s, down 3 s more.
inline constexpr Duration kSkew = 609'375us, kDown = 3'609'375us;
using enum Role;

inline void owner(Settings& s) { s.priority = 255; }
inline void no_preempt(Settings& s) { s.preempt = false; }
inline void delayed(Settings& s) { s.preempt_delay = 10s; }
inline void version2(Settings& s) { s.version = 2; }
inline void grouped(Settings& s) { s.grouped = true; }
inline void fast(Settings& s) { s.interval = 10ms; }
inline void refreshed(Settings& s) {
    s.announce_delay = 0s;
    s.announce_refresh = 500ms;
}
inline void silent(Settings& s) { s.announce_repeat = 0; }

inline constexpr const char* kClaim = "advert 100, hold, announce 5, active: silence";

}  // namespace torii::vrrp
