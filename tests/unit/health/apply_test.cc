// What checks do to the tables: pure steps from a configuration and states to what LVS would hold.

#include "control/health/apply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "config/load/load.h"
#include "control/health/plan.h"

namespace torii::health {
namespace {

using control::desired;

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr TimePoint kNow{std::chrono::hours(1)};
const ServiceKey kWww{*parse_address("192.0.2.1"), 80, Protocol::tcp, 0};

Endpoint server(int n) { return *parse_endpoint("10.0.0." + std::to_string(n) + ":80"); }

config::Config load(const std::string& service_keys, const std::string& more = "") {
    const auto loaded = config::load_text(
        "dataplane: {ports: [{name: p, driver: memory}]}\nservers: {web1: {address: 10.0.0.1}}\n"
        "services:\n- name: www\n  virtual: [192.0.2.1:80/tcp]\n  backends: [{server: web1}, "
        "{address: 10.0.0.2, weight: 2}, {address: 10.0.0.3, weight: 3}]\n" +
            service_keys + more,
        "f");
    EXPECT_TRUE(loaded.config) << config::format(loaded.diagnostics);
    return loaded.config.value_or(config::Config{});
}

/// "10.0.0.1=1 10.0.0.2=0": destinations of the first service in their order.
std::string table(const Desired& d) {
    std::string out;
    for (const Destination& x : d.services.at(0).destinations)
        out += (out.empty() ? "" : " ") + to_string(x.key.address) + "=" + std::to_string(x.weight);
    return out;
}

class Apply : public ::testing::Test {
protected:
    void use(const std::string& keys) {
        config = load(keys);
        state = make_plan(config, nullptr).state;
    }
    void set(int n, bool up, TimePoint changed = kNow - seconds(100)) {
        state.services.at(kWww).edit().servers.at(server(n)) = {up, changed, {}};
    }
    std::string apply(TimePoint now = kNow) {
        Applied a = apply_health(desired(config), state, now);
        remember(state, a.changes);
        changes = a.changes;
        again = a.again;
        return table(a.desired);
    }
    config::Config config;
    HealthState state;
    std::vector<QuorumChange> changes;
    std::optional<TimePoint> again;
};

TEST_F(Apply, WithoutChecksNothingChanges) {
    use("");
    EXPECT_EQ(apply(), "10.0.0.1=1 10.0.0.2=2 10.0.0.3=3");
    EXPECT_TRUE(state.services.empty());
}

TEST_F(Apply, AServerThatIsDownLeavesOrKeepsWeightZero) {
    use("  health: {type: tcp}\n");
    EXPECT_EQ(apply(), "10.0.0.1=1 10.0.0.2=2 10.0.0.3=3");
    set(2, false);
    EXPECT_EQ(apply(), "10.0.0.1=1 10.0.0.3=3");
    use("  health: {type: tcp}\n  inhibit_on_failure: true\n");
    set(2, false);
    EXPECT_EQ(apply(), "10.0.0.1=1 10.0.0.2=0 10.0.0.3=3");
}

TEST_F(Apply, TheSorryServerTakesOverInOneStep) {
    use("  health: {type: tcp}\n  quorum: {up: 4, hysteresis: 1}\n  sorry_server: {address: "
        "10.0.0.9}\n");
    EXPECT_EQ(apply(), "10.0.0.1=1 10.0.0.2=2 10.0.0.3=3");
    EXPECT_THAT(changes, IsEmpty());
    set(1, false);
    set(2, false);
    EXPECT_EQ(apply(), "10.0.0.3=3");  // 3 is not below 4 - 1
    set(2, true);
    set(3, false);
    EXPECT_EQ(apply(), "10.0.0.2=0 10.0.0.9=1");  // what is up keeps its connections
    ASSERT_EQ(changes.size(), 1u);
    EXPECT_FALSE(changes[0].has_quorum);
    EXPECT_EQ(changes[0].weight, 2u);
    set(2, false);
    EXPECT_EQ(apply(), "10.0.0.9=1");
    set(3, true);
    set(1, true);
    EXPECT_EQ(apply(), "10.0.0.1=0 10.0.0.3=0 10.0.0.9=1");  // 4 is not 4 + 1
    set(2, true);
    EXPECT_EQ(apply(), "10.0.0.1=1 10.0.0.2=2 10.0.0.3=3");
    EXPECT_TRUE(changes.at(0).has_quorum);
}

TEST_F(Apply, WithoutASorryServerWhatIsUpStays) {
    use("  health: {type: tcp}\n  quorum: {up: 4}\n");
    set(3, false);
    EXPECT_EQ(apply(), "10.0.0.1=1 10.0.0.2=2");
    EXPECT_EQ(changes.size(), 1u);
    set(1, false);
    set(2, false);
    EXPECT_EQ(apply(), "");
}

TEST_F(Apply, ABrokenCheckerCannotEmptyAServiceWithMaxDown) {
    use("  health: {type: tcp}\n  max_down: 34\n");
    for (int n = 1; n <= 3; ++n) set(n, false, kNow - seconds(n));
    EXPECT_EQ(apply(), "10.0.0.1=1 10.0.0.2=2");  // 3 went down first
}

TEST_F(Apply, ScriptsSayWeights) {
    use("  health: {type: script, script: {command: /bin/check, weight_from_exit: true}}\n");
    state.services.at(kWww).edit().servers.at(server(3)).said = {40};
    EXPECT_EQ(apply(), "10.0.0.1=1 10.0.0.2=2 10.0.0.3=40");
}

TEST_F(Apply, ASlowStartGoesOnAtItsTimes) {
    use("  health: {type: tcp}\n  slow_start: 30s\n");
    EXPECT_EQ(apply(), "10.0.0.1=1 10.0.0.2=2 10.0.0.3=3");  // nobody has come back
    set(3, true, kNow - seconds(10));
    EXPECT_EQ(apply(), "10.0.0.1=1 10.0.0.2=2 10.0.0.3=1");
    EXPECT_EQ(again, kNow + seconds(2));
    EXPECT_EQ(apply(kNow + seconds(20)), "10.0.0.1=1 10.0.0.2=2 10.0.0.3=3");
    EXPECT_FALSE(again);
}

TEST_F(Apply, ServersThatChecksDoNotKnowAreUp) {
    use("  health: {type: tcp}\n");
    Desired d = desired(config);
    Destination added;
    added.key = server(7);
    added.weight = 5;
    d.services.edit(0).destinations.push_back(added);
    for (int n = 1; n <= 3; ++n) set(n, false);
    EXPECT_EQ(table(apply_health(d, state, kNow).desired), "10.0.0.7=5");
}

// Whatever came before, only the states now and the quorum decide; and where a sorry server
// stands, the service is never empty.
TEST_F(Apply, AnyCourseEndsWhereComputingAfreshDoes) {
    std::mt19937 dice(3);
    use("  health: {type: tcp}\n  quorum: {up: 3, hysteresis: 2}\n  sorry_server: {address: "
        "10.0.0.9}\n");
    for (int n = 0; n < 500; ++n) {
        set(int(1 + dice() % 3), dice() % 2);
        const bool had = state.services.at(kWww)->has_quorum;
        const std::string now = apply();
        ASSERT_NE(now, "");
        HealthState fresh = make_plan(config, nullptr).state;
        fresh.services.at(kWww).edit().has_quorum = had;
        for (const auto& [key, s] : state.services.at(kWww)->servers)
            fresh.services.at(kWww).edit().servers.at(key) = s;
        ASSERT_EQ(table(apply_health(desired(config), fresh, kNow).desired), now);
        ASSERT_EQ(now, apply());  // and applying it again changes nothing
    }
}

// --- the plan

std::vector<std::string> targets(const Plan& p) {
    std::vector<std::string> all;
    for (const PlannedCheck& c : p.checks)
        all.push_back(std::string(to_string(c.check.request.settings->type)) + " " +
                      to_string(c.check.request.target.to) + " x" +
                      std::to_string(c.members.size()));
    return all;
}

TEST(Plan, ChecksOfTheSameTargetWithTheSameSettingsAreOne) {
    const auto config =
        load("  health: {type: tcp}\n",
             "- name: other\n  virtual: [192.0.2.2:80/tcp, 192.0.2.2:81/tcp]\n"
             "  backends: [{server: web1, port: 80}, {address: 10.0.0.2, port: 80}]\n"
             "  health: {type: tcp}\n"
             "- name: third\n  virtual: 192.0.2.3:80/tcp\n"
             "  backends: [{server: web1}]\n  health: {type: tcp, fall: 7}\n");
    EXPECT_THAT(targets(make_plan(config, nullptr)),
                ElementsAre("tcp 10.0.0.1:80 x3", "tcp 10.0.0.2:80 x3", "tcp 10.0.0.3:80 x1",
                            "tcp 10.0.0.1:80 x1"));
}

TEST(Plan, BackendsSayWhatDiffers) {
    const auto config = load(
        "  health: {interval: 7s, port: 99}\n  checks: [{type: tcp}, {type: http, port: 98, http: "
        "{path: /a, host: h}}]\n",
        "- name: own\n  virtual: 192.0.2.2:80/tcp\n  health: {type: http, fall: 9, http: {path: "
        "/x, host: h}}\n  backends:\n  - {server: web1, health: {port: 1, http: {path: /y}}}\n"
        "  - {address: 10.0.0.2, health: {type: none}}\n  - {address: 10.0.0.3, checks: [{type: "
        "icmp}]}\n");
    const Plan plan = make_plan(config, nullptr);
    EXPECT_THAT(targets(plan),
                ElementsAre("tcp 10.0.0.1:99 x1", "http 10.0.0.1:98 x1", "tcp 10.0.0.2:99 x1",
                            "http 10.0.0.2:98 x1", "tcp 10.0.0.3:99 x1", "http 10.0.0.3:98 x1",
                            "http 10.0.0.1:1 x1", "icmp 10.0.0.3:0 x1"));
    EXPECT_EQ(plan.checks[0].check.request.settings->interval, seconds(7));
    const config::Health& own = *plan.checks[6].check.request.settings;
    EXPECT_EQ(own.fall, 9u);
    EXPECT_EQ(own.http.host, "h");
    EXPECT_THAT(own.http.path, ElementsAre("/y"));
    EXPECT_EQ(own.http.status.size(), 1u);
    EXPECT_EQ(plan.checks[7].check.request.settings->fall, 9u);
    const ServiceKey key{*parse_address("192.0.2.2"), 80, Protocol::tcp, 0};
    EXPECT_FALSE(plan.of_server.contains({key, server(2)}));
    EXPECT_EQ(plan.of_server.at({kWww, server(1)}), (std::vector<uint32_t>{0, 1}));
}

TEST(Plan, ScriptsHearWhomTheyAreFor) {
    const auto config =
        load("  health: {type: script, script: {command: [/bin/check, a b]}}\n",
             "- name: two\n  virtual: 192.0.2.2:80/tcp\n  backends: [{server: web1}]\n  health: "
             "{type: script, script: {command: [/bin/check, a b]}}\n");
    const Plan plan = make_plan(config, nullptr);
    ASSERT_EQ(plan.checks.size(), 4u);  // not shared: they are told other services
    const auto& told = plan.checks[0].check.request.target.environment;
    EXPECT_THAT(
        told, ElementsAre(std::pair("TORII_SERVICE", "www"),
                          std::pair("TORII_VIRTUAL", "192.0.2.1:80/tcp"),
                          std::pair("TORII_SERVER", "web1"), std::pair("TORII_ADDRESS", "10.0.0.1"),
                          std::pair("TORII_PORT", "80")));
}

TEST_F(Apply, AServiceHasItsQuorumWhenAllItsVirtualsHave) {
    use("  health: {type: tcp}\n");
    const auto told = [&](std::set<std::string> names = {"www", "gone"}) {
        Applied a = apply_health(desired(config), state, kNow);
        remember(state, a.changes);
        return quorums(names, a.desired, state);
    };
    using Told = std::map<std::string, bool>;
    EXPECT_EQ(told({}), Told{});
    EXPECT_EQ(told(), (Told{{"www", true}, {"gone", false}}));
    for (int n : {1, 2, 3}) set(n, false);
    EXPECT_EQ(told(), (Told{{"www", false}, {"gone", false}}));
    set(1, true);
    EXPECT_EQ(told(), (Told{{"www", true}, {"gone", false}}));
    config.services[0].virtuals.push_back(config.services[0].virtuals[0]);
    config.services[0].virtuals[1].endpoint.port = 81;
    state.services[ServiceKey{kWww.address, 81, Protocol::tcp, 0}].edit().has_quorum = false;
    state.services.at(ServiceKey{kWww.address, 81, Protocol::tcp, 0}).edit().quorum = {100, 0};
    EXPECT_EQ(told(), (Told{{"www", false}, {"gone", false}})) << "one of two";
    state.services.clear();
    EXPECT_EQ(told(), (Told{{"www", true}, {"gone", false}})) << "nobody watches it";
}

TEST(Plan, AServerThatTheTablesLackedBeginsDown) {
    const auto config = load("  health: {type: tcp}\n");
    Desired before = desired(config);
    before.services.edit(0).destinations.erase(before.services[0].destinations.begin());
    before.services.edit(0).destinations[0].weight = 0;
    const auto ups = [&](const std::string& keys, const control::Manual& held) {
        const Before known{before, held};
        const Plan plan = make_plan(load("  health: {type: tcp}\n" + keys), &known);
        std::string up = plan.state.services.at(kWww)->has_quorum ? "Q" : "-";
        for (const PlannedCheck& p : plan.checks) up += p.check.up ? 'U' : 'D';
        return up;
    };
    EXPECT_EQ(ups("", {}), "QDUU");  // weight 0 may have other reasons
    EXPECT_EQ(ups("  inhibit_on_failure: true\n", {}), "QDDU");
    EXPECT_EQ(ups("", {{{"web1", ""}, control::ManualState::down}}), "QUUU");
    EXPECT_EQ(ups("  quorum: {up: 4}\n", {}), "-DUU");
    EXPECT_EQ(ups("  quorum: {up: 4}\n  sorry_server: {address: 10.0.0.9}\n", {}), "QDUU");
    before.services.edit(0).destinations[1].key = *parse_endpoint("10.0.0.9:80");
    EXPECT_EQ(ups("  quorum: {up: 4}\n  sorry_server: {address: 10.0.0.9}\n", {}), "-DUD");
    EXPECT_EQ(ups("  quorum: {up: 4}\n  sorry_server: {address: 10.0.0.9}\n  "
                  "inhibit_on_failure: true\n",
                  {}),
              "-DUD");
    const Plan down = make_plan(load("  health: {type: tcp}\n  start_down: true\n"), nullptr);
    EXPECT_FALSE(down.checks[0].check.up);
    EXPECT_FALSE(down.state.services.at(kWww)->has_quorum);
}

}  // namespace
}  // namespace torii::health
