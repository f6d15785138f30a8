// The mirror against a real kernel, in a network namespace of its own.

#include "control/kernel/mirror.h"

#include <gmock/gmock.h>

#include "tests/unit/kernel/netns.h"

namespace torii::kernel::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class MirrorTest : public InNamespace {};

TEST_F(MirrorTest, LinksComeChangeAndGo) {
    auto mirror = open_mirror();
    ASSERT_NE(find_link(mirror->snapshot(), "lo"), nullptr);
    EXPECT_TRUE(find_link(mirror->snapshot(), "lo")->loopback);

    add_link("d0", "address 02:00:00:00:00:07 mtu 1400");
    run("ip link add br0 type bridge && ip link set d0 master br0");
    ASSERT_TRUE(eventually(*mirror, [](auto& s) {
        auto* d0 = find_link(s, "d0");
        return d0 && d0->master;
    }));
    const Link d0 = *find_link(mirror->snapshot(), "d0");
    EXPECT_EQ(to_string(d0.mac), "02:00:00:00:00:07");
    EXPECT_EQ(d0.mtu, 1400u);
    EXPECT_FALSE(d0.up);
    EXPECT_EQ(d0.master, find_link(mirror->snapshot(), "br0")->ifindex);
    EXPECT_EQ(find_link(mirror->snapshot(), d0.ifindex)->name, "d0");

    run("ip link set d0 nomaster && ip link set d0 up");
    ASSERT_TRUE(eventually(*mirror, [](auto& s) {
        auto* link = find_link(s, "d0");
        return link && link->up && !link->master;
    })) << "leaving a bridge must not look like the end of the link";
    run("ip link set d0 down && ip link set d0 name e0 && ip link del e0");
    ASSERT_TRUE(eventually(*mirror, [](auto& s) { return s.links.size() == 2; }));
    EXPECT_EQ(mirror->snapshot(), open_mirror()->snapshot());
}

TEST_F(MirrorTest, AddressesComeAndGo) {
    auto mirror = open_mirror();
    add_link_up("d0");
    run("ip addr add 192.0.2.7/24 dev d0 && ip addr add 2001:db8::7/64 dev d0 nodad");
    ASSERT_TRUE(eventually(*mirror, [](auto& s) {
        return is_local(s, addr("192.0.2.7")) && is_local(s, addr("2001:db8::7"));
    }));
    EXPECT_FALSE(is_local(mirror->snapshot(), addr("192.0.2.8")));
    run("ip addr del 192.0.2.7/24 dev d0 && ip addr del 2001:db8::7/64 dev d0");
    ASSERT_TRUE(eventually(*mirror, [](auto& s) {
        return !is_local(s, addr("192.0.2.7")) && !is_local(s, addr("2001:db8::7"));
    }));
}

TEST_F(MirrorTest, RoutesOfBothFamilies) {
    add_link_up("d0");
    run("ip addr add 10.0.0.1/24 dev d0 && ip addr add 2001:db8::1/64 dev d0 nodad");
    auto mirror = open_mirror();
    const uint32_t d0 = find_link(mirror->snapshot(), "d0")->ifindex;
    ASSERT_NE(find_route(mirror->snapshot(), "10.0.0.0/24", 0), nullptr);

    run("ip route add 198.51.100.0/24 via 10.0.0.9 metric 20 src 10.0.0.1 mtu 1300");
    run("ip route add 198.51.101.0/24 nexthop via 10.0.0.3 weight 2 nexthop via 10.0.0.4");
    run("ip route add 198.51.102.0/24 via inet6 2001:db8::9");
    run("ip route add blackhole 198.51.103.0/24");
    run("ip route add 198.51.104.0/24 via 10.0.0.9 table 77");
    run("ip -6 route add 2001:db8:5::/48 nexthop via 2001:db8::9 nexthop via 2001:db8::8");
    run("ip -6 route add unreachable 2001:db8:6::/48 metric 5");
    ASSERT_TRUE(eventually(*mirror,
                           [](auto& s) { return find_route(s, "2001:db8:6::/48", 5) != nullptr; }));

    const Snapshot& s = mirror->snapshot();
    const Route* plain = find_route(s, "198.51.100.0/24", 20);
    ASSERT_NE(plain, nullptr);
    EXPECT_THAT(plain->hops, ElementsAre(Hop{d0, addr("10.0.0.9"), 1}));
    EXPECT_EQ(plain->preferred_source, addr("10.0.0.1"));
    EXPECT_EQ(plain->mtu, 1300u);
    EXPECT_THAT(find_route(s, "198.51.101.0/24", 0)->hops,
                ElementsAre(Hop{d0, addr("10.0.0.3"), 2}, Hop{d0, addr("10.0.0.4"), 1}));
    EXPECT_THAT(find_route(s, "198.51.102.0/24", 0)->hops,
                ElementsAre(Hop{d0, addr("2001:db8::9"), 1}));
    EXPECT_EQ(find_route(s, "198.51.103.0/24", 0)->type, RouteType::blackhole);
    EXPECT_EQ(find_route(s, "198.51.104.0/24", 0), nullptr) << "another table's";
    EXPECT_THAT(find_route(s, "2001:db8:5::/48", 1024)->hops, SizeIs(2));
    EXPECT_EQ(find_route(s, "2001:db8:6::/48", 5)->type, RouteType::unreachable);
    EXPECT_EQ(s, open_mirror()->snapshot());
}

TEST_F(MirrorTest, ReplacedAppendedAndPartlyDeletedRoutes) {
    add_link_up("d0");
    run("ip addr add 10.0.0.1/24 dev d0 && ip addr add 2001:db8::1/64 dev d0 nodad");
    auto mirror = open_mirror();
    const char* const steps[] = {
        "ip route add 198.51.100.0/24 via 10.0.0.2",
        "ip route append 198.51.100.0/24 via 10.0.0.3",
        "ip route prepend 198.51.100.0/24 via 10.0.0.4",
        "ip route replace 198.51.100.0/24 via 10.0.0.5",
        "ip route del 198.51.100.0/24 via 10.0.0.2",
        "ip route replace 198.51.100.0/24 via 10.0.0.6",
        "ip route del 198.51.100.0/24",
        "ip -6 route add 2001:db8:5::/48 via 2001:db8::2",
        "ip -6 route append 2001:db8:5::/48 via 2001:db8::3",
        "ip -6 route append 2001:db8:5::/48 via 2001:db8::4",
        "ip -6 route del 2001:db8:5::/48 via 2001:db8::3",
        "ip -6 route replace 2001:db8:5::/48 via 2001:db8::6",
        "ip -6 route append 2001:db8:5::/48 dev d0",
        "ip -6 route replace 2001:db8:5::/48 via 2001:db8::7",
        "ip -6 route del 2001:db8:5::/48 via 2001:db8::7",
        "ip nexthop add id 7 via 10.0.0.8 dev d0",
        "ip route add 198.51.105.0/24 nhid 7",
        "ip nexthop replace id 7 via 10.0.0.9 dev d0",
        "ip nexthop del id 7",
    };
    for (const char* step : steps) {
        run(step);
        ASSERT_TRUE(eventually(*mirror, [](auto& s) { return s == open_mirror()->snapshot(); }))
            << "after: " << step;
    }
}

// The kernel drops IPv4 routes of a link that went down, and those of a source address that went,
// without a word.
TEST_F(MirrorTest, RoutesThatGoSilently) {
    add_link_up("d0");
    add_link_up("d1");
    run("ip addr add 10.0.0.1/24 dev d0 && ip addr add 10.0.1.1/24 dev d1 && "
        "ip addr add 10.0.2.1/24 dev d1");
    run("ip route add 198.51.100.0/24 via 10.0.0.2 && "
        "ip route add 198.51.101.0/24 nexthop via 10.0.0.2 nexthop via 10.0.1.2 && "
        "ip route add 198.51.102.0/24 via 10.0.1.2 src 10.0.2.1");
    auto mirror = open_mirror();
    ASSERT_THAT(find_route(mirror->snapshot(), "198.51.101.0/24", 0)->hops, SizeIs(2));
    run("ip link set d0 down");
    ASSERT_TRUE(eventually(*mirror, [](auto& s) { return !find_route(s, "198.51.100.0/24", 0); }));
    EXPECT_THAT(find_route(mirror->snapshot(), "198.51.101.0/24", 0)->hops, SizeIs(1));
    EXPECT_EQ(mirror->snapshot(), open_mirror()->snapshot());
    run("ip link set d0 up");
    ASSERT_TRUE(eventually(
        *mirror, [](auto& s) { return find_route(s, "198.51.101.0/24", 0)->hops.size() == 2; }));
    run("ip addr del 10.0.2.1/24 dev d1");
    ASSERT_TRUE(eventually(*mirror, [](auto& s) { return !find_route(s, "198.51.102.0/24", 0); }));
    run("ip link del d1");
    ASSERT_TRUE(eventually(*mirror, [](auto& s) { return s == open_mirror()->snapshot(); }));
}

TEST_F(MirrorTest, NeighboursAreLearntAndFail) {
    join();
    auto mirror = open_mirror();
    const uint32_t v0 = find_link(mirror->snapshot(), "v0")->ifindex;
    run("ip neigh add 10.1.0.2 dev v0 use");
    run("ip -6 neigh add 2001:db8:1::2 dev v0 use");
    run("ip neigh add 10.1.0.99 dev v0 use");
    const auto learnt = [&](const char* who) {
        return eventually(*mirror, [&](auto& s) {
            auto* n = find_neighbour(s, v0, addr(who));
            return n && n->usable && !n->failed && !n->mac.is_zero();
        });
    };
    EXPECT_TRUE(learnt("10.1.0.2"));
    EXPECT_TRUE(learnt("2001:db8:1::2"));
    EXPECT_TRUE(eventually(*mirror, [&](auto& s) {
        auto* n = find_neighbour(s, v0, addr("10.1.0.99"));
        return n && n->failed && !n->usable;
    }));
    run("ip neigh flush dev v0 2>/dev/null; ip neigh del 10.1.0.2 dev v0 2>/dev/null || true");
    EXPECT_TRUE(eventually(*mirror, [&](auto& s) {
        auto* n = find_neighbour(s, v0, addr("10.1.0.2"));
        return !n || !n->usable;
    }));
}

TEST_F(MirrorTest, NothingRelevantIsNoChange) {
    add_link_up("d0");
    run("ip addr add 10.0.0.1/24 dev d0");
    run("ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev d0 nud reachable");
    auto mirror = open_mirror();
    // The carrier is announced a moment after the link was set up.
    ASSERT_TRUE(eventually(*mirror, [](auto& state) {
        return find_link(state, "d0")->up && find_link(state, "d0p")->up;
    }));
    const Snapshot before = mirror->snapshot();
    for (const char* step :
         {"ip neigh change 10.0.0.2 lladdr 02:00:00:00:00:02 dev d0 nud stale",
          "ip neigh change 10.0.0.2 lladdr 02:00:00:00:00:02 dev d0 nud delay",
          "ip route add 198.51.100.0/24 via 10.0.0.2 table 99", "ip link set d0 txqueuelen 77"}) {
        run(step);
        pollfd waiting{mirror->fd(), POLLIN, 0};
        ASSERT_EQ(poll(&waiting, 1, 5000), 1) << "the kernel said nothing about: " << step;
        const auto changed = mirror->process();
        ASSERT_TRUE(changed) << changed.error().message;
        EXPECT_FALSE(*changed) << step;
    }
    EXPECT_EQ(before, mirror->snapshot());
    run("ip neigh change 10.0.0.2 lladdr 02:00:00:00:00:03 dev d0 nud reachable");
    EXPECT_TRUE(*mirror->process()) << "another MAC is a change";
    EXPECT_FALSE(*mirror->process());
}

std::string flood(const char* verb, int count) {
    std::string lines;
    for (int i = 0; i < count; ++i)
        lines += "route " + std::string(verb) + " 100." + std::to_string(i >> 16) + "." +
                 std::to_string((i >> 8) & 255) + "." + std::to_string(i & 255) +
                 "/32 via 10.0.0.2\n";
    return lines;
}

TEST_F(MirrorTest, FloodOfRoutesAndBack) {
    add_link_up("d0");
    run("ip addr add 10.0.0.1/24 dev d0");
    auto mirror = open_mirror();
    const size_t before = mirror->snapshot().routes.size();
    run_batch(flood("add", 20000));
    ASSERT_TRUE(eventually(*mirror, [&](auto& s) { return s.routes.size() == before + 20000; }));
    EXPECT_EQ(mirror->snapshot(), open_mirror()->snapshot());
    run_batch(flood("del", 15000));
    ASSERT_TRUE(eventually(*mirror, [&](auto& s) { return s.routes.size() == before + 5000; }));
    EXPECT_EQ(mirror->snapshot(), open_mirror()->snapshot());
    EXPECT_EQ(mirror->overruns(), 0u);
}

TEST_F(MirrorTest, RecoversFromAnOverrun) {
    add_link_up("d0");
    run("ip addr add 10.0.0.1/24 dev d0");
    auto mirror = open_mirror({.receive_buffer = 1});  // the kernel's minimum
    const size_t before = mirror->snapshot().routes.size();
    run_batch(flood("add", 3000));
    run_batch(flood("del", 1000));
    add_link_up("d1");
    run("ip addr add 10.0.1.1/24 dev d1");
    ASSERT_TRUE(eventually(*mirror, [](auto& s) { return s == open_mirror()->snapshot(); }));
    EXPECT_EQ(mirror->snapshot().routes.size(), before + 2001);
    EXPECT_GT(mirror->overruns(), 0u) << "nothing was lost: this run proved nothing";
}

TEST_F(MirrorTest, LinksVanishWhileItReads) {
    auto churn = popen(
        "for i in $(seq 40); do ip link add a$i type veth peer name b$i; ip link set a$i up; "
        "ip addr add 10.9.$i.1/24 dev a$i; ip link del a$i; done",
        "r");
    ASSERT_NE(churn, nullptr);
    size_t opened = 0;
    auto steady = open_mirror();
    char end;
    fcntl(fileno(churn), F_SETFL, O_NONBLOCK);
    while (read(fileno(churn), &end, 1) != 0) {
        ASSERT_TRUE(Mirror::open());
        ASSERT_TRUE(steady->process());
        ++opened;
    }
    ASSERT_EQ(pclose(churn), 0);
    EXPECT_GT(opened, 10u);
    EXPECT_TRUE(eventually(*steady, [](auto& s) { return s == open_mirror()->snapshot(); }));
    EXPECT_THAT(steady->snapshot().links, SizeIs(1));
}

TEST_F(MirrorTest, WithoutIpv6) {
    run("echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6");
    run("echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
    add_link_up("d0");
    run("ip addr add 10.0.0.1/24 dev d0");
    auto mirror = open_mirror();
    EXPECT_TRUE(is_local(mirror->snapshot(), addr("10.0.0.1")));
    EXPECT_FALSE(is_local(mirror->snapshot(), addr("::1")));
}

}  // namespace
}  // namespace torii::kernel::testing
