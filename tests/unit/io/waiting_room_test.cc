#include "dataplane/io/waiting_room.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace torii::io {
namespace {

using stages::Packet;
using testing::ElementsAre;

Packet numbered(uint16_t n) {
    Packet p;
    p.length = n;
    return p;
}

TEST(WaitingRoom, TakesAsManyAsItHasRoomForAndNoMore) {
    WaitingRoom room;
    for (size_t i = 0; i < WaitingRoom::kCapacity; ++i)
        ASSERT_TRUE(room.admit(numbered(uint16_t(i)), 0));
    EXPECT_FALSE(room.admit(numbered(9999), 0));
    EXPECT_EQ(room.size(), WaitingRoom::kCapacity);
}

TEST(WaitingRoom, RetryKeepsTheOthersInOrder) {
    WaitingRoom room;
    for (uint16_t i = 0; i < 6; ++i) room.admit(numbered(i), i);
    std::vector<uint16_t> left;
    room.retry([&](Packet& p) {
        if (p.length % 2) left.push_back(p.length);
        return p.length % 2 == 1;
    });
    EXPECT_THAT(left, ElementsAre(1, 3, 5));
    std::vector<uint16_t> stayed;
    room.retry([&](Packet& p) {
        stayed.push_back(p.length);
        return false;
    });
    EXPECT_THAT(stayed, ElementsAre(0, 2, 4));
}

TEST(WaitingRoom, PatienceEndsAtTheDeadlineAndNotBefore) {
    WaitingRoom room;
    room.admit(numbered(1), 100);
    room.admit(numbered(2), 200);
    std::vector<uint16_t> gone;
    const auto note = [&](Packet& p) { gone.push_back(p.length); };
    room.expire(100 + WaitingRoom::kPatienceUs - 1, note);
    EXPECT_TRUE(gone.empty());
    room.expire(100 + WaitingRoom::kPatienceUs, note);
    EXPECT_THAT(gone, ElementsAre(1));
    EXPECT_EQ(room.size(), 1u);
    room.expire(~0ull, note);
    EXPECT_THAT(gone, ElementsAre(1, 2));
    EXPECT_TRUE(room.empty());
}

}  // namespace
}  // namespace torii::io
