// Sync groups: what an event for one member makes the others do.

#include "vrrp/group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/vrrp/words.h"

namespace torii::vrrp {
namespace {

using namespace std::chrono_literals;

constexpr Time kT0{1000s};
constexpr Duration kDown = 3'609'375us;  // of priority 100 and 1 s
Address ip(std::string_view text) { return parse_address(text).value(); }
Advert heard(int priority) { return {uint8_t(priority), 1s, ip("192.0.2.3"), false}; }

/// Two members that began at kT0, as backups.
class Pair {
public:
    explicit Pair(size_t size = 2) : settings(size), members(size) {
        for (size_t i = 0; i < size; ++i) {
            settings[i].grouped = size > 1;
            settings[i].local = ip("192.0.2.2");
            members[i].settings = &settings[i];
            at(0s, i, Start{});
            at(0s, i, Ready{});
        }
    }
    /// "0 advert 100, hold; 1 advert 100, hold"
    std::string at(Duration after, size_t member, const Event& event) {
        std::vector<MemberActions> done;
        step_group(members, member, event, kT0 + after, done);
        std::string all;
        for (const MemberActions& m : done)
            all += fmt::format("{}{} {}", all.empty() ? "" : "; ", m.member, words(m.actions));
        return all;
    }
    void become_active() {
        at(kDown, 0, Tick{});
        at(kDown, 1, Tick{});
        ASSERT_EQ(roles(), "active active");
    }
    std::string roles() const {
        std::string all;
        for (const Member& m : members)
            all += (all.empty() ? "" : " ") + std::string(to_string(m.state.role));
        return all;
    }
    std::vector<Settings> settings;
    std::vector<Member> members;
};

TEST(Group, BecomesActiveOnlyWhenAllMay) {
    Pair pair;
    EXPECT_EQ(pair.at(kDown, 0, Tick{}), "");
    EXPECT_EQ(pair.roles(), "backup backup");
    EXPECT_EQ(pair.at(kDown + 1ms, 1, Tick{}),
              "0 advert 100, hold, announce 5, active: group_active; "
              "1 advert 100, hold, announce 5, active: group_active");
}

TEST(Group, ACutOnOneSideMovesNothing) {
    Pair pair;
    for (int s = 1; s < 60; ++s) {
        EXPECT_EQ(pair.at(std::chrono::seconds(s), 0, heard(200)), "");
        EXPECT_EQ(pair.at(std::chrono::seconds(s), 1, Tick{}), "");
    }
    EXPECT_EQ(pair.roles(), "backup backup");
    EXPECT_TRUE(pair.members[1].state.wants);
    EXPECT_EQ(pair.at(60s, 1, heard(200)), "") << "heard again";
    EXPECT_EQ(pair.at(59s + kDown, 0, Tick{}), "");
    EXPECT_EQ(pair.roles(), "backup backup");
}

TEST(Group, AWeakerRouterDoesNotEndTheWish) {
    Pair pair;
    pair.at(kDown, 0, Tick{});
    pair.at(kDown, 0, heard(50));
    EXPECT_NE(pair.at(kDown, 1, Tick{}), "");
    EXPECT_EQ(pair.roles(), "active active");
}

TEST(Group, AResigningRouterDoesNotEndTheWish) {
    Pair pair;
    pair.at(kDown, 0, Tick{});
    pair.at(kDown, 0, heard(0));
    EXPECT_NE(pair.at(kDown, 1, Tick{}), "");
    EXPECT_EQ(pair.roles(), "active active");
}

TEST(Group, OneThatGivesWayTakesAllWithIt) {
    Pair pair;
    pair.become_active();
    EXPECT_EQ(pair.at(4s, 1, heard(200)),
              "1 advert 100, release, backup: stronger; 0 advert 0, release, backup: group_backup");
}

TEST(Group, AStallIsASilentStepAside) {
    Pair pair;
    pair.become_active();
    EXPECT_EQ(pair.at(60s, 1, Tick{}), "1 release, backup: stalled; 0 release, backup: stalled");
}

TEST(Group, AFaultIsEverybodys) {
    Pair pair;
    pair.become_active();
    EXPECT_EQ(pair.at(4s, 0, Fault{true}),
              "0 advert 0, release, fault: fault; 1 advert 0, release, fault: group_fault");
    EXPECT_EQ(pair.at(5s, 1, Fault{true}), "") << "one more";
    EXPECT_EQ(pair.at(6s, 0, Fault{false}), "") << "the other is still there";
    EXPECT_EQ(pair.at(7s, 1, Fault{false}), "1 backup: fault_over; 0 backup: fault_over");
}

TEST(Group, OwnersWaitForEachOther) {
    Pair pair;
    for (Settings& s : pair.settings) s.priority = 255;
    pair.at(1s, 0, Stop{});
    pair.at(1s, 1, Stop{});
    for (size_t i : {0, 1}) pair.at(1s, i, Start{});
    EXPECT_EQ(pair.at(1s, 0, Ready{}), "0 backup: started");
    EXPECT_EQ(pair.at(1s, 1, Ready{}),
              "1 backup: started; 0 advert 255, hold, announce 5, active: group_active; "
              "1 advert 255, hold, announce 5, active: group_active");
}

TEST(Group, ANewMemberOfAnActiveGroupJoinsWithoutDisturbingIt) {
    Pair pair;
    pair.become_active();
    pair.settings.emplace_back().grouped = true;
    pair.members.emplace_back();
    for (size_t i = 0; i < 3; ++i) pair.members[i].settings = &pair.settings[i];
    EXPECT_EQ(pair.at(5s, 2, Start{}), "2 release");
    EXPECT_EQ(pair.at(5s, 2, Ready{}), "2 backup: started");
    for (int s = 5; s < 9; ++s)
        for (size_t i : {0, 1}) pair.at(std::chrono::seconds(s), i, Tick{});
    EXPECT_EQ(pair.at(5s + kDown, 2, Tick{}),
              "2 advert 100, hold, announce 5, active: group_active");
    EXPECT_EQ(pair.roles(), "active active active");
}

TEST(Group, MembersStopOneByOne) {
    Pair pair;
    pair.become_active();
    EXPECT_EQ(pair.at(4s, 0, Stop{}), "0 advert 0");
    EXPECT_EQ(pair.at(4s, 1, Stop{}), "1 advert 0");
    EXPECT_EQ(pair.at(4010ms, 0, heard(90)), "");
    EXPECT_EQ(pair.at(4030ms, 0, Tick{}), "0 release, initialize: stopped");
    EXPECT_EQ(pair.at(4030ms, 1, Tick{}), "") << "serves until it hears the next one too";
    EXPECT_EQ(pair.at(5s, 1, Tick{}), "1 release, initialize: stopped");
}

TEST(Group, OfOneDecidesAlone) {
    Pair alone(1);
    EXPECT_EQ(alone.at(kDown, 0, Tick{}), "0 advert 100, hold, announce 5, active: silence");
    EXPECT_EQ(wakeup(std::span<const Member>(alone.members)), kT0 + kDown + 1s);
}

}  // namespace
}  // namespace torii::vrrp
