// The pure half: one check's state, quorum, the bound on servers that are down, ramps.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "healthcheck/agenda.h"
#include "healthcheck/fsm.h"
#include "healthcheck/service.h"

namespace torii::healthcheck {
namespace {

using config::Health;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

constexpr TimePoint kStart{std::chrono::hours(1)};

Health settings(uint32_t fall, uint32_t rise) {
    Health h;
    h.interval = seconds(10);
    h.fall = fall;
    h.rise = rise;
    return h;
}

/// Feeds results one interval apart; the states as letters: U, D.
std::string course(const Health& h, bool up, std::string_view results) {
    Step s = begin(h, up, 1, kStart);
    std::string states;
    for (const char r : results) {
        s = step(h, s.state, r == '+', s.due, s.due);
        states += s.state.up ? 'U' : 'D';
    }
    return states;
}

TEST(Fsm, CountsResultsInARow) {
    const struct {
        uint32_t fall, rise;
        bool up;
        const char *results, *states;
    } rows[] = {
        {3, 2, true, "+--+---+-++", "UUUUUUDDDDU"},
        {3, 2, true, "+---------", "UUUDDDDDDD"},
        {1, 1, true, "+-+-+", "UDUDU"},
        {3, 2, true, "-", "D"},  // the very first result decides alone
        {3, 2, true, "-+-++", "DDDDU"},
        {3, 2, false, "+--+---", "UUUUUUD"},  // start_down: one good probe is enough
        {3, 2, false, "-+-++", "DDDDU"},
        {2, 5, true, "+--++++-+++++", "UUDDDDDDDDDDU"},
    };
    for (const auto& r : rows)
        EXPECT_EQ(course(settings(r.fall, r.rise), r.up, r.results), r.states) << r.results;
}

TEST(Fsm, TellsEachChangeOnce) {
    const Health h = settings(2, 2);
    Step s = begin(h, true, 7, kStart);
    std::vector<Event> events;
    for (const char r : std::string("+--- +++")) {
        if (r == ' ') continue;
        s = step(h, s.state, r == '+', s.due, s.due);
        events.push_back(s.event);
    }
    EXPECT_THAT(events, ElementsAre(Event::none, Event::none, Event::went_down, Event::none,
                                    Event::none, Event::went_up, Event::none));
}

TEST(Fsm, ADeadServerIsDownWithinFallTimesIntervalAndTimeout) {
    Health h = settings(3, 2);
    h.timeout = seconds(4);
    Step s = begin(h, true, 3, kStart);
    for (int n = 0; n < 5; ++n) s = step(h, s.state, true, s.due, s.due + milliseconds(1));
    // It dies right after a good probe; every further one runs into its timeout.
    const TimePoint died = s.due - h.interval;
    TimePoint now = died;
    while (s.state.up) {
        now = s.due + h.timeout;
        s = step(h, s.state, false, s.due, now);
    }
    EXPECT_LE(now - died, h.fall * h.interval + h.timeout);
}

TEST(Fsm, RetriesFasterWhileAChangeIsConfirmed) {
    Health h = settings(3, 3);
    h.retry_interval = seconds(1);
    Step s = begin(h, true, 1, kStart);
    s = step(h, s.state, true, s.due, s.due);
    const auto pause = [&](bool good) {
        const TimePoint began = s.due;
        s = step(h, s.state, good, began, began + milliseconds(5));
        return s.due - began;
    };
    EXPECT_EQ(pause(true), seconds(10));
    EXPECT_EQ(pause(false), seconds(1));
    EXPECT_EQ(pause(false), seconds(1));
    EXPECT_EQ(pause(false), seconds(10));  // it is down
    EXPECT_EQ(pause(false), seconds(10));
    EXPECT_EQ(pause(true), seconds(1));
    EXPECT_EQ(pause(true), seconds(1));
    EXPECT_EQ(pause(true), seconds(10));
}

TEST(Fsm, ALongProbeDelaysTheNextAndNoMore) {
    const Health h = settings(3, 3);
    Step s = begin(h, true, 1, kStart);
    s = step(h, s.state, true, s.due, s.due);
    const TimePoint began = s.due;
    s = step(h, s.state, true, began, began + seconds(25));
    EXPECT_EQ(s.due, began + seconds(25));
}

TEST(Fsm, ManyChecksAreSpread) {
    Health h = settings(3, 2);
    h.interval = seconds(60);
    for (const Duration warm_up : {Duration(0), Duration(seconds(20))}) {
        h.warm_up = warm_up;
        const Duration first = warm_up.count() ? warm_up : Duration(seconds(2));
        std::vector<int> begins(10), seconds_after(10);
        for (uint64_t seed = 0; seed < 1000; ++seed) {
            const Step s = begin(h, true, seed, kStart);
            ASSERT_LT(s.due - kStart, first);
            ++begins[size_t((s.due - kStart) / (first / 10))];
            const Step next = step(h, s.state, true, s.due, s.due);
            ASSERT_GE(next.due - s.due, h.interval / 2);
            ASSERT_LT(next.due - s.due, h.interval);
            ++seconds_after[size_t((next.due - s.due - h.interval / 2) / (h.interval / 20))];
        }
        for (const auto& counts : {begins, seconds_after})
            for (const int n : counts) EXPECT_NEAR(n, 100, 50);
    }
}

TEST(Fsm, ACrowdBeginsOverALongerTime) {
    Health h = settings(3, 2);
    const auto latest = [&](double crowd) {
        Duration most{0};
        for (uint64_t seed = 0; seed < 500; ++seed)
            most = std::max(most, std::chrono::duration_cast<Duration>(
                                      begin(h, true, seed, kStart, crowd).due - kStart));
        return std::chrono::round<seconds>(most);
    };
    EXPECT_EQ(latest(1), seconds(2));
    EXPECT_EQ(latest(4), seconds(8));
    EXPECT_EQ(latest(40), h.interval);
    h.warm_up = seconds(3);
    EXPECT_EQ(latest(4), seconds(3));
    h.warm_up = {};
    h.interval = seconds(1);
    EXPECT_EQ(latest(4), seconds(1));
}

TEST(Fsm, JitterIsAddedWithinItsBound) {
    Health h = settings(3, 2);
    h.jitter = seconds(3);
    Step s = begin(h, true, 5, kStart);
    s = step(h, s.state, true, s.due, s.due);
    Duration least = seconds(100), most{0};
    for (int n = 0; n < 200; ++n) {
        const TimePoint began = s.due;
        s = step(h, s.state, true, began, began);
        const auto pause = std::chrono::duration_cast<Duration>(s.due - began);
        least = std::min(least, pause);
        most = std::max(most, pause);
    }
    EXPECT_GE(least, h.interval);
    EXPECT_LT(most, h.interval + h.jitter);
    EXPECT_GT(most - least, seconds(2));
}

TEST(Fsm, AServerThatFlapsIsHeldDown) {
    Health h = settings(1, 1);
    h.interval = seconds(1);
    h.flap = {3, seconds(60), seconds(30), {}};
    Step s = begin(h, true, 1, kStart);
    std::string events;
    for (int n = 0; n < 60; ++n) {
        const bool good = s.state.held_until != TimePoint{} || n % 2 == 0;
        s = step(h, s.state, good, s.due, s.due);
        if (s.event == Event::went_down) events += 'd';
        if (s.event == Event::went_up) events += 'u';
        if (s.event == Event::held) {
            events += 'h';
            EXPECT_EQ(s.state.held_until - s.state.changed, h.flap.hold);
        }
    }
    EXPECT_EQ(events, "duduhu");  // of five changes within a minute the last is one too many
    // Without damping the same server just goes up and down.
    EXPECT_EQ(course(settings(1, 1), true, "+-+-+-+-"), "UDUDUDUD");
}

// Any course of results and changed settings: the state is what the results since the last change
// of state say under the settings in force, and a replay gives the same.
TEST(Fsm, HoldsItsPromisesForAnyCourse) {
    std::mt19937 dice(42);
    for (int round = 0; round < 300; ++round) {
        Health h = settings(1 + dice() % 4, 1 + dice() % 4);
        const bool start = dice() % 2;
        Step s = begin(h, start, dice(), kStart);
        uint32_t row = 0;
        bool up = start, proven = false;
        for (int n = 0; n < 100; ++n) {
            if (dice() % 10 == 0) {
                h.fall = 1 + dice() % 4;
                h.rise = 1 + dice() % 4;
                s.state = adapt(h, s.state);
                EXPECT_EQ(adapt(h, s.state), s.state);
                row = std::min(row, (up ? h.fall : h.rise) - 1);
            }
            const bool good = dice() % 3 != 0;
            const State before = s.state;
            const Step replayed = step(h, before, good, s.due, s.due);
            s = step(h, before, good, s.due, s.due);
            ASSERT_EQ(replayed.state, s.state);
            row = good == up ? 0 : row + 1;
            if (good != up && (!proven || row >= (up ? h.fall : h.rise))) {
                up = good;
                row = 0;
            }
            proven = true;
            ASSERT_EQ(s.state.up, up);
            ASSERT_EQ(s.state.streak, row);
            ASSERT_EQ(s.event != Event::none, before.up != s.state.up);
        }
    }
}

TEST(Quorum, HasHysteresisAsKeepalived) {
    const struct {
        uint32_t up, hysteresis;
        bool had;
        uint64_t weight;
        bool has;
    } rows[] = {
        {1, 0, true, 1, true},  {1, 0, true, 0, false},  {1, 0, false, 0, false},
        {1, 0, false, 1, true}, {5, 2, false, 6, false}, {5, 2, false, 7, true},
        {5, 2, true, 3, true},  {5, 2, true, 2, false},  {3, 2, true, 1, true},
        {3, 2, true, 0, false},
    };
    for (const auto& r : rows)
        EXPECT_EQ(has_quorum({r.up, r.hysteresis}, r.had, r.weight), r.has)
            << r.up << ' ' << r.hysteresis << ' ' << r.had << ' ' << r.weight;
}

TEST(MaxDown, KeepsThoseThatWentDownLast) {
    const auto at = [](int s) { return kStart + seconds(s); };
    const std::vector<Member> all = {{true, at(0)}, {false, at(9)}, {false, at(1)}, {false, at(5)}};
    EXPECT_THAT(counted_up(all, 0), ElementsAre(true, false, false, false));
    EXPECT_THAT(counted_up(all, 100), ElementsAre(true, false, false, false));
    EXPECT_THAT(counted_up(all, 50), ElementsAre(true, true, false, false));
    EXPECT_THAT(counted_up(all, 25), ElementsAre(true, true, false, true));
    EXPECT_THAT(counted_up(all, 24), ElementsAre(true, true, true, true));
}

TEST(Ramp, GrowsInTenSteps) {
    EXPECT_EQ(ramped_weight(100, seconds(30), seconds(0)), 10);
    EXPECT_EQ(ramped_weight(100, seconds(30), seconds(15)), 60);
    EXPECT_EQ(ramped_weight(100, seconds(30), seconds(30)), 100);
    EXPECT_EQ(ramped_weight(100, seconds(0), seconds(0)), 100);
    EXPECT_EQ(ramped_weight(1, seconds(30), seconds(0)), 1);
    EXPECT_EQ(ramped_weight(0, seconds(30), seconds(0)), 0);
    EXPECT_EQ(until_next_ramp(seconds(30), seconds(0)), seconds(3));
    EXPECT_EQ(until_next_ramp(seconds(30), seconds(30)), Duration(0));
    uint16_t last = 0;
    for (Duration t{0}; t < seconds(30);
         t += std::max(until_next_ramp(seconds(30), t), Duration(1))) {
        EXPECT_GT(ramped_weight(100, seconds(30), t), last);
        last = ramped_weight(100, seconds(30), t);
    }
    EXPECT_EQ(last, 100);
}

TEST(ScriptWeight, IsAddedUpAsKeepalived) {
    EXPECT_EQ(adjusted_weight(10, {}), 10);
    EXPECT_EQ(adjusted_weight(10, std::vector<uint16_t>{3}), 3);
    EXPECT_EQ(adjusted_weight(10, std::vector<uint16_t>{3, 30}), 23);
    EXPECT_EQ(adjusted_weight(10, std::vector<uint16_t>{3, 2}), 0);
}

TEST(Agenda, GivesTheEarliestWhateverIsChanged) {
    std::mt19937 dice(1);
    Agenda agenda(50);
    std::map<uint32_t, TimePoint> model;
    for (int n = 0; n < 5000; ++n) {
        const uint32_t item = dice() % 50;
        if (dice() % 4 == 0) {
            agenda.remove(item);
            model.erase(item);
        } else {
            model[item] = kStart + milliseconds(dice() % 1000);
            agenda.set(item, model[item]);
        }
        ASSERT_EQ(agenda.empty(), model.empty());
        if (model.empty()) continue;
        TimePoint least = TimePoint::max();
        for (const auto& [i, at] : model) least = std::min(least, at);
        ASSERT_EQ(agenda.first(), least);
        ASSERT_EQ(model.at(agenda.first_item()), least);
    }
}

}  // namespace
}  // namespace torii::healthcheck
