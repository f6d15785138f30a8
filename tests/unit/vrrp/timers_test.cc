// How long a router waits: RFC 5798 section 6.1.

#include <gtest/gtest.h>

#include "tests/unit/vrrp/machine.h"

namespace torii::vrrp {
namespace {

Settings with(int priority, uint32_t missed, int version = 3) {
    Settings s = settings();
    s.priority = uint8_t(priority);
    s.missed_adverts = missed;
    s.version = uint8_t(version);
    return s;
}

TEST(Timers, SkewIsShorterForStrongerRouters) {
    EXPECT_EQ(skew_time(with(1, 3), 256ms), 255ms);
    EXPECT_EQ(skew_time(with(254, 3), 256ms), 2ms);
    EXPECT_EQ(skew_time(with(128, 3, 2), 256ms), 500ms);  // version 2: of a second
    EXPECT_EQ(down_interval(with(128, 3), 100ms), 350ms);
    EXPECT_EQ(down_interval(with(128, 1), 100ms), 150ms);
}

TEST(Timers, AStallIsWhatPeersWouldNotWaitFor) {
    EXPECT_EQ(patience(with(100, 3), 100ms), 200ms);
    EXPECT_EQ(patience(with(100, 2), 100ms), 100ms);
    EXPECT_EQ(patience(with(100, 1), 100ms), 50ms);  // of one advert nothing would be left
}

}  // namespace
}  // namespace torii::vrrp
