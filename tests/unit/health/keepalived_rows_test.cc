// The same servers and the same results, under keepalived's documented rules and under torii with
// the settings translated as docs/compatibility.md says: the decisions must be the same.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "control/health/apply.h"
#include "healthcheck/fsm.h"

namespace torii::health {
namespace {

using std::chrono::seconds;

struct Settings {
    unsigned retry = 1;  ///< keepalived's defaults
    bool alpha = false, inhibit = false, sorry = false;
    unsigned quorum = 1, hysteresis = 0;
    std::vector<uint16_t> weights{1, 1, 1};
};

/// keepalived 2.2.7 as its manual and its source say: one checker for each real server.
class Keepalived {
public:
    explicit Keepalived(const Settings& s) : s_(s), quorum_(!s.alpha) {
        for (const uint16_t w : s.weights) servers_.push_back({w, !s.alpha, false, 0});
        update();
    }
    /// A success counts at once; a failure after `retry` others in a row, or as the very first
    /// result. Returns whether another try follows after delay_before_retry, not delay_loop.
    bool take(size_t n, bool good) {
        Server& r = servers_.at(n);
        const bool ran = std::exchange(r.ran, true);
        bool retries = false;
        if (good) {
            r.failures = 0;
            r.alive = true;
        } else if (r.alive) {
            retries = ran && ++r.failures <= s_.retry;
            if (!retries) {
                r.alive = false;
                r.failures = 0;
            }
        }
        update();
        return retries;
    }
    bool quorum() const { return quorum_; }
    bool alive(size_t n) const { return servers_[n].alive; }
    /// Who gets new connections: "1 3", or "sorry". With them, those of weight 0: "2=0".
    std::string table() const {
        if (!quorum_ && s_.sorry) return "sorry";
        std::string out;
        for (size_t n = 0; n < servers_.size(); ++n)
            if (servers_[n].alive)
                out += std::to_string(n + 1) + " ";
            else if (s_.inhibit)
                out += std::to_string(n + 1) + "=0 ";
        return out;
    }

private:
    struct Server {
        uint16_t weight;
        bool alive, ran;
        unsigned failures;
    };
    void update() {
        uint64_t w = 0;
        for (const Server& r : servers_) w += r.alive ? r.weight : 0u;
        if (!quorum_ && w >= s_.quorum + s_.hysteresis) quorum_ = true;
        if (quorum_ && (w == 0 || w + s_.hysteresis < s_.quorum)) quorum_ = false;
    }
    const Settings s_;
    std::vector<Server> servers_;
    bool quorum_;
};

/// torii's machine, state and tables for the same.
class Torii {
public:
    explicit Torii(const Settings& s) : settings_(s) {
        health_.fall = s.retry + 1;
        health_.rise = 1;
        health_.interval = seconds(60);
        health_.retry_interval = seconds(1);
        ServiceHealth& h = state_.services[key_].edit();
        h.inhibit = s.inhibit;
        h.quorum = {s.quorum, s.hysteresis};
        if (s.sorry) h.sorry = Endpoint{*parse_address("10.0.0.99"), 80};
        h.has_quorum = !s.alpha;
        control::Service service;
        service.key = key_;
        for (size_t n = 0; n < s.weights.size(); ++n) {
            machines_.push_back(healthcheck::begin(health_, !s.alpha, n + 1, kStart));
            h.servers[server(n)].up = !s.alpha;
            service.destinations.push_back({});
            service.destinations.back().key = server(n);
            service.destinations.back().weight = s.weights[n];
        }
        wanted_.services.push_back(service);
        update();
    }
    /// As Keepalived::take().
    bool take(size_t n, bool good) {
        healthcheck::Step& m = machines_.at(n);
        const TimePoint began = m.due;
        m = healthcheck::step(health_, m.state, good, began, began);
        state_.services[key_].edit().servers[server(n)].up = m.state.up;
        update();
        return m.due - began == health_.retry_interval;
    }
    bool quorum() const { return state_.services.at(key_)->has_quorum; }
    bool alive(size_t n) const { return machines_[n].state.up; }
    std::string table() const {
        const bool sorry = !quorum() && settings_.sorry;
        std::string out;
        for (const Destination& d : tables_.services[0].destinations) {
            if (d.name == "sorry")
                out += "sorry";
            else if (d.weight != 0)
                out += std::to_string(number(d.key)) + " ";
            else if (!sorry)  // torii keeps them for the sake of their connections
                out += std::to_string(number(d.key)) + "=0 ";
        }
        return out;
    }

private:
    static constexpr TimePoint kStart{std::chrono::hours(1)};
    static Endpoint server(size_t n) {
        return {*parse_address("10.0.0." + std::to_string(n + 1)), 80};
    }
    static unsigned number(const Endpoint& e) { return e.address.bytes[15]; }
    void update() {
        Applied a = apply_health(wanted_, state_, kStart);
        remember(state_, a.changes);
        tables_ = std::move(a.desired);
    }
    const Settings settings_;
    config::Health health_;
    const ServiceKey key_{*parse_address("192.0.2.1"), 80, Protocol::tcp, 0};
    HealthState state_;
    Desired wanted_, tables_;
    std::vector<healthcheck::Step> machines_;
};

struct Row {
    const char* what;
    Settings settings;
    /// Results, each with the table after it: "1+" is a success of the first server.
    std::vector<std::pair<const char*, const char*>> course;
};

const Row kRows[] = {
    {"retry 1: the second failure in a row",
     {},
     {{"", "1 2 3 "},
      {"1+", "1 2 3 "},
      {"1-", "1 2 3 "},
      {"1+", "1 2 3 "},
      {"1-", "1 2 3 "},
      {"1-", "2 3 "},
      {"1-", "2 3 "},
      {"1+", "1 2 3 "}}},
    {"retry 0: the first", {.retry = 0}, {{"2+", "1 2 3 "}, {"2-", "1 3 "}, {"2+", "1 2 3 "}}},
    {"retry 3: the fourth",
     {.retry = 3},
     {{"3+", "1 2 3 "}, {"3-", "1 2 3 "}, {"3-", "1 2 3 "}, {"3-", "1 2 3 "}, {"3-", "1 2 "}}},
    {"a checker that never ran",
     {.retry = 3},
     {{"1-", "2 3 "}, {"1+", "1 2 3 "}, {"1-", "1 2 3 "}}},
    {"alpha", {.alpha = true}, {{"", ""}, {"2+", "2 "}, {"1-", "2 "}, {"1+", "1 2 "}}},
    {"inhibit_on_failure",
     {.retry = 0, .inhibit = true},
     {{"", "1 2 3 "}, {"1-", "1=0 2 3 "}, {"1+", "1 2 3 "}}},
    {"alpha with inhibit_on_failure",
     {.alpha = true, .inhibit = true},
     {{"", "1=0 2=0 3=0 "}, {"3+", "1=0 2=0 3 "}}},
    {"quorum 2 with a sorry server",
     {.retry = 0, .sorry = true, .quorum = 2},
     {{"1-", "2 3 "}, {"2-", "sorry"}, {"3-", "sorry"}, {"3+", "sorry"}, {"1+", "1 3 "}}},
    {"the same without",
     {.retry = 0, .quorum = 2},
     {{"1-", "2 3 "}, {"2-", "3 "}, {"3-", ""}, {"3+", "3 "}}},
    {"hysteresis: gained at 4, lost below 2",
     {.retry = 0, .sorry = true, .quorum = 3, .hysteresis = 1, .weights = {1, 1, 1, 1}},
     {{"1-", "2 3 4 "},
      {"2-", "3 4 "},
      {"3-", "sorry"},
      {"3+", "sorry"},
      {"2+", "sorry"},
      {"1+", "1 2 3 4 "}}},
    {"weights count",
     {.retry = 0, .sorry = true, .quorum = 5, .weights = {4, 1, 1}},
     {{"2-", "1 3 "}, {"1-", "sorry"}, {"2+", "sorry"}, {"1+", "1 2 3 "}}},
    {"alpha and sorry server: VERIFIED order of the states",
     {.alpha = true, .sorry = true, .weights = {1}},
     {{"", "sorry"}, {"1+", "1 "}, {"1-", "1 "}, {"1-", "sorry"}}},
};

TEST(Keepalived, DecidesTheSameForEveryDocumentedRule) {
    for (const Row& row : kRows) {
        Keepalived theirs(row.settings);
        Torii ours(row.settings);
        for (const auto& [result, table] : row.course) {
            if (*result != '\0') {
                const size_t n = size_t(result[0] - '1');
                theirs.take(n, result[1] == '+');
                ours.take(n, result[1] == '+');
            }
            EXPECT_EQ(theirs.table(), table) << row.what << ": keepalived after " << result;
            EXPECT_EQ(ours.table(), table) << row.what << ": torii after " << result;
        }
    }
}

TEST(Keepalived, DecidesTheSameForAnyCourse) {
    std::mt19937 dice(11);
    for (int round = 0; round < 400; ++round) {
        Settings s;
        s.retry = dice() % 4;
        s.alpha = dice() % 2;
        s.inhibit = dice() % 2;
        s.sorry = dice() % 2;
        s.quorum = 1 + dice() % 6;
        s.hysteresis = dice() % s.quorum;
        s.weights.resize(1 + dice() % 4);
        for (uint16_t& w : s.weights) w = uint16_t(1 + dice() % 3);
        Keepalived theirs(s);
        Torii ours(s);
        std::vector<char> ran(s.weights.size());
        for (int n = 0; n < 60; ++n) {
            const size_t server = dice() % s.weights.size();
            const bool good = dice() % 5 < 3;
            const bool retries = theirs.take(server, good);
            // torii spreads the second probe: its pause after the first is its own.
            const bool soon = ours.take(server, good);
            if (std::exchange(ran[server], 1)) {
                ASSERT_EQ(soon, retries) << "delay_before_retry or delay_loop";
            }
            ASSERT_EQ(ours.alive(server), theirs.alive(server));
            ASSERT_EQ(ours.quorum(), theirs.quorum());
            ASSERT_EQ(ours.table(), theirs.table());
        }
    }
}

}  // namespace
}  // namespace torii::health
