// Who is the least loaded, kept up to date a connection at a time, where more than load decides:
// thresholds, weights, and lists that change between two packets.

#include <gtest/gtest.h>

#include "tests/support/world/world.h"

namespace torii::test {
namespace {

using shm::Forward;

struct Standing : testing::Test {
    uint32_t service(const char* vip, const char* scheduler = "wlc") {
        return world.service(vip, 80, Protocol::tcp, scheduler);
    }
    uint32_t add(uint32_t service, uint32_t weight = 1) {
        return world.backend(service, kServer, uint16_t(8000 + world.services.backends.size()),
                             Forward::nat, weight);
    }
    /// The backend slot of a new connection.
    uint32_t connect(const char* vip = kVip) {
        return world.send(Frame().ip(kClient, vip).tcp(++port, 80, kSyn)).packet.backend;
    }
    void reset(uint16_t which) {  // of a connection that only began, LVS takes none
        for (const uint8_t flags : {kAck, kRst})
            world.send(Frame().ip(kClient, kVip).tcp(which, 80, flags));
    }
    static constexpr const char* kOther = "192.0.2.77";
    World world;
    uint16_t port = 40000;
};

TEST_F(Standing, ATargetAtItsThresholdGetsNoMoreHoweverIdleForItsWeight) {
    const uint32_t s = service(kVip);
    const uint32_t light = add(s, 1), heavy = add(s, 1000);
    world.services.backends[heavy].record.upper = 3;
    world.services.backends[heavy].record.lower = 2;
    world.publish();
    EXPECT_EQ(connect(), heavy);  // the newest comes first
    EXPECT_EQ(connect(), light);
    EXPECT_EQ(connect(), heavy);
    EXPECT_EQ(connect(), heavy);
    EXPECT_EQ(connect(), light) << "the third made it full";
    EXPECT_EQ(connect(), light);
    reset(40001);
    world.pass(11'000);
    EXPECT_EQ(connect(), light) << "two are not fewer than the lower threshold";
    reset(40003);
    world.pass(11'000);
    EXPECT_EQ(connect(), heavy) << "one is";
    world.services.backends[heavy].record.upper = 0;
    world.publish();
    for (int i = 0; i < 5; ++i) EXPECT_EQ(connect(), heavy) << "without a threshold";
}

TEST_F(Standing, WeightsThatChangeCountFromTheNextConnectionOn) {
    const uint32_t s = service(kVip);
    const uint32_t a = add(s, 1), b = add(s, 1);
    world.publish();
    EXPECT_EQ(connect(), b);  // the newest comes first
    EXPECT_EQ(connect(), a);
    world.edit_backend(a, 10);
    world.publish();
    for (int i = 0; i < 9; ++i) EXPECT_EQ(connect(), a) << i;
    world.edit_backend(a, 0);
    world.publish();
    EXPECT_EQ(connect(), b);
    EXPECT_EQ(connect(), b);
}

// A slot that was in this list in the former view, and is in another one now, changes nothing here.
TEST_F(Standing, WhatWasInTheListBeforeDoesNotTakeAnothersPlace) {
    const uint32_t s = service(kVip, "lc"), other = service(kOther, "lc");
    const uint32_t a = add(s), b = add(s), away = add(s);
    add(other);
    world.publish();
    for (int i = 0; i < 2; ++i)
        for (const uint32_t want : {away, b, a}) EXPECT_EQ(connect(), want);
    world.remove_backend(away);
    world.publish();
    world.services.backends[away].record.service = other;
    world.restore_backend(away, 1);
    world.publish();
    EXPECT_EQ(connect(), b) << "the ranking of this view is made";
    EXPECT_EQ(connect(), a);
    reset(40001);  // of the one that is away, which was the first in the list
    reset(40003);  // of a, which has one less than b now
    EXPECT_EQ(connect(), a);
    EXPECT_EQ(connect(), b);
}

}  // namespace
}  // namespace torii::test
