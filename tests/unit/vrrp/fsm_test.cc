// The state machine, row by row against RFC 5798 and RFC 9568 section 6.4, and what torii adds.
// Times are in milliseconds after the state was entered at kT0.

#include "vrrp/fsm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "tests/unit/vrrp/words.h"

namespace torii::vrrp {
namespace {

using namespace std::chrono_literals;

constexpr Time kT0{1000s};
Address ip(std::string_view text) { return parse_address(text).value(); }
const Address kUs = ip("192.0.2.2"), kLower = ip("192.0.2.1"), kHigher = ip("192.0.2.3");

Settings settings() {
    Settings s;
    s.local = kUs;
    return s;
}

Step go(const Settings& s, const State& from, const Event& event, Duration after = 0ms) {
    return step(s, from, event, kT0 + after);
}

State in(Role role, const Settings& s = settings()) {
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

Advert heard(int priority, Address sender = kHigher, Duration interval = 1s) {
    return {uint8_t(priority), interval, sender, false};
}

struct Row {
    const char* name;
    Role from;
    Event event;
    Duration after;  ///< kT0
    Role want;
    Duration next;  ///< wakeup() after kT0; -1 = never
    const char* actions;
    std::function<void(Settings&)> change = [](Settings&) {};
    friend void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }
};

class Transitions : public testing::TestWithParam<Row> {};

TEST_P(Transitions, AreThese) {
    const Row& row = GetParam();
    Settings s = settings();
    row.change(s);
    const Step got = go(s, in(row.from, s), row.event, row.after);
    EXPECT_EQ(got.state.role, row.want);
    EXPECT_EQ(words(got.actions), row.actions);
    const Time next = wakeup(got.state);
    EXPECT_EQ(next == kNever ? Duration(-1) : next - kT0, row.next);
}

constexpr Duration kNo{-1};
// Priority 100, 1 s: skew (256 - 100) / 256 s, down 3 s more.
constexpr Duration kSkew = 609'375us, kDown = 3'609'375us;
using enum Role;

void owner(Settings& s) { s.priority = 255; }
void no_preempt(Settings& s) { s.preempt = false; }
void delayed(Settings& s) { s.preempt_delay = 10s; }
void version2(Settings& s) { s.version = 2; }
void grouped(Settings& s) { s.grouped = true; }
void fast(Settings& s) { s.interval = 10ms; }
void refreshed(Settings& s) {
    s.announce_delay = 0s;
    s.announce_refresh = 500ms;
}
void silent(Settings& s) { s.announce_repeat = 0; }

constexpr const char* kClaim = "advert 100, hold, announce 5, active: silence";

INSTANTIATE_TEST_SUITE_P(
    Initialize, Transitions,
    testing::Values(Row{"waits_until_ready", initialize, Tick{}, 5s, initialize, kNo, ""},
                    Row{"ready", initialize, Ready{}, 0s, backup, kDown, "backup: started"},
                    Row{"ready_owner", initialize, Ready{}, 0s, active, 1s,
                        "advert 255, hold, announce 5, active: owner", owner},
                    Row{"adverts_are_not_for_it", initialize, heard(200), 0s, initialize, kNo, ""},
                    Row{"second_start", initialize, Start{}, 1s, initialize, kNo, ""},
                    Row{"stop_before_it_began", initialize, Stop{}, 1s, initialize, kNo, ""},
                    Row{"delay_is_not_over", initialize, Ready{}, 9s, initialize, 10s, "",
                        [](Settings& s) { s.startup_delay = 10s; }},
                    Row{"delay_is_over", initialize, Ready{}, 10s, backup, 10s + kDown,
                        "backup: started", [](Settings& s) { s.startup_delay = 10s; }},
                    Row{"version_2_skew_is_of_a_second", initialize, Ready{}, 0s, backup,
                        6s + kSkew, "backup: started",
                        [](Settings& s) {
                            s.version = 2;
                            s.interval = 2s;
                        }},
                    Row{"version_3_skew_is_of_the_interval", initialize, Ready{}, 0s, backup,
                        2 * kDown, "backup: started", [](Settings& s) { s.interval = 2s; }},
                    Row{"ten_milliseconds", initialize, Ready{}, 0s, backup, 36093us,
                        "backup: started", fast},
                    Row{"five_missed", initialize, Ready{}, 0s, backup, 5s + kSkew,
                        "backup: started", [](Settings& s) { s.missed_adverts = 5; }}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Backup, Transitions,
    testing::Values(
        Row{"timer_runs", backup, Tick{}, 3609ms, backup, kDown, ""},
        Row{"timer_fires", backup, Tick{}, kDown, active, kDown + 1s, kClaim},
        Row{"timer_fires_without_announcements", backup, Tick{}, kDown, active, kDown + 1s,
            "advert 100, hold, active: silence", silent},
        Row{"higher_priority", backup, heard(101, kLower), 1s, backup, 1s + kDown, ""},
        Row{"equal_priority_lower_address", backup, heard(100, kLower), 1s, backup, 1s + kDown, ""},
        Row{"lower_priority_is_ignored", backup, heard(99), 1s, backup, kDown, ""},
        Row{"lower_priority_without_preemption", backup, heard(99), 1s, backup, 1s + kDown, "",
            no_preempt},
        Row{"lower_priority_within_the_delay", backup, heard(99), 1s, backup, 1s + kDown, "",
            delayed},
        Row{"resigned", backup, heard(0), 1s, backup, 1s + kSkew, ""},
        Row{"resigned_in_version_2", backup, heard(0), 1s, backup, 1s + kSkew, "", version2},
        Row{"its_interval_is_adopted", backup, heard(200, kHigher, 100ms), 1s, backup,
            1s + kDown / 10, ""},
        Row{"stop", backup, Stop{}, 1s, initialize, kNo, "initialize: stopped"},
        Row{"fault", backup, Fault{true}, 1s, fault, kNo, "fault: fault"},
        Row{"no_fault", backup, Fault{false}, 1s, backup, kDown, ""},
        Row{"group_fault", backup, GroupFault{true}, 1s, fault, kNo, "fault: group_fault"},
        Row{"asks_its_group", backup, Tick{}, kDown, backup, kNo, "", grouped},
        Row{"not_asked_for", backup, Promote{}, 1s, backup, kDown, "", grouped},
        Row{"demotion_is_nothing_new", backup, Demote{true}, 1s, backup, kDown, ""},
        Row{"a_little_late", backup, Tick{}, kDown + 1s, active, kDown + 2s, kClaim},
        Row{"stalled_listens_first", backup, Tick{}, kDown + 1001ms, backup, kDown + 2001ms + kSkew,
            ""}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Active, Transitions,
    testing::Values(
        Row{"timer_runs", active, Tick{}, 999ms, active, 1s, ""},
        Row{"timer_fires", active, Tick{}, 1s, active, 2s, "advert 100"},
        Row{"a_late_advert_keeps_the_beat", active, Tick{}, 1200ms, active, 2s, "advert 100"},
        Row{"one_beat_is_lost", active, Tick{}, 2500ms, active, 3500ms, "advert 100"},
        Row{"second_burst", active, Tick{}, 5s, active, 10h, "announce 5",
            [](Settings& s) {
                s.interval = 10h;  // so that no advert is due
                s.announce_refresh = 0s;
            }},
        Row{"refresh", active, Tick{}, 500ms, active, 1s, "announce 1", refreshed},
        Row{"resigning_peer_is_answered", active, heard(0), 100ms, active, 1100ms, "advert 100"},
        Row{"weaker_peer_is_answered", active, heard(99), 100ms, active, 150ms,
            "advert 100, weaker 99, announce 5"},
        Row{"equal_peer_of_lower_address", active, heard(100, kLower), 100ms, active, 150ms,
            "advert 100, weaker 100, announce 5"},
        Row{"equal_peer_of_higher_address", active, heard(100, kHigher), 100ms, backup,
            100ms + kDown, "advert 100, release, backup: stronger"},
        Row{"stronger_peer", active, heard(101, kLower), 100ms, backup, 100ms + kDown,
            "advert 100, release, backup: stronger"},
        Row{"stronger_peer_without_preemption", active, heard(101, kLower), 100ms, backup,
            100ms + kDown, "advert 100, release, backup: stronger", no_preempt},
        Row{"its_interval_is_adopted", active, heard(101, kLower, 100ms), 100ms, backup,
            100ms + kDown / 10, "advert 100, release, backup: stronger"},
        Row{"two_owners", active, heard(255, kHigher), 0s, backup, 3003906us,
            "advert 255, release, backup: stronger", owner},
        Row{"stop_serves_on", active, Stop{}, 100ms, active, 1100ms, "advert 0"},
        Row{"stop_in_version_2", active, Stop{}, 100ms, active, 1100ms, "advert 0",
            [](Settings& s) {
                s.version = 2;
                s.interval = 9s;
            }},
        Row{"stop_of_long_intervals", active, Stop{}, 100ms, active, 2100ms, "advert 0",
            [](Settings& s) { s.interval = 9s; }},
        Row{"fault", active, Fault{true}, 100ms, fault, kNo, "advert 0, release, fault: fault"},
        Row{"group_fault", active, GroupFault{true}, 100ms, fault, kNo,
            "advert 0, release, fault: group_fault"},
        Row{"demoted", active, Demote{true}, 100ms, backup, 100ms + kDown,
            "advert 0, release, backup: group_backup"},
        Row{"demoted_without_a_word", active, Demote{false}, 100ms, backup, 100ms + kDown,
            "release, backup: group_backup"},
        Row{"late_but_in_time", active, Tick{}, 3s, active, 4s, "advert 100"},
        Row{"stalled_steps_aside", active, Tick{}, 3001ms, backup, 3001ms + kDown,
            "release, backup: stalled"},
        Row{"stalled_and_then_heard", active, heard(99), 3001ms, backup, 3001ms + kDown,
            "release, backup: stalled"},
        Row{"stalled_ten_milliseconds", active, Tick{}, 31ms, backup, 31ms + 36093us,
            "release, backup: stalled", fast}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Fault, Transitions,
    testing::Values(Row{"adverts_are_not_for_it", fault, heard(0), 1s, fault, kNo, ""},
                    Row{"timers_neither", fault, Tick{}, 100s, fault, kNo, ""},
                    Row{"over", fault, Fault{false}, 1s, backup, 1s + kDown, "backup: fault_over"},
                    Row{"over_owner", fault, Fault{false}, 1s, active, 2s,
                        "advert 255, hold, announce 5, active: owner", owner},
                    Row{"group_too", fault, GroupFault{true}, 1s, fault, kNo, ""},
                    Row{"changed", fault, Changed{true}, 1s, fault, kNo, ""},
                    Row{"stop", fault, Stop{}, 1s, initialize, kNo, "initialize: stopped"}),
    [](const auto& row) { return row.param.name; });

// --- sequences
// ------------------------------------------------------------------------------------

/// Hands in one event after the other and keeps what was done.
class Router {
public:
    explicit Router(Role from, Settings s = settings()) : set(s), state(in(from, s)) {}
    std::string at(Duration after, const Event& event) {
        const Step next = go(set, state, event, after);
        state = next.state;
        return words(next.actions);
    }
    Settings set;
    State state;
};

TEST(Start, CleansUpAndForgetsNothingThatCameBefore) {
    Router run(initialize);
    run.state = {};
    EXPECT_EQ(run.at(0s, Ready{}), "");
    EXPECT_EQ(run.at(0s, Fault{true}), "");
    EXPECT_EQ(run.at(0s, Start{}), "release, fault: fault");
    EXPECT_EQ(run.at(0s, Fault{false}), "backup: fault_over");
}

TEST(Start, NoTimerRunsWhileItIsNotReady) {
    Router run(initialize);
    run.state = {};
    EXPECT_EQ(run.at(0s, Start{}), "release");
    EXPECT_EQ(wakeup(run.state), kNever) << "or whoever waits for it is woken for ever";
    EXPECT_EQ(run.at(9s, Ready{}), "backup: started");
    EXPECT_EQ(wakeup(run.state), kT0 + 9s + kDown);
}

TEST(Start, AgainAfterStop) {
    Router run(backup);
    EXPECT_EQ(run.at(0s, Stop{}), "initialize: stopped");
    EXPECT_EQ(run.at(9s, Tick{}), "");
    EXPECT_EQ(run.at(9s, Start{}), "release");
    EXPECT_EQ(run.at(9s, Ready{}), "backup: started");
}

TEST(Stop, ServesUntilTheNextRouterIsHeard) {
    Router run(active);
    EXPECT_EQ(run.at(0ms, Stop{}), "advert 0");
    EXPECT_EQ(run.at(1ms, Tick{}), "") << "no more adverts";
    EXPECT_EQ(run.at(2ms, heard(0)), "") << "another one that goes";
    EXPECT_EQ(run.at(3ms, Changed{true}), "");
    EXPECT_EQ(run.at(4ms, heard(1, kLower)), "");
    EXPECT_EQ(run.at(5ms, heard(1, kLower)), "");
    EXPECT_EQ(run.at(23ms, Tick{}), "") << "that one is telling the network";
    EXPECT_EQ(run.at(24ms, Tick{}), "release, initialize: stopped");
    State nothing;
    nothing.priority = 100;
    EXPECT_EQ(run.state, nothing) << "nothing is left";
}

TEST(Stop, ServesNoLongerThanTheNextRouterCouldWait) {
    Router run(active);
    EXPECT_EQ(run.at(0ms, Stop{}), "advert 0");
    EXPECT_EQ(run.at(999ms, Tick{}), "");
    EXPECT_EQ(run.at(1s, Tick{}), "release, initialize: stopped");
}

TEST(Stop, TwiceOrWithAFaultEndsItAtOnce) {
    Router twice(active), broken(active);
    EXPECT_EQ(twice.at(0ms, Stop{}), "advert 0");
    EXPECT_EQ(twice.at(1ms, Stop{}), "release, initialize: stopped");
    EXPECT_EQ(broken.at(0ms, Stop{}), "advert 0");
    EXPECT_EQ(broken.at(1ms, Fault{true}), "release, initialize: stopped");
}

TEST(Resign, OnlyOfTheRouterThatIsFollowed) {
    Router run(backup);
    run.at(1s, heard(200, kHigher));
    run.at(1500ms, heard(0, kLower));
    EXPECT_EQ(wakeup(run.state), kT0 + 1s + kDown) << "somebody else's";
    run.at(2s, heard(0, kHigher));
    EXPECT_EQ(wakeup(run.state), kT0 + 2s + kSkew);
    EXPECT_EQ(run.at(2s + kSkew, Tick{}), "advert 100, hold, announce 5, active: resigned");
}

TEST(PreemptDelay, CountsFromTheFirstWeakerAdvert) {
    Settings s = settings();
    s.preempt_delay = 10s;
    Router run(backup, s);
    for (int second = 1; second <= 10; ++second) {
        EXPECT_EQ(run.at(std::chrono::seconds(second), heard(99)), "");
        EXPECT_EQ(wakeup(run.state), kT0 + std::chrono::seconds(second) + kDown);
    }
    EXPECT_EQ(run.at(11s, heard(99)), "") << "the delay is over: ignored from now on";
    EXPECT_EQ(run.at(10s + kDown, Tick{}), kClaim);
}

TEST(PreemptDelay, BeginsAnewWhenAStrongerOneWasThere) {
    Settings s = settings();
    s.preempt_delay = 10s;
    Router run(backup, s);
    run.at(1s, heard(99));
    run.at(9s, heard(200));
    run.at(10s, heard(99));
    run.at(19s, heard(99));
    EXPECT_EQ(wakeup(run.state), kT0 + 19s + kDown);
}

TEST(PreemptDelay, DoesNotDelayWhenNobodyIsActive) {
    Settings s = settings();
    s.preempt_delay = 10s;
    Router run(backup, s);
    EXPECT_EQ(run.at(kDown, Tick{}), kClaim);
}

TEST(Assertion, OnceAnIntervalHoweverManyAreHeard) {
    Router run(active);
    std::string done;
    for (int ms = 0; ms < 1000; ++ms) done += run.at(std::chrono::milliseconds(ms), heard(99));
    EXPECT_EQ(done, "advert 100, weaker 99, announce 5");
    done.clear();
    for (int ms = 0; ms < 1000; ++ms)
        done += run.at(std::chrono::milliseconds(1000 + ms), heard(0));
    EXPECT_EQ(done, "advert 100");
}

TEST(Assertion, AnnouncesOnceASecondWithFastAdverts) {
    Settings s = settings();
    s.interval = 10ms;
    Router run(active, s);
    int announced = 0;
    for (int ms = 0; ms < 2000; ++ms)
        announced +=
            run.at(std::chrono::milliseconds(ms), heard(99)).find("announce") != std::string::npos;
    EXPECT_EQ(announced, 2);
}

TEST(Assertion, IsAnnouncedAgainLater) {
    Router run(active);
    for (int s = 1; s <= 5; ++s) run.at(std::chrono::seconds(s), Tick{});
    EXPECT_EQ(run.at(5500ms, heard(99)), "advert 100, weaker 99, announce 5");
    EXPECT_EQ(wakeup(run.state), kT0 + 5550ms) << "its own announcements may come after ours";
    EXPECT_EQ(run.at(5550ms, Tick{}), "announce 5");
    for (int ms = 6500; ms < 10500; ms += 1000) run.at(std::chrono::milliseconds(ms), Tick{});
    EXPECT_EQ(run.at(10500ms, Tick{}), "advert 100, announce 5");
}

TEST(Assertion, OfOneThatIsHeardAllTheTimeIsAnnouncedOnceASecond) {
    Router run(active);
    std::vector<int> announced;
    for (int ms = 0; ms < 3000; ms += 10) {
        const Duration when = std::chrono::milliseconds(ms);
        const std::string done = run.at(when, Tick{});
        if ((done + run.at(when, heard(99))).find("announce") != std::string::npos)
            announced.push_back(ms);
    }
    EXPECT_EQ(announced, (std::vector{0, 50, 1000, 2000}));
}

TEST(Assertion, WithAShortDelayEndsWithTheSecondBurst) {
    Settings s = settings();
    s.announce_delay = 300ms;
    Router run(active, s);
    run.at(0ms, heard(99));
    EXPECT_EQ(run.at(50ms, Tick{}), "announce 5");
    EXPECT_EQ(run.at(300ms, Tick{}), "announce 5");
    EXPECT_EQ(run.state.announce, kNever);
}

TEST(Beat, DoesNotDrift) {
    Router run(active);
    for (int n = 1; n <= 100; ++n)
        EXPECT_EQ(run.at(std::chrono::seconds(n) + 3ms, Tick{}).substr(0, 10), "advert 100");
    EXPECT_EQ(run.state.deadline, kT0 + 101s);
}

TEST(Stall, OfABackupThatHearsTheQueueFirstChangesNothing) {
    Router run(backup);
    EXPECT_EQ(run.at(60s, heard(200)), "") << "from the socket's queue";
    EXPECT_EQ(run.at(60s, Tick{}), "");
    EXPECT_EQ(run.state.role, backup);
}

TEST(Stall, ListensOneIntervalAndTakesOverWhenNobodySpeaks) {
    Router run(backup);
    EXPECT_EQ(run.at(60s, Tick{}), "");
    EXPECT_EQ(run.at(61s + kSkew, Tick{}), kClaim);
}

TEST(Reload, ChangesOfAnActiveRouterAreTold) {
    Router run(active);
    EXPECT_EQ(run.at(100ms, Changed{}), "") << "nothing has";
    EXPECT_EQ(run.at(100ms, Changed{true}), "advert 100, hold, announce 5");
    run.set.priority = 50;
    EXPECT_EQ(run.at(200ms, Changed{}), "advert 50");
    run.set.interval = 10ms;
    EXPECT_EQ(run.at(900ms, Changed{}), "advert 50") << "the peers learn the new interval";
    EXPECT_EQ(run.at(910ms, Tick{}), "advert 50");
    run.set.interval = 10s;
    EXPECT_EQ(run.at(920ms, Changed{}), "advert 50");
    EXPECT_EQ(run.state.role, active);
    EXPECT_EQ(run.state.deadline, kT0 + 10920ms);
    run.set.priority = 255;
    EXPECT_EQ(run.at(930ms, Changed{}), "advert 255");
    run.set.announce_refresh = 1s;
    run.at(940ms, Changed{});
    EXPECT_EQ(run.state.refresh, kT0 + 1940ms);
    run.set.announce_refresh = 0s;
    run.at(950ms, Changed{});
    EXPECT_EQ(run.state.refresh, kNever);
}

TEST(Reload, ABackupsTimerFollowsItsPriority) {
    Router run(backup);
    run.at(1s, heard(200));
    run.set.priority = 192;  // a skew of a quarter of an interval
    run.at(2s, Changed{});
    EXPECT_EQ(wakeup(run.state), kT0 + 1s + 3250ms);
    run.at(2s, heard(0));
    run.set.priority = 128;
    run.at(2100ms, Changed{});
    EXPECT_EQ(wakeup(run.state), kT0 + 2500ms) << "half an interval after it resigned";
}

TEST(Reload, OutOfAGroupWhileItWaitedForIt) {
    Settings s = settings();
    s.grouped = true;
    Router run(backup, s);
    run.at(kDown, Tick{});
    ASSERT_TRUE(run.state.wants);
    run.set.grouped = false;
    run.at(9s, Changed{});
    EXPECT_EQ(run.at(9s, Tick{}), kClaim);
}

TEST(Reload, TheStartupDelay) {
    Settings s = settings();
    s.startup_delay = 60s;
    Router run(initialize, s);
    run.at(0s, Ready{});
    run.set.startup_delay = 5s;
    EXPECT_EQ(run.at(4s, Changed{}), "");
    EXPECT_EQ(run.at(5s, Tick{}), "backup: started");
}

TEST(Tables, AreWhole) {
    for (size_t i = 0; i < kReasons.size(); ++i) EXPECT_EQ(size_t(kReasons[i].id), i);
    for (const Role r : {initialize, backup, active, fault}) EXPECT_NE(to_string(r), "unknown");
    for (int k = 0; k <= int(Action::Kind::weaker); ++k)
        EXPECT_NE(to_string(Action::Kind(k)), "unknown");
}

}  // namespace
}  // namespace torii::vrrp
