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
    EXPECT_FALSE(states[0].state.up);
    EXPECT_TRUE(states[1].state.up);
    EXPECT_TRUE(states[1].state.proven);
    EXPECT_EQ(states[0].before, Engine::kNew);
    EXPECT_EQ(states[1].before, 1u);
    EXPECT_EQ(states[2].before, 0u);
    EXPECT_FALSE(states[2].state.up);
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

// --- the loop itself is late

FakeServer::Behaviour http_ok() {
    return [](Connection& c) {
        if (c.receive_until("\r\n\r\n")) c.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    };
}

/// Answers datagrams although the loop is away.
std::string answer(std::string_view) { return "yes"; }

TEST_F(EngineTest, AnAnswerThatArrivedInTimeIsTakenHoweverLateTheLoopIs) {
    FakeServer web(http_ok());
    test::FakeDatagramServer datagrams(answer);
    const int full = test::bound(SOCK_STREAM);
    ::listen(full, 0);
    std::vector<Check> checks;
    const auto add = [&](config::HealthType type, const Endpoint& to) {
        Check c = check("c" + std::to_string(checks.size()), to, milliseconds(30));
        Health h = *c.request.settings;
        h.type = type;
        h.timeout = milliseconds(60);
        h.fall = 1;
        h.udp.require_reply = true;
        c.request.settings = std::make_shared<const Health>(h);
        checks.push_back(c);
    };
    for (int n = 0; n < 6; ++n) {
        add(config::HealthType::http, web.at());
        add(config::HealthType::tcp, server.at());
        add(config::HealthType::udp, datagrams.at());
    }
    for (int n = 0; n < 4; ++n) add(config::HealthType::tcp, test::loopback(test::port_of(full)));
    engine.set(checks);
    for (int n = 0; n < 12; ++n) {
        loop.restart();
        loop.run_for(milliseconds(7 * n));
        ::poll(nullptr, 0, 150);  // stopped, as by SIGSTOP: far longer than anybody's patience
    }
    ASSERT_TRUE(eventually([&] { return seen.size() == checks.size() && seen[21].bad > 0; }));
    for (size_t n = 0; n < 18; ++n) {
        EXPECT_EQ(seen[n].bad, 0) << n << ' ' << to_string(seen[n].last);
        EXPECT_GT(seen[n].good, 0) << n;
    }
    EXPECT_EQ(seen[21].last, Reason::timeout);  // nobody's patience is endless
    EXPECT_GE(engine.punctuality().absences, 5u);
    EXPECT_GE(engine.punctuality().away, milliseconds(500));
    ::close(full);
}

TEST_F(EngineTest, AfterAnAbsenceChecksDoNotStartInOneBunch) {
    const int closed = test::bound(SOCK_STREAM);
    std::vector<Check> checks;
    for (int n = 0; n < 200; ++n)
        checks.push_back(check("c" + std::to_string(n), test::loopback(test::port_of(closed)),
                               milliseconds(400)));
    Engine many{loop, scripts, [this](const Report& r) { take(r); }, 10000};
    many.set(checks);
    const auto reports = [&] {
        int n = 0;
        for (const auto& [check, s] : seen) n += s.good + s.bad;
        return n;
    };
    ASSERT_TRUE(eventually([&] { return reports() > 600; }));
    ::poll(nullptr, 0, 1300);
    // Loopback refuses at once: whatever starts in a turn of the loop is told in the next.
    const int before = reports();
    int most = 0;
    ASSERT_TRUE(eventually([&] {
        const int now = reports();
        loop.restart();
        loop.poll_one();
        most = std::max(most, reports() - now);
        return reports() > before + 600;
    }));
    EXPECT_LT(most, 100);
    ::close(closed);
}

TEST_F(EngineTest, AReloadLeavesProbesThatAreUnderWayAlone) {
    const int full = test::bound(SOCK_STREAM);
    ::listen(full, 0);
    const Endpoint silent = test::loopback(test::port_of(full));
    std::vector<Check> checks;
    for (int n = 0; n < 5; ++n) {
        checks.push_back(check("s" + std::to_string(n), silent, seconds(60)));
        Health h = *checks.back().request.settings;
        h.timeout = milliseconds(300);
        h.warm_up = milliseconds(1);
        checks.back().request.settings = std::make_shared<const Health>(h);
    }
    engine.set(checks);
    ASSERT_TRUE(eventually([&] { return engine.punctuality().started == 5; }));
    for (int n = 0; n < 20; ++n) {  // were each begun anew, none would ever end
        std::ranges::rotate(checks, checks.begin() + 1);
        engine.set(checks);
        loop.restart();
        loop.run_for(milliseconds(30));
    }
    ASSERT_TRUE(eventually([&] { return engine.punctuality().ended == 5; }));
    EXPECT_EQ(engine.punctuality().started, 5u);
    EXPECT_EQ(engine.punctuality().running, 0u);
    ::close(full);
}

}  // namespace
}  // namespace torii::healthcheck
