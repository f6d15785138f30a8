// The state machine over several events: starting, stopping, preemption, stalls, reloads.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "tests/unit/vrrp/machine.h"
#include "tests/unit/vrrp/words.h"
#include "vrrp/fsm.h"

namespace torii::vrrp {
namespace {

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
