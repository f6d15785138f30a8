// What the kernel says becomes next hops on ports.
#include "control/compile_routes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace torii::control {
namespace {

using kernel::RouteType;
using shm::RouteKind;

Address ip(std::string_view text) { return *parse_address(text); }
Prefix net(std::string_view text) { return *parse_prefix(text); }
Mac mac(uint8_t last) { return Mac{{2, 0, 0, 0, 0, last}}; }

// eth0 (2) is port 0, eth1 (3) is port 1; eth0.7 (4) is a VLAN on eth0, br0 (5) has no port.
struct Routes : testing::Test {
    Routes() {
        s.links = {{1, "lo", {}, 65536, true, true, {}, 0},
                   {2, "eth0", mac(2), 1500, true, false, {}, 0},
                   {3, "eth1", mac(3), 9000, true, false, {}, 0},
                   {4, "eth0.7", mac(4), 1496, true, false, kernel::Vlan{2, 7, 0x8100}, 0},
                   {5, "br0", mac(5), 1500, true, false, {}, 0},
                   {6, "eth0.7.8", mac(6), 1492, true, false, kernel::Vlan{4, 8, 0x8100}, 0}};
        for (uint32_t i = 0; i < 2; ++i) {
            shm::PortInfo p{};
            p.ifindex = 2 + i;
            p.mac = mac(uint8_t(20 + i));
            ports.push_back(p);
        }
    }
    shm::Routes view() {
        const auto built = shm::build(compile(s, ports));
        EXPECT_TRUE(built) << built.error().message;
        bytes = *built;
        const auto v = shm::Routes::view(bytes);
        EXPECT_TRUE(v) << v.error().message;
        return *v;
    }
    kernel::Snapshot s;
    std::vector<shm::PortInfo> ports;
    std::vector<std::byte> bytes;
};

TEST_F(Routes, DevicesMapToPortsAndVlans) {
    EXPECT_EQ(attachment(s, ports, 2).port, 0);
    EXPECT_EQ(attachment(s, ports, 3).port, 1);
    EXPECT_EQ(attachment(s, ports, 4).port, 0);
    EXPECT_EQ(attachment(s, ports, 4).vlan, 7);
    EXPECT_EQ(attachment(s, ports, 4).mac, mac(4));
    EXPECT_EQ(attachment(s, ports, 5).port, shm::kNoPort);
    EXPECT_EQ(attachment(s, ports, 6).port, shm::kNoPort);
    EXPECT_EQ(attachment(s, ports, 99).port, shm::kNoPort);
    s.links[3].vlan->tpid = 0x88a8;
    EXPECT_EQ(attachment(s, ports, 4).port, shm::kNoPort);
}

TEST_F(Routes, AGatewayIsResolvedThroughItsNeighbour) {
    s.routes = {{net("0.0.0.0/0"), 0, RouteType::unicast, {}, 0, {{2, ip("192.0.2.254"), 1}}}};
    s.neighbours = {{2, ip("192.0.2.254"), mac(9), true, false}};
    const shm::Routes r = view();
    const auto found = r.lookup(ip("198.51.100.1"), 0);
    EXPECT_EQ(found.kind, RouteKind::gateway);
    EXPECT_TRUE(found.resolved);
    const shm::NextHop& hop = r.next_hops[found.next_hop];
    EXPECT_EQ(hop.destination, mac(9));
    EXPECT_EQ(hop.source, mac(2));
    EXPECT_EQ(hop.port, 0);
    EXPECT_EQ(hop.mtu, 1500u);
    s.neighbours[0].usable = false;
    EXPECT_FALSE(view().lookup(ip("198.51.100.1"), 0).resolved);
}

TEST_F(Routes, AConnectedDestinationIsItsOwnNeighbour) {
    s.routes = {{net("10.0.7.0/24"), 0, RouteType::unicast, {}, 1400, {{4, {}, 1}}}};
    s.neighbours = {{4, ip("10.0.7.1"), mac(9), true, false}};
    const shm::Routes r = view();
    const auto found = r.lookup(ip("10.0.7.1"), 0);
    EXPECT_TRUE(found.resolved);
    EXPECT_EQ(r.next_hops[found.next_hop].vlan, 7);
    const auto unknown = r.lookup(ip("10.0.7.2"), 0);
    EXPECT_EQ(unknown.kind, RouteKind::connected);
    EXPECT_FALSE(unknown.resolved);
    EXPECT_EQ(r.next_hops[unknown.next_hop].mtu, 1400u);
    EXPECT_EQ(r.next_hops[unknown.next_hop].port, 0);
}

TEST_F(Routes, MultipathHopsAreRepeatedByWeightAndDownLinksPassedOver) {
    s.routes = {{net("10.9.0.0/16"),
                 0,
                 RouteType::unicast,
                 {},
                 0,
                 {{2, ip("192.0.2.1"), 10}, {3, ip("192.0.3.1"), 30}}}};
    auto d = compile(s, ports);
    ASSERT_EQ(d.routes[0].hops.size(), 4u);
    EXPECT_EQ(std::ranges::count(d.routes[0].hops, 3u, &shm::NextHop::ifindex), 3);
    s.links[2].up = false;
    d = compile(s, ports);
    ASSERT_EQ(d.routes[0].hops.size(), 1u);
    EXPECT_EQ(d.routes[0].hops[0].ifindex, 2u);
}

TEST_F(Routes, WeightsThatHaveNothingInCommonStayWithinBounds) {
    s.routes = {{net("10.9.0.0/16"),
                 0,
                 RouteType::unicast,
                 {},
                 0,
                 {{2, ip("192.0.2.1"), 65535}, {3, ip("192.0.3.1"), 65534}}}};
    const auto d = compile(s, ports);
    EXPECT_LE(d.routes[0].hops.size(), 258u);
    EXPECT_GE(std::ranges::count(d.routes[0].hops, 3u, &shm::NextHop::ifindex), 100);
}

TEST_F(Routes, WithoutAPortTheRouteIsThereAndSaysSo) {
    s.routes = {{net("10.5.0.0/24"), 0, RouteType::unicast, {}, 0, {{5, {}, 1}}},
                {net("10.6.0.0/24"), 0, RouteType::blackhole, {}, 0, {}}};
    s.neighbours = {{5, ip("10.5.0.1"), mac(9), true, false}};
    const shm::Routes r = view();
    EXPECT_EQ(r.next_hops[r.lookup(ip("10.5.0.1"), 0).next_hop].port, shm::kNoPort);
    EXPECT_EQ(r.lookup(ip("10.6.0.1"), 0).kind, RouteKind::unreachable);
    EXPECT_EQ(r.lookup(ip("203.0.113.1"), 0).kind, RouteKind::none);
}

TEST_F(Routes, OwnAddressesAreLocalAndGiveThePortsTheirs) {
    s.addresses = {{net("127.0.0.1/8"), 1},
                   {net("10.0.7.9/24"), 4},
                   {net("192.0.2.10/24"), 2},
                   {net("fe80::1/64"), 3},
                   {net("2001:db8::1/64"), 3}};
    const shm::Routes r = view();
    EXPECT_TRUE(r.is_local(ip("127.0.0.1")));
    EXPECT_TRUE(r.is_local(ip("2001:db8::1")));
    EXPECT_FALSE(r.is_local(ip("192.0.2.11")));
    ASSERT_EQ(r.port_addresses.size(), 4u);
    EXPECT_EQ(r.port_addresses[0], ip("192.0.2.10"));  // its own before its VLAN's
    EXPECT_EQ(r.port_addresses[1], Address{});
    EXPECT_EQ(r.port_addresses[3], ip("2001:db8::1"));  // global before link-local
}

}  // namespace
}  // namespace torii::control
