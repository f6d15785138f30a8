// Many checks at once: rhythm, patience, turns, and changes of the set while all goes on.

#include "healthcheck/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/unit/healthcheck/fake_server.h"
#include "tests/unit/healthcheck/prober.h"

namespace torii::healthcheck {
namespace {

using config::Health;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Connection;
using test::FakeServer;

class EngineTest : public ::testing::Test {
protected:
    struct Seen {
        int good = 0, bad = 0;
        Reason last = Reason::success;
        bool up = true;
    };
    static Check check(std::string name, const Endpoint& to, Duration interval = milliseconds(20)) {
        Health h;
        h.type = config::HealthType::tcp;
        h.interval = interval;
        h.timeout = milliseconds(100);
        h.fall = 2;
        h.rise = 2;
        return {std::move(name), {std::make_shared<const Health>(h), {to, {}, {}}}, true};
    }
    template <class Condition>
    bool eventually(Condition condition) {
        const auto end = Clock::now() + seconds(10);
        while (!condition() && Clock::now() < end) {
            loop.restart();
            loop.run_one_for(milliseconds(50));
        }
        return condition();
    }
    void take(const Report& r) {
        Seen& s = seen[r.check];
        ++(r.result.good() ? s.good : s.bad);
        s.last = r.result.reason;
        s.up = r.state.up;
    }

    boost::asio::io_context loop;
    test::FakeScripts scripts;
    std::map<size_t, Seen> seen;
    Engine engine{loop, scripts, [this](const Report& r) { take(r); }, 10};
    FakeServer server{[](Connection& c) { c.stall(); }};
};

TEST_F(EngineTest, KeepsEveryCheckGoing) {
    const int closed = test::bound(SOCK_STREAM);
    const Endpoint nobody = test::loopback(test::port_of(closed));
    std::vector<Check> checks;
    for (int n = 0; n < 20; ++n)
        checks.push_back(check("c" + std::to_string(n), n % 4 == 3 ? nobody : server.at()));
    engine.set(checks);
    ASSERT_TRUE(eventually([&] {
        return seen.size() == 20 && std::ranges::all_of(seen, [](const auto& s) {
                   return s.second.good + s.second.bad > 10;
               });
    }));
    for (const auto& [n, s] : seen) {
        EXPECT_EQ(s.up, n % 4 != 3) << n;
        EXPECT_EQ(s.bad > 0, n % 4 == 3) << n;
    }
    EXPECT_EQ(seen[3].last, Reason::refused);
    EXPECT_LE(engine.punctuality().most_running, 10u);
    ::close(closed);
}

TEST_F(EngineTest, WhatStaysKeepsItsStateAndWhatGoesIsSilent) {
    const int closed = test::bound(SOCK_STREAM);
    const Endpoint nobody = test::loopback(test::port_of(closed));
    engine.set({check("dead", nobody), check("alive", server.at())});
    ASSERT_TRUE(eventually([&] { return seen[0].bad > 2 && seen[1].good > 2; }));
    // The same under other settings and in another order, and a new one that begins down.
    Check fresh = check("fresh", server.at(), seconds(60));
    fresh.up = false;
    const auto states = engine.set(
        {fresh, check("alive", server.at(), milliseconds(30)), check("dead", nobody, seconds(60))});
    EXPECT_FALSE(states[0].up);
    EXPECT_TRUE(states[1].up);
    EXPECT_TRUE(states[1].proven);
    EXPECT_FALSE(states[2].up);
    seen.clear();
    engine.set({check("alive", server.at())});
    ASSERT_TRUE(eventually([&] { return seen[0].good > 3; }));
    EXPECT_EQ(seen.size(), 1u);
    EXPECT_TRUE(engine.set({}).empty());
    seen.clear();
    loop.restart();
    loop.run_for(milliseconds(60));
    EXPECT_TRUE(seen.empty());
    ::close(closed);
}

TEST_F(EngineTest, ManyThatAnswerAtOnceOrNeverDoNotHoldUpOthers) {
    // A listener that accepts nothing: connections beyond its queue get no answer.
    const int full = test::bound(SOCK_STREAM);
    ::listen(full, 0);
    const Endpoint silent = test::loopback(test::port_of(full));
    std::vector<Check> checks{check("good", server.at(), milliseconds(50))};
    for (int n = 0; n < 30; ++n) checks.push_back(check("s" + std::to_string(n), silent));
    for (int n = 0; n < 300; ++n) {
        Check at_once = check("l" + std::to_string(n), server.at());
        Health h = *at_once.request.settings;
        h.interface = "nonexistent0";
        at_once.request.settings = std::make_shared<const Health>(h);
        checks.push_back(at_once);
    }
    engine.set(checks);
    ASSERT_TRUE(eventually([&] { return seen[0].good > 3 && seen.size() == checks.size(); }));
    EXPECT_EQ(seen[0].bad, 0);
    EXPECT_EQ(seen[330].last, Reason::local);
    ::close(full);
}

}  // namespace
}  // namespace torii::healthcheck
