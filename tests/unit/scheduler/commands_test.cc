// What commands between connections do to each scheduler, one generation a command or many.

#include <gtest/gtest.h>

#include "tests/unit/scheduler/rig.h"

namespace torii::scheduler {
namespace {

TEST(RoundRobin, AddAndEditKeepThePlace) {
    Rig rig("rr");
    rig.add({1, 1, 1});
    EXPECT_EQ(rig.connect_times(2), "CB");
    rig.list.add(3, 1);
    rig.list.edit(1, 5);
    EXPECT_EQ(rig.connect_times(5), "ADCBA");
}

TEST(RoundRobin, DeletingTheCurrentOneStepsBack) {
    Rig rig("rr");
    rig.add({1, 1, 1, 1});
    EXPECT_EQ(rig.connect_times(2), "DC");
    rig.list.remove(2);
    EXPECT_EQ(rig.connect_times(4), "BADB");
}

TEST(RoundRobin, DeletingTheFirstAndCurrentOneGoesToTheHead) {
    Rig rig("rr");
    rig.add({1, 1, 1});
    EXPECT_EQ(rig.connect(), 'C');
    rig.list.remove(2);
    EXPECT_EQ(rig.connect_times(3), "BAB");
}

TEST(RoundRobin, DeletionsPublishedTogetherAreFollowedOneByOne) {
    Rig rig("rr");
    rig.add({1, 1, 1, 1, 1});
    EXPECT_EQ(rig.connect_times(3), "EDC");
    rig.list.remove(2);  // to D
    rig.list.remove(3);  // to E
    rig.list.add(2, 1);  // the slot of the old place comes back at the head: not the place
    EXPECT_EQ(rig.connect_times(5), "BACEB");
}

TEST(WeightedRoundRobin, AnyCommandStartsOverAtTheHead) {
    Rig rig("wrr");
    rig.add({1, 1, 1});
    EXPECT_EQ(rig.connect_times(2), "CB");
    rig.list.edit(0, 1);
    EXPECT_EQ(rig.connect_times(2), "CB");
    rig.list.add(3, 1);
    EXPECT_EQ(rig.connect_times(2), "DC");
    rig.list.remove(0);
    EXPECT_EQ(rig.connect_times(2), "DC");
}

// The current weight goes through every command: 4, 3 (of 4 and 2), 1 (of 2 and 2), 1 (of 8 and
// 2). A single step from the first list to the last would have come to 5.
TEST(WeightedRoundRobin, CommandsPublishedTogetherAreFollowedOneByOne) {
    for (const bool together : {true, false}) {
        Rig rig("wrr");
        rig.add({4, 1});
        EXPECT_EQ(rig.connect_times(3), "BAA");
        for (const auto& [backend, weight] : {std::pair{1u, 2u}, {0u, 2u}, {0u, 8u}}) {
            rig.list.edit(backend, weight);
            const Published now(rig.scheduler, rig.list);
            if (!together) catch_up(rig.scheduler, now.view, rig.cursor, {}, {});
        }
        EXPECT_EQ(rig.connect_times(7), "BAAAABA");
    }
}

TEST(WeightedRoundRobin, ManyPassesWithNothingToTakeAreSkipped) {
    Rig rig("wrr");
    rig.add({1000000000, 1, 1});
    rig.upper[0] = 0;
    EXPECT_EQ(rig.connect_times(6), "CBCBCB");
}

TEST(EveryScheduler, RebindStartsAfresh) {
    for (const char* name : {"rr", "wrr"}) {
        Rig rig(name);
        rig.add({1, 1, 1});
        EXPECT_EQ(rig.connect_times(2), "CB") << name;
        rig.list.rebind();
        EXPECT_EQ(rig.connect_times(2), "CB") << name;
    }
}

TEST(EveryScheduler, RefusesWithoutAnEligibleServerAndRecovers) {
    for (const Scheduler& s : schedulers()) {
        if (s.name == "none") continue;
        Rig rig(s.name);
        EXPECT_EQ(rig.connect(), '-') << s.name;
        rig.add({0, 0});
        EXPECT_EQ(rig.connect_times(2), "--") << s.name;
        rig.list.edit(0, 2);
        rig.list.edit(1, 2);
        EXPECT_NE(rig.connect(), '-') << s.name;
        rig.upper[0] = rig.upper[1] = 0;
        EXPECT_EQ(rig.connect_times(3), "---") << s.name;
        rig.upper.clear();
        EXPECT_NE(rig.connect(), '-') << s.name;
        rig.list.remove(0);
        rig.list.remove(1);
        EXPECT_EQ(rig.connect(), '-') << s.name;
    }
}

TEST(SourceHash, FallbackProbesFromTwiceTheBucket) {
    const Scheduler& s = *find_scheduler("sh");
    ListState list;
    for (uint32_t b = 256; b-- > 0;) list.add(b, 1);
    list.edit(136, 0);  // the bucket of 192.168.1.1
    list.edit(16, 0);   // 2 * 136 mod 256
    const Key key{.client = *parse_address("192.168.1.1")};
    Cursor cursor;
    EXPECT_EQ(choose(s, Published(s, list).view, cursor, {}, key), kNoBackend);
    EXPECT_EQ(choose(s, Published(s, list, kFallback).view, cursor, {}, key), 17u);
}

TEST(LeastConnection, ActiveOnesWeighMoreThanInactiveOnes) {
    for (const char* name : {"lc", "wlc"}) {
        Rig rig(name);
        rig.add({1, 1});
        // B is the first among equals: an active connection is worth 256 inactive ones, not 255
        // and not 257.
        rig.loads[1] = {.active = 1, .total = 1};
        rig.loads[0] = {.active = 0, .total = 255};
        EXPECT_EQ(rig.connect(), 'A') << name;
        rig.loads[0] = {.active = 0, .total = 256};
        EXPECT_EQ(rig.connect(), 'B') << name;
        rig.loads[1] = {.active = 1, .total = 2};
        EXPECT_EQ(rig.connect(), 'A') << name;
    }
}

TEST(WeightedLeastConnection, ProductsDoNotOverflow) {
    Rig rig("wlc");
    rig.add({65535, 65535});
    rig.loads[1] = {.active = 50'000'000, .total = 100'000'000};
    rig.loads[0] = {.active = 50'000'000, .total = 99'999'999};
    EXPECT_EQ(rig.connect(), 'A');
}

TEST(Registry, FindsEveryRowAndNothingElse) {
    for (const Scheduler& s : schedulers()) {
        EXPECT_EQ(find_scheduler(s.name), &s);
        EXPECT_EQ(s.build != nullptr, s.table_size != 0);
        EXPECT_FALSE(s.help.empty());
    }
    EXPECT_EQ(find_scheduler("wwr"), nullptr);
    EXPECT_EQ(find_scheduler(""), nullptr);
}

}  // namespace
}  // namespace torii::scheduler
