// Any sequence of reloads, results and what operators say by hand ends in the same tables as
// computing them afresh from what is known of each check.

#include "control/health/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "config/load/load.h"
#include "control/health/apply.h"

namespace torii::health {
namespace {

using control::Manual;
using control::ManualState;

constexpr TimePoint kNow{std::chrono::hours(1)};

class Course {
public:
    explicit Course(unsigned seed) : dice_(seed) { reload(); }

    void reload() {
        config_ = some_config();
        ledger_.adopt(ledger_.prepare(config_, nullptr));
        apply();
    }
    void result() {
        const size_t checks = ledger_.plan().checks.size();
        if (checks == 0) return;
        const size_t n = below(unsigned(checks));
        Ledger::Known known = ledger_.known(n);
        known.up = below(3) != 0;
        known.changed = kNow - std::chrono::seconds(below(100));
        if (below(4) == 0) known.weight = uint16_t(below(20));
        ledger_.take(n, known);
        apply();
    }
    void say_by_hand() {
        const ManualKey key{"10.0.0." + std::to_string(1 + below(6)),
                            below(2) ? "s" + std::to_string(below(3)) : ""};
        const auto next = say(manual_, key, ManualState(below(3)), control::desired(config_));
        if (next) manual_ = *next;
        apply();
    }
    void step() {
        switch (below(8)) {
            case 0:
                return reload();
            case 1:
                return say_by_hand();
            default:
                return result();
        }
    }
    const Desired& now() const { return now_; }

    /// From the configuration, what is said by hand, and of each check what it is known to have
    /// found; nothing of how it came to that.
    Desired afresh() const {
        Plan plan = make_plan(config_, nullptr);
        for (const auto& [server, checks] : plan.of_server) {
            ServerHealth& h = plan.state.services.at(server.first).edit().servers.at(server.second);
            h = {};
            TimePoint up_since{}, down_since = TimePoint::max();
            for (const uint32_t n : checks) {
                const Ledger::Known& k = ledger_.known(n);
                h.up = h.up && k.up;
                (k.up ? up_since : down_since) =
                    k.up ? std::max(up_since, k.changed) : std::min(down_since, k.changed);
                if (k.weight) h.said.push_back(*k.weight);
            }
            h.changed = h.up ? up_since : down_since;
        }
        return apply_health(apply_manual(control::desired(config_), manual_), plan.state, kNow)
            .desired;
    }

private:
    using ManualKey = control::ManualKey;
    unsigned below(unsigned n) { return unsigned(dice_() % n); }

    // Quorums have no hysteresis here: with it, what was before is part of what is known.
    config::Config some_config() {
        std::string text = "dataplane: {ports: [{name: p, driver: memory}]}\nservices:\n";
        for (unsigned s = 0; s < 3; ++s) {
            if (below(6) == 0) continue;
            text += "- name: s" + std::to_string(s) + "\n  virtual: [192.0.2." +
                    std::to_string(s + 1) +
                    ":80/tcp]\n  quorum: {up: " + std::to_string(1 + below(4)) + "}\n";
            if (below(2)) text += "  sorry_server: {address: 10.0.0.99}\n";
            if (below(3) == 0) text += "  inhibit_on_failure: true\n";
            if (below(3) == 0) text += "  max_down: 50\n";
            if (below(3) == 0) text += "  slow_start: 30s\n";
            const char* checks[] = {"", "  health: {type: tcp}\n",
                                    "  health: {type: tcp, fall: 7}\n",
                                    "  checks: [{type: tcp}, {type: icmp}]\n"};
            text += checks[below(4)];
            text += "  backends:\n";
            for (unsigned b = 1; b <= 6; ++b)
                if (below(3) != 0)
                    text += "  - {address: 10.0.0." + std::to_string(b) +
                            ", weight: " + std::to_string(below(4)) + "}\n";
            text += "  - {address: 10.0.0.77, health: {type: none}}\n";
        }
        if (text.ends_with("services:\n")) text += "  []\n";
        auto loaded = config::load_text(text, "f");
        EXPECT_TRUE(loaded.config) << config::format(loaded.diagnostics) << text;
        return loaded.config.value_or(config::Config{});
    }
    void apply() {
        Applied a = apply_health(apply_manual(control::desired(config_), manual_),
                                 ledger_.plan().state, kNow);
        ledger_.remember(a.changes);
        now_ = std::move(a.desired);
    }

    std::mt19937 dice_;
    config::Config config_;
    Manual manual_;
    Ledger ledger_;
    Desired now_;
};

TEST(Ledger, AnyCourseEndsWhereComputingAfreshDoes) {
    std::set<size_t> sizes;
    for (unsigned seed = 1; seed <= 150; ++seed) {
        Course course(seed);
        for (int n = 0; n < 60; ++n) {
            course.step();
            const Desired afresh = course.afresh();
            ASSERT_EQ(course.now().services.size(), afresh.services.size());
            for (size_t s = 0; s < afresh.services.size(); ++s) {
                ASSERT_EQ(course.now().services[s], afresh.services[s]) << seed << ' ' << n;
                sizes.insert(afresh.services[s].destinations.size());
            }
        }
    }
    EXPECT_GE(sizes.size(), 6u) << "little has happened";
}

config::Config with(const std::string& health) {
    const auto loaded = config::load_text(
        "dataplane: {ports: [{name: p, driver: memory}]}\nservices:\n- name: s\n  virtual: "
        "[192.0.2.1:80/tcp]\n  backends: [{address: 10.0.0.1}, {address: 10.0.0.2}]\n" +
            health,
        "f");
    EXPECT_TRUE(loaded.config) << config::format(loaded.diagnostics);
    return loaded.config.value_or(config::Config{});
}

TEST(Ledger, AReloadKeepsWhatIsKnownAndBelievesNobodyUpWhoWasDown) {
    Ledger ledger;
    ledger.adopt(ledger.prepare(with("  health: {type: tcp}\n"), nullptr));
    const auto moved = ledger.take(0, {false, kNow, {}});
    ASSERT_EQ(moved.size(), 1u);
    EXPECT_FALSE(moved[0].up);
    EXPECT_EQ(moved[0].member.backend, *parse_endpoint("10.0.0.1:80"));
    EXPECT_TRUE(ledger.take(0, {false, kNow, {}}).empty());
    for (const char* health : {"  health: {type: tcp, fall: 9}\n", "  health: {type: icmp}\n",
                               "  checks: [{type: icmp}, {type: tcp}]\n"}) {
        ledger.adopt(ledger.prepare(with(health), nullptr));
        const auto& servers = ledger.plan().state.services.begin()->second->servers;
        EXPECT_FALSE(servers.at(*parse_endpoint("10.0.0.1:80")).up) << health;
        EXPECT_TRUE(servers.at(*parse_endpoint("10.0.0.2:80")).up) << health;
    }
}

}  // namespace
}  // namespace torii::health
