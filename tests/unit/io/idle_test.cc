#include "dataplane/io/idle.h"

#include <gtest/gtest.h>

namespace torii::io {
namespace {

constexpr IdlePolicy kUsual{50'000, false};
constexpr IdlePolicy kWakeable{50'000, true};

TEST(Idle, LooksAgainAtOnceAfterAPacket) {
    EXPECT_EQ(rest_after(kUsual, 0).kind, Rest::Kind::none);
    EXPECT_EQ(rest_after(kWakeable, kSpinNs - 1).kind, Rest::Kind::none);
}

TEST(Idle, SleepsGrowAndNeverExceedTheLongest) {
    uint64_t before = 0;
    for (uint64_t quiet = kSpinNs; quiet < 1'000'000'000; quiet *= 2) {
        const Rest r = rest_after(kUsual, quiet);
        ASSERT_EQ(r.kind, Rest::Kind::sleep) << quiet;
        EXPECT_GE(r.ns, before);
        EXPECT_GE(r.ns, 1'000u);
        EXPECT_LE(r.ns, kUsual.longest_ns);
        before = r.ns;
    }
    EXPECT_EQ(before, kUsual.longest_ns);
}

TEST(Idle, WaitsForQueuesThatCanWakeIt) {
    EXPECT_EQ(rest_after(kWakeable, kBlockAfterNs - 1).kind, Rest::Kind::sleep);
    EXPECT_EQ(rest_after(kWakeable, kBlockAfterNs), (Rest{Rest::Kind::block, kBlockNs}));
}

TEST(Idle, PollNeverRests) {
    for (const bool can_block : {false, true})
        for (uint64_t quiet : {uint64_t(0), uint64_t(1'000'000), uint64_t(60'000'000'000)})
            EXPECT_EQ(rest_after({0, can_block}, quiet), Rest{});
}

TEST(Idle, AShorterLongestThanTheFirstStepIsKept) {
    EXPECT_LE(rest_after({1'500, false}, 1'000'000).ns, 1'500u);
}

}  // namespace
}  // namespace torii::io
