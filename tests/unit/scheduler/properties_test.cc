// Properties over random lists, and wrr against a slow model that does every pass.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "dataplane/scheduler/consistent.h"
#include "tests/unit/scheduler/rig.h"

namespace torii::scheduler {
namespace {

using Random = std::minstd_rand;

void add_random(Rig& rig, Random& random, uint32_t servers, uint32_t max_weight) {
    for (uint32_t b = 0; b < servers; ++b) rig.list.add(b, random() % (max_weight + 1));
}

TEST(Properties, WeightZeroIsNeverChosen) {
    Random random(1);
    int chosen = 0;
    for (const Scheduler& s : schedulers())
        for (int round = 0; round < 50; ++round) {
            Rig rig(s.name, s.name == "sh" ? kFallback | kPort : 0);
            add_random(rig, random, 1 + random() % 8, 3);
            const auto targets = rig.list.targets();
            for (int i = 0; i < 40; ++i) {
                const Address a = Address::v4(be32::from_host(uint32_t(random())));
                const char c = rig.connect({a, a, uint16_t(random())});
                if (c == '-') continue;
                ++chosen;
                const auto t = std::ranges::find(targets, uint32_t(c - 'A'), &Target::backend);
                ASSERT_NE(t, targets.end());
                EXPECT_GT(t->weight, 0u) << s.name;
            }
        }
    EXPECT_GT(chosen, 5000);
}

// After whole cycles wrr's shares are exactly the weights; wlc's with lasting connections too.
TEST(Properties, SharesFollowTheWeights) {
    Random random(2);
    for (const char* name : {"wrr", "wlc"})
        for (int round = 0; round < 100; ++round) {
            Rig rig(name);
            add_random(rig, random, 1 + random() % 8, 9);
            rig.list.edit(0, 9);
            int64_t sum = 0;
            for (const Target& t : rig.list.targets()) sum += t.weight;
            if (std::string_view(name) == "wrr")  // the first pass begins at a left-over weight
                for (int i = 0; i < sum; ++i) rig.connect();
            rig.loads.clear();
            for (int i = 0; i < 3 * sum; ++i) rig.connect();
            for (const Target& t : rig.list.targets())
                EXPECT_NEAR(double(rig.loads[t.backend].total), 3.0 * t.weight, 1.0) << name;
        }
}

TEST(Properties, RoundRobinSharesAreEven) {
    Random random(3);
    for (int round = 0; round < 100; ++round) {
        Rig rig("rr");
        const uint32_t servers = 1 + random() % 8;
        for (uint32_t b = 0; b < servers; ++b) rig.list.add(b, 1 + random() % 5);
        for (int i = 0; i < 100; ++i) rig.connect();
        for (uint32_t b = 0; b < servers; ++b)
            EXPECT_NEAR(double(rig.loads[b].total), 100.0 / servers, 1.0);
    }
}

TEST(Properties, ManyWorkersWithFewConnectionsEachSpreadThem) {
    for (const char* name : {"rr", "wrr"}) {
        Rig rig(name);
        rig.add({1, 1, 1, 1, 1, 1, 1, 1});
        for (uint32_t w = 0; w < 8; ++w) {
            rig.cursor = Cursor{.worker = w};
            rig.connect();
        }
        for (uint32_t b = 0; b < 8; ++b) EXPECT_EQ(rig.loads[b].total, 1) << name;
    }
}

// The obvious wrr: steps of one gcd, no pass left out; an independent rendering of the algorithm.
struct SlowWrr {
    int64_t current = 0;
    uint32_t at = kHead;

    uint32_t pick(const ServiceView& v, const Loads& loads) {
        const int64_t first = int64_t(v.max_weight) - (int64_t(v.gcd) - 1);
        if (v.max_weight == 0) return kNoBackend;
        const uint32_t from = at;
        bool lowest = false, again = false;
        for (;;) {
            for (++at; at < v.targets.size(); ++at) {
                const Target& t = v.targets[at];
                if (!loads.is_overloaded(t.backend) && t.weight >= current) return t.backend;
                if (lowest && again && at == from) return kNoBackend;
            }
            at = kHead;
            current -= v.gcd;
            if (current <= 0) {
                current = first;
                if (lowest || from == kHead) return kNoBackend;
                again = true;
            }
            lowest = current <= v.gcd;
        }
    }
};

TEST(Properties, WrrEqualsTheSlowModel) {
    Random random(4);
    int refused = 0, taken = 0;
    for (int round = 0; round < 1000; ++round) {
        Rig rig("wrr");
        const uint32_t step = 1 + random() % 4;
        for (uint32_t b = 0, n = 1 + random() % 6; b < n; ++b)
            rig.list.add(b, step * (random() % 12));
        SlowWrr slow{.current = rig.list.changes().back().idle_weight};
        const Published now(rig.scheduler, rig.list);
        for (int i = 0; i < 60; ++i) {
            if (random() % 5 == 0) {
                rig.upper.clear();
                for (uint32_t b = 0; b < 6; ++b)
                    if (random() % 2) rig.upper[b] = 0;
            }
            const Loads loads{&rig, Rig::read, Rig::overload};
            const uint32_t got = choose(rig.scheduler, now.view, rig.cursor, loads, {});
            const uint32_t want = slow.pick(now.view, loads);
            ASSERT_EQ(got, want) << round << ' ' << i;
            if (now.view.max_weight != 0) {
                ASSERT_EQ(rig.cursor.current_weight, uint32_t(slow.current));
                ASSERT_EQ(rig.cursor.position, slow.at);
            }
            (got == kNoBackend ? refused : taken)++;
        }
    }
    EXPECT_GT(refused, 5000);
    EXPECT_GT(taken, 20000);
}

std::vector<Target> some_targets(uint32_t n) {
    std::vector<Target> t;
    for (uint32_t b = 0; b < n; ++b) t.push_back({b * 3 + 1, 1 + b % 3});
    return t;
}

TEST(Consistent, SharesFollowTheWeights) {
    for (const uint32_t n : {1u, 3u, 20u}) {
        auto targets = some_targets(n);
        targets.push_back({1000, 0});
        const auto table = build_consistent(targets);
        std::vector<double> slots(targets.size());
        double sum = 0;
        for (uint32_t t : table) ++slots.at(t);
        for (const Target& t : targets) sum += t.weight;
        for (size_t i = 0; i < targets.size(); ++i)
            EXPECT_NEAR(slots[i], double(table.size()) * targets[i].weight / sum, 1.5) << n;
        EXPECT_EQ(slots.back(), 0) << "weight 0";
    }
    EXPECT_TRUE(build_consistent({}).empty());
    EXPECT_TRUE(build_consistent(std::vector<Target>{{1, 0}}).empty());
    EXPECT_EQ(pick_consistent({}, 5), kNoBackend);
}

TEST(Consistent, RemovalMovesHardlyAnybodyElse) {
    const auto targets = some_targets(9);
    const auto before = build_consistent(targets);
    for (size_t gone = 0; gone < targets.size(); ++gone) {
        auto rest = targets;
        rest.erase(rest.begin() + ptrdiff_t(gone));
        const auto after = build_consistent(rest);
        ASSERT_EQ(after.size(), before.size());
        int kept = 0, moved = 0;
        for (size_t slot = 0; slot < before.size(); ++slot) {
            if (before[slot] == gone) continue;
            const bool same = targets[before[slot]].backend == rest[after[slot]].backend;
            (same ? kept : moved)++;
        }
        EXPECT_LT(moved, (kept + moved) / 10) << gone;
    }
}

TEST(Consistent, IgnoresTheOrderOfTheListAndReachesEverySlot) {
    auto targets = some_targets(5);
    const auto table = build_consistent(targets);
    std::vector<Target> reversed(targets.rbegin(), targets.rend());
    const auto other = build_consistent(reversed);
    for (size_t i = 0; i < table.size(); ++i)
        EXPECT_EQ(targets[table[i]].backend, reversed[other[i]].backend);
    EXPECT_EQ(pick_consistent(table, 0), table.front());
    EXPECT_EQ(pick_consistent(table, ~0u), table.back());
}

}  // namespace
}  // namespace torii::scheduler
