// The link header: VLAN tags kept, changed, added and taken away; neighbours not yet known.

#include <gmock/gmock.h>

#include "tests/support/world/world.h"

namespace torii::test {
namespace {

using stages::Verdict;

struct Link : testing::Test {
    Link() {
        world.backend(world.service(kVip, 80), kServer, 8080, shm::Forward::nat);
        world.backend(world.service(kVip, 81), "10.0.0.99", 81, shm::Forward::dr);
        world.backend(world.service(kVip, 82), "10.0.0.99", 8082, shm::Forward::nat);
        world.backend(world.service(kVip, 83), "10.7.0.1", 83, shm::Forward::dr);
        world.backend(world.service(kVip, 84), "10.8.0.1", 84, shm::Forward::dr);
        world.backend(world.service(kVip, 85), "172.16.0.1", 85, shm::Forward::dr);
        world.publish();
    }
    void server_vlan(uint16_t id) {
        for (auto& n : world.routes.neighbours)
            if (n.ifindex == 11) n.vlan = id;
        world.publish();
    }
    Frame in() const { return Frame().ip(kClient, kVip).tcp(40000, 80, kSyn).payload("hello"); }
    Frame out() const {
        return Frame()
            .ip(kClient, kServer)
            .ttl(63)
            .eth(kPort1Mac, kServerMac)
            .tcp(40000, 8080, kSyn)
            .payload("hello");
    }
    World world;
};

TEST_F(Link, TagsFollowTheNextHop) {
    server_vlan(0);
    EXPECT_EQ(diff(world.send(in()).frame, out().bytes()), "");
    EXPECT_EQ(diff(world.send(in().vlan(7, 5)).frame, out().bytes()), "");
    EXPECT_EQ(diff(world.send(in().vlan(9, 1, 0x88a8).vlan(7, 5)).frame, out().bytes()), "");
    server_vlan(30);
    EXPECT_EQ(diff(world.send(in()).frame, out().vlan(30).bytes()), "");
    EXPECT_EQ(diff(world.send(in().vlan(7, 5)).frame, out().vlan(30, 5).bytes()), "");
    EXPECT_EQ(diff(world.send(in().vlan(30, 5)).frame, out().vlan(30, 5).bytes()), "");
    EXPECT_EQ(diff(world.send(in().vlan(9, 1, 0x88a8).vlan(7)).frame, out().vlan(30, 1).bytes()),
              "");
    EXPECT_EQ(diff(world.send(in().vlan(9, 1, 0x88a8)).frame, out().vlan(30, 1).bytes()), "");
}

TEST_F(Link, ATagNeedsHeadroom) {
    server_vlan(30);
    EXPECT_EQ(world.send(in(), {.headroom = 4}).verdict, Verdict::nat_request);
    EXPECT_EQ(world.send(in(), {.headroom = 3, .tailroom = 64}).verdict, Verdict::drop_no_memory);
}

TEST_F(Link, AnUnknownNeighbourIsAskedForAndThePacketHeld) {
    for (uint16_t port : {81, 82}) {
        const Frame in = Frame().ip(kClient, kVip).tcp(40000, port, kSyn);
        Sent s = world.send(in);
        EXPECT_TRUE(s.held);
        EXPECT_EQ(s.verdict, Verdict::open);
        EXPECT_EQ(world.counters().waiting.get(), 1u);
        shm::Event e;
        ASSERT_TRUE(world.events().pop(e));
        EXPECT_EQ(e.kind, shm::EventKind::neighbour_wanted);
        EXPECT_EQ(e.ifindex, 11u);
        EXPECT_EQ(to_string(e.address), "10.0.0.99");
        const uint32_t entry = s.packet.entry;
        EXPECT_FALSE(world.resolve_held(s));
        const auto known = world.routes;
        world.routes.neighbours.push_back(hop("10.0.0.99", 11, 1, "02:00:00:00:01:99", kPort1Mac));
        world.publish();
        world.flows().remove(entry);  // the connection's end does not touch what waits
        world.pass(1000);
        EXPECT_TRUE(world.resolve_held(s));
        EXPECT_EQ(s.port, 1);
        const bool nat = port == 82;
        EXPECT_EQ(s.verdict, nat ? Verdict::nat_request : Verdict::direct);
        EXPECT_EQ(diff(s.frame, Frame()
                                    .ip(kClient, nat ? "10.0.0.99" : kVip)
                                    .ttl(63)
                                    .eth(kPort1Mac, "02:00:00:00:01:99")
                                    .tcp(40000, nat ? 8082 : 81, kSyn)
                                    .bytes()),
                  "");
        EXPECT_EQ(world.counters().waiting.get(), 0u);
        EXPECT_EQ(world.count(s.verdict), 1u);
        world.routes = known;
        world.publish();
        shm::Event again;
        while (world.events().pop(again)) {
        }
    }
}

TEST_F(Link, AReplyIsHeldForItsClient) {
    const char* stranger = "198.51.100.77";
    world.send(Frame().ip(stranger, kVip).tcp(40000, 80, kSyn));
    Sent s = world.send(Frame().ip(kServer, stranger).tcp(8080, 40000, kSyn | kAck), {.port = 1});
    EXPECT_TRUE(s.held);
    shm::Event e;
    ASSERT_TRUE(world.events().pop(e));
    EXPECT_EQ(to_string(e.address), stranger);
    EXPECT_EQ(e.ifindex, 10u);
    world.routes.neighbours.push_back(hop(stranger, 10, 0, "02:00:00:00:00:77", kPort0Mac));
    world.publish();
    EXPECT_TRUE(world.resolve_held(s));
    EXPECT_EQ(diff(s.frame, Frame()
                                .ip(kVip, stranger)
                                .ttl(63)
                                .eth(kPort0Mac, "02:00:00:00:00:77")
                                .tcp(80, 40000, kSyn | kAck)
                                .bytes()),
              "");
    // The connection's cached next hop was of the older generation.
    const Sent next = world.send(Frame().ip(kServer, stranger).tcp(8080, 40000, kAck), {.port = 1});
    EXPECT_EQ(next.verdict, Verdict::nat_reply);
}

TEST_F(Link, AnUnknownGatewayIsAskedForByItsOwnAddress) {
    for (auto& r : world.routes.routes)
        if (r.kind == shm::RouteKind::gateway)
            for (auto& h : r.hops) h.resolved = 0;
    world.publish();
    world.send(Frame().ip(kFarClient, kVip).tcp(40000, 80, kSyn));
    EXPECT_TRUE(
        world.send(Frame().ip(kServer, kFarClient).tcp(8080, 40000, kAck), {.port = 1}).held);
    shm::Event e;
    ASSERT_TRUE(world.events().pop(e));
    EXPECT_EQ(to_string(e.address), "198.51.100.254");
}

TEST_F(Link, EventsAreRateLimitedAndLostOnesCounted) {
    for (int i = 0; i < 300; ++i)
        EXPECT_TRUE(world.send(Frame().ip(kClient, kVip).tcp(uint16_t(i + 1000), 81, kSyn)).held);
    int events = 0;
    for (shm::Event e; world.events().pop(e);) ++events;
    EXPECT_EQ(events, 64);
    EXPECT_EQ(world.counters().events_lost.get(), 0u);
    for (int i = 0; i < 8; ++i) {
        world.pass(1000);
        for (int j = 0; j < 64; ++j)
            world.send(Frame().ip(kClient, kVip).tcp(uint16_t(j + 1000), 81, kSyn));
    }
    EXPECT_EQ(world.counters().events_lost.get(), 8u * 64 - shm::kEventSlots);
}

TEST_F(Link, ANeighbourThatStaysSilentIsADrop) {
    Sent s = world.send(Frame().ip(kClient, kVip).tcp(40000, 81, kSyn));
    world.abandon_held(s);
    EXPECT_EQ(s.verdict, Verdict::drop_no_neighbour);
    EXPECT_EQ(world.count(Verdict::drop_no_neighbour), 1u);
    EXPECT_EQ(world.counters().waiting.get(), 0u);
}

TEST_F(Link, NoRouteAndNoPortAreNamed) {
    EXPECT_EQ(world.send(Frame().ip(kClient, kVip).tcp(1, 83, kSyn)).verdict,
              Verdict::drop_no_port);
    EXPECT_EQ(world.send(Frame().ip(kClient, kVip).tcp(1, 84, kSyn)).verdict,
              Verdict::drop_no_route);
    EXPECT_EQ(world.send(Frame().ip(kClient, kVip).tcp(1, 85, kSyn)).verdict,
              Verdict::drop_no_route);
    world.send(Frame().ip("100.64.0.1", kVip).tcp(1, 80, kSyn));
    EXPECT_EQ(world.send(Frame().ip(kServer, "100.64.0.1").tcp(8080, 1, kAck), {.port = 1}).verdict,
              Verdict::drop_no_route);
}

}  // namespace
}  // namespace torii::test
