// The same servers, settings and results under keepalived's documented rules, written down here as
// a slow, obvious model, and under torii: the servers that get new connections are the same after
// every result. Settings are translated as docs/compatibility.md says.
//
// The rules are those of keepalived 2.2: a checker fails after `retry` more failures, at once if it
// never ran, and is well with one success; a server is alive while none of its checkers has failed;
// quorum is gained at quorum + hysteresis and lost at 0 or below quorum - hysteresis; without
// quorum the sorry server, if there is one, takes the place of those that are alive.

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "config/load/load.h"
#include "control/health/apply.h"
#include "control/health/plan.h"
#include "healthcheck/fsm.h"

namespace torii::health {
namespace {

const ServiceKey kWww{*parse_address("192.0.2.1"), 80, Protocol::tcp, 0};
constexpr size_t kSorry = 99;
Endpoint server(size_t n) { return *parse_endpoint("10.0.0." + std::to_string(n + 1) + ":80"); }

struct Settings {
    unsigned retry = 1;
    bool alpha = false, inhibit = false, sorry = false;
    unsigned quorum = 1, hysteresis = 0;
    std::vector<unsigned> weights;
    size_t checkers = 1;  ///< of each server

    std::string describe() const {
        std::string w;
        for (unsigned x : weights) w += ' ' + std::to_string(x);
        return "retry " + std::to_string(retry) + (alpha ? " alpha" : "") +
               (inhibit ? " inhibit" : "") + (sorry ? " sorry" : "") + " quorum " +
               std::to_string(quorum) + " hysteresis " + std::to_string(hysteresis) + " checkers " +
               std::to_string(checkers) + " weights" + w;
    }
};

/// What IPVS would hold: server -> weight. It is changed by commands, as keepalived does it.
using Table = std::map<size_t, unsigned>;

class Keepalived {
public:
    explicit Keepalived(const Settings& s) : s_(s), quorum_(!s.alpha) {
        servers_.resize(s.weights.size());
        for (Server& r : servers_) r.checkers.resize(s.checkers, {!s.alpha, false, 0});
        for (size_t n = 0; n < servers_.size(); ++n) {
            servers_[n].alive = !s.alpha;
            if (!s.alpha)
                table_[n] = s.weights[n];
            else if (s.inhibit)
                table_[n] = 0;
        }
        if (s.alpha && s.sorry) table_[kSorry] = 1;
    }

    void result(size_t server, size_t checker, bool good) {
        Checker& c = servers_[server].checkers[checker];
        if (good) {
            c.failures = 0;
            c.up = true;
        } else if (c.up) {
            if (!c.ran || c.failures >= s_.retry) {
                c.up = false;
                c.failures = 0;
            } else {
                ++c.failures;
            }
        }
        c.ran = true;
        bool alive = true;
        for (const Checker& one : servers_[server].checkers) alive = alive && one.up;
        if (alive != servers_[server].alive) became(server, alive);
    }
    const Table& table() const { return table_; }

private:
    struct Checker {
        bool up, ran;
        unsigned failures;
    };
    struct Server {
        bool alive = true;
        std::vector<Checker> checkers;
    };

    void put_in(size_t n) { table_[n] = s_.weights[n]; }
    void take_out(size_t n) {
        if (s_.inhibit)
            table_[n] = 0;
        else
            table_.erase(n);
    }
    unsigned weight() const {
        unsigned sum = 0;
        for (size_t n = 0; n < servers_.size(); ++n) sum += servers_[n].alive ? s_.weights[n] : 0;
        return sum;
    }
    void became(size_t n, bool alive) {
        servers_[n].alive = alive;
        if (quorum_ || !s_.sorry) alive ? put_in(n) : take_out(n);
        const unsigned w = weight();
        if (!quorum_ && w >= s_.quorum + s_.hysteresis) {
            quorum_ = true;
            if (!s_.sorry) return;
            table_.erase(kSorry);
            for (size_t k = 0; k < servers_.size(); ++k)
                if (servers_[k].alive) put_in(k);
        } else if (quorum_ && (w == 0 || w + s_.hysteresis < s_.quorum)) {
            quorum_ = false;
            if (!s_.sorry) return;
            table_[kSorry] = 1;
            for (size_t k = 0; k < servers_.size(); ++k) take_out(k);
        }
    }

    const Settings s_;
    std::vector<Server> servers_;
    bool quorum_;
    Table table_;
};

class Torii {
public:
    explicit Torii(const Settings& s) : checks_(s.weights.size()) {
        std::string backends;
        for (size_t n = 0; n < s.weights.size(); ++n)
            backends += "{address: 10.0.0." + std::to_string(n + 1) +
                        ", weight: " + std::to_string(s.weights[n]) + "}, ";
        std::string service =
            "dataplane: {ports: [{name: p, driver: memory}]}\nservices:\n- name: www\n"
            "  virtual: [192.0.2.1:80/tcp]\n  backends: [" +
            backends +
            "]\n"
            "  health: {type: tcp, rise: 1, fall: " +
            std::to_string(s.retry + 1) + "}\n  quorum: {up: " + std::to_string(s.quorum) +
            ", hysteresis: " + std::to_string(s.hysteresis) + "}\n";
        if (s.alpha) service += "  start_down: true\n";
        if (s.inhibit) service += "  inhibit_on_failure: true\n";
        if (s.sorry) service += "  sorry_server: {address: 10.0.0.100}\n";
        auto loaded = config::load_text(service, "f");
        EXPECT_TRUE(loaded.config) << config::format(loaded.diagnostics);
        config_ = loaded.config.value_or(config::Config{});
        Plan plan = make_plan(config_, nullptr);
        state_ = plan.state;
        settings_ = *plan.checks.at(0).check.request.settings;
        uint64_t seed = 1;
        for (auto& of_server : checks_)
            for (size_t c = 0; c < s.checkers; ++c)
                of_server.push_back(
                    healthcheck::begin(settings_, !s.alpha, seed++, healthcheck::TimePoint{}));
    }

    void result(size_t n, size_t checker, bool good) {
        healthcheck::Step& s = checks_[n][checker];
        s = healthcheck::step(settings_, s.state, good, s.due, s.due);
        now_ = std::max(now_, s.due);
    }
    Table table() {
        for (size_t n = 0; n < checks_.size(); ++n) {
            ServerHealth& h = state_.services.at(kWww).edit().servers.at(server(n));
            h.up = true;
            for (const healthcheck::Step& s : checks_[n]) h.up = h.up && s.state.up;
        }
        const Applied a = apply_health(control::desired(config_), state_, now_);
        remember(state_, a.changes);
        Table t;
        for (const Destination& d : a.desired.services.at(0).destinations)
            t[d.key.address.as_v4().host() - 0x0a000001u] = d.weight;
        return t;
    }

private:
    config::Config config_;
    HealthState state_;
    config::Health settings_;
    std::vector<std::vector<healthcheck::Step>> checks_;
    healthcheck::TimePoint now_{};
};

Table taking_connections(Table t) {
    std::erase_if(t, [](const auto& e) { return e.second == 0; });
    return t;
}

std::string text(const Table& t) {
    std::string out;
    for (const auto& [n, w] : t) out += std::to_string(n) + "=" + std::to_string(w) + " ";
    return out;
}

TEST(Keepalived, TheSameServersTakeConnectionsAfterEveryResult) {
    std::mt19937 random(7);
    const auto below = [&](unsigned n) { return unsigned(random() % n); };
    unsigned sorry_shown = 0, emptied = 0, changed = 0;
    for (int run = 0; run < 400; ++run) {
        Settings s;
        s.retry = below(4);
        s.alpha = below(3) == 0;
        s.inhibit = below(2);
        s.sorry = below(2);
        s.checkers = 1 + below(3);
        unsigned sum = 0;
        for (size_t n = 1 + below(5); n > 0; --n) sum += s.weights.emplace_back(1 + below(5));
        s.hysteresis = sum > 2 ? below(std::min(sum / 2, 3u)) : 0;
        s.quorum = s.hysteresis + 1 + below(sum - 2 * s.hysteresis);
        SCOPED_TRACE(s.describe());

        Keepalived model(s);
        Torii torii(s);
        Table before = taking_connections(torii.table());
        ASSERT_EQ(text(before), text(taking_connections(model.table()))) << "at the start";
        // Servers have good and bad times, so that both ways are gone to the end.
        std::vector<bool> well(s.weights.size(), true);
        for (int event = 0; event < 150; ++event) {
            const size_t n = below(unsigned(well.size())), c = below(unsigned(s.checkers));
            if (below(12) == 0) well[n] = !well[n];
            const bool good = below(8) == 0 ? !well[n] : well[n];
            model.result(n, c, good);
            torii.result(n, c, good);
            const Table now = torii.table(), taking = taking_connections(now);
            ASSERT_EQ(text(taking), text(taking_connections(model.table())))
                << "event " << event << ": server " << n << " checker " << c << ' ' << good;
            // What is in the table differs in one thing: without quorum, torii's servers that are
            // up stay with weight 0 beside the sorry server.
            if (!now.contains(kSorry)) {
                ASSERT_EQ(text(now), text(model.table()));
            }
            sorry_shown += now.contains(kSorry);
            emptied += taking.empty();
            changed += taking != before;
            before = taking;
        }
    }
    EXPECT_GT(sorry_shown, 1000u);
    EXPECT_GT(emptied, 100u);
    EXPECT_GT(changed, 1000u);
}

}  // namespace
}  // namespace torii::health
