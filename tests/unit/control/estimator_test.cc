// Rates as IPVS estimates them.
#include "control/estimator.h"

#include <gtest/gtest.h>

namespace torii::control {
namespace {

TEST(Estimator, MovesAQuarterOfTheWayEveryTwoSeconds) {
    Slots slots;
    slots.services.resize(1);
    slots.services.edit(0).generation = 1;
    Estimator e;
    std::vector<Usage> services(1);
    const auto tick = [&](uint64_t packets, uint64_t bytes) {
        services[0].counted.in_packets += packets;
        services[0].counted.in_bytes += bytes;
        e.tick(services, {}, slots);
        return std::pair(e.service(0).in_packets, e.service(0).in_bytes);
    };
    // 100 packets and 6400 bytes a second: 25, 43.75, 57.8 ... rounded as the kernel does.
    EXPECT_EQ(tick(200, 12800), std::pair(uint64_t{25}, uint64_t{1600}));
    EXPECT_EQ(tick(200, 12800), std::pair(uint64_t{44}, uint64_t{2800}));
    EXPECT_EQ(tick(200, 12800), std::pair(uint64_t{58}, uint64_t{3700}));
    for (int i = 0; i < 60; ++i) tick(200, 12800);
    EXPECT_EQ(e.service(0).in_packets, 100u);
    EXPECT_EQ(tick(0, 0).first, 75u);
    e.zero_service(0, services[0].counted);
    EXPECT_EQ(e.service(0).in_packets, 0u);
    EXPECT_EQ(tick(200, 0).first, 25u);
}

TEST(Estimator, ASlotsFormerOwnerDoesNotCount) {
    Slots slots;
    slots.backends.resize(1);
    slots.backends.edit(0).generation = 1;
    Estimator e;
    std::vector<Usage> backends(1);
    backends[0].counted.connections = 1000;
    e.tick({}, backends, slots);
    EXPECT_EQ(e.backend(0).connections, 125u);
    slots.backends.edit(0).generation = 2;
    slots.backends.edit(0).base.connections = 1000;
    e.tick({}, backends, slots);
    EXPECT_EQ(e.backend(0).connections, 0u);
    EXPECT_EQ(e.backend(7), api::Rates{});
}

}  // namespace
}  // namespace torii::control
