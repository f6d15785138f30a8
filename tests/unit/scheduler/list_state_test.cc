#include "dataplane/scheduler/list_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/scheduler/rig.h"

namespace torii::scheduler {
namespace {

using ::testing::ElementsAre;

TEST(ListState, NewestFirstAndEditsKeepThePlace) {
    ListState s;
    EXPECT_TRUE(s.add(7, 4));
    EXPECT_TRUE(s.add(8, 6));
    EXPECT_TRUE(s.add(9, 0));
    EXPECT_FALSE(s.add(8, 1));
    EXPECT_EQ(s.max_weight(), 6u);
    EXPECT_EQ(s.gcd(), 2u);
    EXPECT_TRUE(s.edit(8, 10));
    EXPECT_FALSE(s.edit(1, 1));
    EXPECT_FALSE(s.remove(1));
    EXPECT_THAT(s.targets(), ElementsAre(Target{9, 0}, Target{8, 10}, Target{7, 4}));
    EXPECT_EQ(s.change_seq(), 4u);
    EXPECT_EQ(s.changes().back(),
              (Change{ChangeKind::edit, 8, kNoBackend, 10, 2, s.changes().back().idle_weight}));
}

TEST(ListState, RemovalsNameThePredecessor) {
    ListState s;
    for (uint32_t b : {1u, 2u, 3u}) s.add(b, 1);
    s.remove(2);
    EXPECT_EQ(s.changes().back().predecessor, 3u);
    s.remove(3);
    EXPECT_EQ(s.changes().back().predecessor, kNoBackend);
    s.remove(1);
    EXPECT_EQ(s.max_weight(), 0u);
    EXPECT_EQ(s.gcd(), 1u);
}

TEST(ListState, UpdateIsRemovalsThenEditsThenAdditions) {
    ListState s;
    EXPECT_TRUE(s.update(std::vector<Target>{{1, 1}, {2, 1}, {3, 1}}));
    EXPECT_THAT(s.targets(), ElementsAre(Target{3, 1}, Target{2, 1}, Target{1, 1}));
    EXPECT_FALSE(s.update(std::vector<Target>{{3, 1}, {1, 1}, {2, 1}})) << "order is no change";
    EXPECT_TRUE(s.update(std::vector<Target>{{4, 1}, {3, 9}, {1, 1}}));
    EXPECT_THAT(s.targets(), ElementsAre(Target{4, 1}, Target{3, 9}, Target{1, 1}));
    std::vector<ChangeKind> kinds;
    for (const Change& c : s.changes().last(3)) kinds.push_back(c.kind);
    EXPECT_THAT(kinds, ElementsAre(ChangeKind::remove, ChangeKind::edit, ChangeKind::add));
}

// A cursor that never picked must stand where one stands that followed every change.
TEST(ListState, IdleWeightIsThatOfACursorThatFollowedEveryChange) {
    const Scheduler& wrr = *find_scheduler("wrr");
    ListState s;
    Cursor follower;
    uint32_t x = 1;
    for (int i = 0; i < 1000; ++i) {
        x = x * 1664525 + 1013904223;
        const uint32_t b = (x >> 8) % 6, w = (x >> 16) % 9;
        if ((x >> 28) < 6)
            s.add(b, w);
        else if ((x >> 28) < 12)
            s.edit(b, w);
        else
            s.remove(b);
        const Published now(wrr, s);
        if (now.view.changes.empty()) continue;
        catch_up(wrr, now.view, follower, {}, {});
        EXPECT_EQ(follower.current_weight, s.changes().back().idle_weight);
        Cursor late;
        catch_up(wrr, now.view, late, {}, {});
        EXPECT_EQ(late.current_weight, follower.current_weight);
        EXPECT_EQ(late.applied, follower.applied);
    }
    EXPECT_GT(s.change_seq(), kMaxChanges) << "the log must have been cut";
}

TEST(ListState, TheLogIsBoundedAndAnOldCursorStartsAfresh) {
    Rig rig("rr");
    rig.add({1, 1, 1});
    EXPECT_EQ(rig.connect_times(2), "CB");
    for (size_t i = 0; i < kMaxChanges; ++i) rig.list.edit(0, 1);
    EXPECT_EQ(rig.list.changes().size(), kMaxChanges);
    EXPECT_EQ(rig.connect(), 'A') << "as many as the log holds";
    for (size_t i = 0; i <= kMaxChanges; ++i) rig.list.edit(0, 1);
    EXPECT_EQ(rig.connect(), 'C') << "one too many";
}

TEST(ListState, RestoredFromAGenerationItCarriesOn) {
    for (const char* name : {"rr", "wrr"}) {
        Rig through(name), restarted(name);
        for (Rig* rig : {&through, &restarted}) {
            rig->add({4, 3, 2});
            rig->connect_times(5);
            if (rig == &restarted)
                rig->list = ListState::restore(Published(rig->scheduler, rig->list).view);
            rig->list.edit(0, 6);
            rig->list.add(3, 2);
            rig->list.remove(2);
        }
        EXPECT_EQ(restarted.connect_times(20), through.connect_times(20)) << name;
    }
}

TEST(WellFormed, RefusesWhatWouldLeadAPickAstray) {
    for (const Scheduler& s : schedulers()) {
        ListState list;
        EXPECT_TRUE(well_formed(s, Published(s, list).view)) << s.name << " empty";
        list.add(0, 4);
        list.add(1, 6);
        list.add(2, 0);
        Published good(s, list);
        EXPECT_TRUE(well_formed(s, good.view)) << s.name;
        const auto refused = [&](auto&& spoil) {
            ServiceView view = good.view;
            spoil(view);
            return !well_formed(s, view);
        };
        EXPECT_TRUE(refused([](ServiceView& v) { v.gcd = 0; }));
        EXPECT_TRUE(refused([](ServiceView& v) { v.gcd = 7; }));
        EXPECT_TRUE(refused([](ServiceView& v) { v.max_weight = 7; }));
        EXPECT_TRUE(refused([](ServiceView& v) { v.change_seq = 2; }));
        EXPECT_TRUE(refused([](ServiceView& v) { v.targets = {}; }));
        const std::vector<uint32_t> short_table(255);
        EXPECT_TRUE(refused([&](ServiceView& v) { v.table = short_table; }));
        if (s.table_size == 0) continue;
        good.table[9] = 3;
        EXPECT_FALSE(well_formed(s, good.view)) << s.name;
    }
}

// A control process that lost its history may publish the same change_seq for another list.
TEST(ListState, ACursorFromAnotherListNeverReadsPastTheEnd) {
    for (const char* name : {"rr", "wrr"}) {
        Rig rig(name);
        rig.add({1, 1, 1});
        EXPECT_EQ(rig.connect_times(3), "CBA");
        rig.list = ListState();
        rig.list.add(0, 1);
        rig.list.edit(0, 1);
        rig.list.edit(0, 1);
        EXPECT_EQ(rig.connect_times(2), "AA") << name;
    }
}

}  // namespace
}  // namespace torii::scheduler
