// Two and three routers against loss, delay, duplication, partition, frozen processes, stops and
// priority changes. Once exhaustively (every combination of a few disturbances at every moment; the
// search ends because states repeat), once at random for longer. TORII_MODEL_DISTURBANCES and
// TORII_MODEL_RUNS make both search further.
//
// What must hold when nothing interferes any more:
// - two routers are active for no longer than one advert interval and its delay;
// - after a master-down time somebody is active, and from then on without a gap;
// - in the end exactly one is, and with preemption it is the strongest.

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <unordered_set>

#include "tests/model/vrrp/vrrp_world.h"

namespace torii::vrrp::model {
namespace {

using namespace std::chrono_literals;

int from_environment(const char* name, int fallback) {
    const char* text = std::getenv(name);
    return text ? std::atoi(text) : fallback;
}

/// What is allowed, in steps of which `interval` make an advert interval.
struct Limits {
    int interval;
    int hold;  ///< preemption delay
    int doubled() const { return interval + 2; }
    int dark() const { return 6 * interval; }
    int settled() const { return 18 * interval + 2 * hold; }
};

std::string describe(const World& w) {
    std::string all =
        "step " + std::to_string(w.now) + ", calm for " + std::to_string(w.calm) + ":";
    for (const Node& n : w.nodes)
        all +=
            " " + std::string(to_string(n.state.role)) + "/" + std::to_string(n.settings.priority);
    return all;
}

/// The first rule that is broken, or "".
std::string broken(const World& w, const Limits& limit) {
    if (w.doubled > limit.doubled()) return "two are active: " + describe(w);
    if (w.started() == 0) return {};
    if (w.calm > limit.dark() && w.active() == 0) return "nobody is active: " + describe(w);
    if (w.calm <= limit.settled()) return {};
    if (w.active() != 1) return "not exactly one is active: " + describe(w);
    const auto rank = [](const Node& n) {
        return std::pair(n.settings.priority, n.settings.local);
    };
    for (const Node& n : w.nodes) {
        if (n.state.role != Role::active || !n.settings.preempt) continue;
        for (const Node& other : w.nodes)
            if (other.state.started && other.settings.preempt &&
                other.settings.priority > n.settings.priority && rank(other) > rank(n))
                return "the weaker is active: " + describe(w);
    }
    return {};
}

// --- exhaustive
// -----------------------------------------------------------------------------------

/// Numbers that tell two worlds apart as far as their future goes, with times relative to now.
class Key {
public:
    Key(const World& w, int left, const Limits& limit) : now_(w.time()), step_(w.step) {
        add(left);
        add(std::min(w.calm, limit.settled() + 1));
        add(w.doubled);
        for (const Node& n : w.nodes) add_node(n, w.now);
        for (const Message& m : w.wire) add_message(m, w.now);
        for (const int until : w.cut_until) add(std::max(until - w.now, 0));
    }
    uint64_t hash() const { return hash_; }

private:
    void add(int64_t value) {
        hash_ = (hash_ ^ uint64_t(value)) * 0x9e3779b97f4a7c15u;
        hash_ ^= hash_ >> 29;
    }
    /// How far off, where more than `most` is all the same.
    void add(Time t, Duration most) {
        add(t == kNever ? INT64_MAX
                        : std::clamp<int64_t>((t - now_).count(), -most.count(), most.count()));
    }
    void add_node(const Node& n, int now) {
        const State& s = n.state;
        add(int(s.role) | s.started << 3 | s.leaving << 4 | int(s.wait) << 5 | n.deaf << 8);
        add(s.priority);
        add(s.active_interval.count());
        add(s.deadline, 1h);
        add(s.role == Role::backup ? s.since : kNever, 64 * step_);
        add(s.hold, 64 * step_);
        add(s.asserted, 8 * step_);
        add(s.active_router.bytes[15]);
        add(std::max(n.asleep_until - now, 0));
        add(std::max(n.restart_at - now, -1));
        add(n.settings.priority);
        for (const Message& m : n.queue) add_message(m, now);
    }
    void add_message(const Message& m, int now) {
        add(m.from | m.to << 4 | m.advert.priority << 8 | m.late << 16);
        add(m.due - now);
    }
    Time now_;
    Duration step_;
    uint64_t hash_ = 1;
};

/// Everything somebody could do to this world at this moment.
std::vector<World> disturbances(const World& w, int interval) {
    std::vector<World> all;
    const auto add = [&](auto&& change) {
        change(all.emplace_back(w));
        all.back().calm = all.back().doubled = 0;
    };
    for (size_t i = 0; i < w.wire.size(); ++i) {
        if (w.wire[i].due != w.now + 1 || w.wire[i].late) continue;
        add([&](World& x) { x.wire.erase(x.wire.begin() + long(i)); });
        for (const int late : {interval - 1, 5 * interval}) {
            add([&](World& x) { x.wire[i].due += late, x.wire[i].late = true; });
            add([&](World& x) {
                x.wire.push_back(x.wire[i]);
                x.wire.back().due += late;
                x.wire.back().late = true;
            });
        }
    }
    const int count = int(w.nodes.size());
    for (int n = 0; n < count; ++n) {
        const Node& node = w.nodes[size_t(n)];
        if (!w.runs(node) || node.restart_at > w.now) continue;
        for (const int sleep : {interval, 3 * interval, 5 * interval})
            for (const bool deaf : {false, true})
                add([&](World& x) {
                    x.nodes[size_t(n)].asleep_until = x.now + sleep;
                    x.nodes[size_t(n)].deaf = deaf;
                });
        if (node.state.started && !node.state.leaving)
            add([&](World& x) {
                x.give(n, Stop{});
                x.nodes[size_t(n)].restart_at = x.now + 2 * interval;
            });
        if (node.other_priority != node.settings.priority)
            add([&](World& x) {
                Node& changed = x.nodes[size_t(n)];
                std::swap(changed.settings.priority, changed.other_priority);
                x.give(n, Changed{});
            });
        for (int to = 0; to < count; ++to) {
            if (to == n) continue;
            for (const int steps : {2 * interval, 6 * interval}) {
                add([&](World& x) { x.cut(n, to) = x.now + steps; });
                if (to > n) add([&](World& x) { x.cut(n, to) = x.cut(to, n) = x.now + steps; });
            }
        }
    }
    return all;
}

struct Setup {
    const char* name;
    std::vector<uint8_t> priorities;
    bool preempt = true;
    int hold = 0;  ///< preemption delay in steps
    int disturbances = 2;
    friend void PrintTo(const Setup& s, std::ostream* out) { *out << s.name; }
};

constexpr int kInterval = 4;  // steps

World make_world(const Setup& setup, int interval, Duration step) {
    Settings s;
    s.announce_repeat = 0;
    s.announce_delay = 0s;
    s.preempt = setup.preempt;
    s.preempt_delay = setup.hold * step;
    s.interval = interval * step;
    World w;
    w.step = step;
    for (const uint8_t priority : setup.priorities) w.add(priority, s);
    w.nodes[0].other_priority = 32;  // a tracked thing that fails
    for (size_t n = 0; n < w.nodes.size(); ++n) w.start(int(n));
    return w;
}

class Exhaustive : public testing::TestWithParam<Setup> {};

TEST_P(Exhaustive, NothingBreaksTheRules) {
    const Limits limit{kInterval, GetParam().hold};
    struct Open {
        World world;
        int left;
    };
    std::vector<Open> open;
    open.push_back({make_world(GetParam(), kInterval, 10ms),
                    from_environment("TORII_MODEL_DISTURBANCES", GetParam().disturbances)});
    std::unordered_set<uint64_t> seen;
    while (!open.empty()) {
        Open next = std::move(open.back());
        open.pop_back();
        if (!seen.insert(Key(next.world, next.left, limit).hash()).second) continue;
        const std::string rule = broken(next.world, limit);
        ASSERT_EQ(rule, "");
        if (next.left > 0)
            for (World& w : disturbances(next.world, kInterval))
                open.push_back({std::move(w), next.left - 1});
        next.world.advance();
        open.push_back(std::move(next));
    }
    RecordProperty("states", int(seen.size()));
    EXPECT_GT(seen.size(), 3000u) << "the search went nowhere";
}

INSTANTIATE_TEST_SUITE_P(
    Vrrp, Exhaustive,
    testing::Values(Setup{"two", {192, 128}}, Setup{"two_equal", {128, 128}},
                    Setup{"two_without_preemption", {192, 128}, false},
                    Setup{"two_with_delay", {192, 128}, true, 8}, Setup{"owner", {255, 128}},
                    Setup{"three", {192, 128, 64}, true, 0, 1},
                    Setup{"three_equal", {128, 128, 128}, true, 0, 1},
                    Setup{"three_without_preemption", {192, 128, 64}, false, 0, 1}),
    [](const auto& setup) { return setup.param.name; });

// --- random
// ---------------------------------------------------------------------------------------

class Chaos {
public:
    explicit Chaos(uint32_t seed) : random_(seed) {
        static constexpr uint8_t kPriorities[] = {1, 50, 100, 100, 150, 200, 254};
        Setup setup{"random", {}, below(4) != 0, below(3) == 0 ? below(8) * kSteps : 0};
        for (int n = 2 + below(2); n > 0; --n) setup.priorities.push_back(kPriorities[below(7)]);
        limit_ = {kSteps, setup.hold};
        world_ = make_world(setup, kSteps, 1ms);
    }

    /// A time of chaos, then of calm; the first rule that was broken, or "".
    std::string round() {
        const int loss = below(60), trouble = 1 + below(40);
        for (int i = 0; i < 40 * kSteps; ++i) {
            if (below(200) < trouble) disturb();
            lose(loss);
            world_.advance();
            if (const auto rule = broken(world_, limit_); !rule.empty()) return rule;
        }
        const int calm = limit_.settled() + 20 * kSteps;
        for (int i = 0; i < calm; ++i) {
            world_.advance();
            if (const auto rule = broken(world_, limit_); !rule.empty()) return rule;
        }
        return {};
    }

private:
    static constexpr int kSteps = 16;
    int below(int n) { return int(random_() % uint32_t(n)); }

    void lose(int percent) {
        const size_t before = world_.wire.size();
        std::erase_if(world_.wire, [&](const Message& m) {
            return m.due == world_.now + 1 && below(100) < percent;
        });
        if (world_.wire.size() != before) world_.calm = world_.doubled = 0;
    }

    void disturb() {
        const auto ways = disturbances(world_, 1 + below(2 * kSteps));
        if (!ways.empty()) world_ = ways[size_t(below(int(ways.size())))];
    }

    std::minstd_rand random_;
    Limits limit_{};
    World world_;
};

TEST(Random, NothingBreaksTheRules) {
    const int runs = from_environment("TORII_MODEL_RUNS", 60);
    for (int seed = 1; seed <= runs; ++seed) {
        Chaos chaos{uint32_t(seed)};
        for (int round = 0; round < 5; ++round)
            ASSERT_EQ(chaos.round(), "") << "seed " << seed << ", round " << round;
    }
}

}  // namespace
}  // namespace torii::vrrp::model
