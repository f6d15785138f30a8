// The state machine, row by row against RFC 5798 and RFC 9568 section 6.4, and what torii adds.
// Times are in milliseconds after the state was entered at kT0.

#include "vrrp/fsm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "tests/unit/vrrp/machine.h"
#include "tests/unit/vrrp/words.h"

namespace torii::vrrp {
namespace {

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

}  // namespace
}  // namespace torii::vrrp
