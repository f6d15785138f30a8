#include "control/kernel/routes.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>

namespace torii::kernel::testing {
namespace {

using ::testing::HasSubstr;
using Kind = Resolved::Kind;

Address addr(std::string_view text) { return *parse_address(text); }
Prefix net(std::string_view text) { return *parse_prefix(text); }

Route via(std::string_view to, uint32_t metric, std::vector<Hop> hops) {
    Route route;
    route.destination = net(to);
    route.metric = metric;
    route.hops = std::move(hops);
    return route;
}
Route closed(std::string_view to, RouteType type) {
    Route route;
    route.destination = net(to);
    route.type = type;
    return route;
}
Link link(uint32_t ifindex, const char* name, uint32_t mtu, bool up = true) {
    Link l;
    l.ifindex = ifindex;
    l.name = name;
    l.mtu = mtu;
    l.up = up;
    return l;
}

Snapshot ordered(Snapshot s) {
    std::stable_sort(s.routes.begin(), s.routes.end(), [](const Route& a, const Route& b) {
        return std::tie(a.destination, a.metric) < std::tie(b.destination, b.metric);
    });
    std::sort(s.addresses.begin(), s.addresses.end(), [](auto& a, auto& b) {
        return std::tie(a.prefix, a.ifindex) < std::tie(b.prefix, b.ifindex);
    });
    return s;
}

Snapshot example() {
    Snapshot s;
    s.links = {link(1, "lo", 65536), link(2, "eth0", 1500), link(3, "eth1", 9000),
               link(4, "eth2", 1500, false)};
    s.addresses = {{net("127.0.0.1/8"), 1},
                   {net("10.0.0.1/24"), 2},
                   {net("10.0.1.1/24"), 3},
                   {net("2001:db8::1/64"), 2},
                   {net("fe80::1/64"), 2}};
    s.routes = {
        via("0.0.0.0/0", 100, {{2, addr("10.0.0.254"), 1}}),
        via("0.0.0.0/0", 50, {{3, addr("10.0.1.254"), 1}}),
        via("10.0.0.0/24", 0, {{2, std::nullopt, 1}}),
        via("10.0.1.0/24", 0, {{3, std::nullopt, 1}}),
        via("198.51.100.0/24", 0, {{2, addr("10.0.0.2"), 1}, {3, addr("10.0.1.2"), 3}}),
        via("198.51.101.0/24", 0, {{3, addr("10.0.1.2"), 1}, {4, addr("10.0.2.2"), 9}}),
        via("198.51.102.0/24", 0, {{4, addr("10.0.2.2"), 1}}),
        via("198.51.103.0/24", 0, {{2, addr("2001:db8::9"), 1}}),
        closed("203.0.113.0/24", RouteType::prohibit),
        via("203.0.113.7/32", 0, {{2, addr("10.0.0.9"), 1}}),
        via("2001:db8::/64", 256, {{2, std::nullopt, 1}}),
        via("2001:db8:1::/48", 1024, {{2, addr("fe80::9"), 1}}),
        closed("192.0.2.0/24", RouteType::local),
    };
    s.routes[9].mtu = 1400;
    s.routes[3].preferred_source = addr("10.0.1.77");
    return ordered(std::move(s));
}

TEST(Lookup, ChoosesAsTheKernelDoes) {
    const Snapshot s = example();
    const RouteIndex index(s);
    struct {
        const char* to;
        Kind kind;
        uint32_t ifindex;
        const char *next, *source;
        uint32_t mtu;
    } const rows[] = {
        {"10.0.0.7", Kind::unicast, 2, "10.0.0.7", "10.0.0.1", 1500},
        {"10.0.1.7", Kind::unicast, 3, "10.0.1.7", "10.0.1.77", 9000},
        {"8.8.8.8", Kind::unicast, 3, "10.0.1.254", "10.0.1.1", 9000},  // metric 50 before 100
        {"203.0.113.8", Kind::blackhole, 0, nullptr, nullptr, 0},
        {"203.0.113.7", Kind::unicast, 2, "10.0.0.9", "10.0.0.1", 1400},
        {"198.51.103.1", Kind::unicast, 2, "2001:db8::9", "10.0.0.1", 1500},
        {"192.0.2.9", Kind::local, 0, nullptr, nullptr, 0},
        {"10.0.0.1", Kind::local, 2, nullptr, nullptr, 0},
        {"127.0.0.2", Kind::local, 0, nullptr, nullptr, 0},
        {"2001:db8::7", Kind::unicast, 2, "2001:db8::7", "2001:db8::1", 1500},
        {"2001:db8:1::7", Kind::unicast, 2, "fe80::9", "2001:db8::1", 1500},
        {"2001:db8:2::7", Kind::none, 0, nullptr, nullptr, 0},
    };
    for (const auto& row : rows) {
        const Resolved got = index.lookup(addr(row.to));
        EXPECT_EQ(got.kind, row.kind) << row.to;
        EXPECT_EQ(got.ifindex, row.ifindex) << row.to;
        if (row.next) {
            EXPECT_EQ(to_string(got.next_hop), row.next) << row.to;
        }
        EXPECT_EQ(got.source ? to_string(*got.source) : "", row.source ? row.source : "") << row.to;
        EXPECT_EQ(got.mtu, row.mtu) << row.to;
        EXPECT_EQ(got, lookup(s, addr(row.to)));
    }
}

TEST(Lookup, SpreadsOverHopsByWeightAndAvoidsLinksThatAreDown) {
    const Snapshot s = example();
    const RouteIndex index(s);
    unsigned by_link[5] = {};
    for (uint32_t i = 0; i < 400; ++i) ++by_link[index.lookup(addr("198.51.100.1"), i).ifindex];
    EXPECT_EQ(by_link[2], 100u);
    EXPECT_EQ(by_link[3], 300u);
    for (uint32_t i = 0; i < 20; ++i) EXPECT_EQ(index.lookup(addr("198.51.101.1"), i).ifindex, 3u);
    EXPECT_EQ(index.lookup(addr("198.51.102.1")).ifindex, 4u) << "the only hop there is";
}

TEST(Lookup, BestRoutesAreOneForEachDestination) {
    const Snapshot s = example();
    const auto best = best_routes(s);
    EXPECT_EQ(best.size(), s.routes.size() - 1);
    const auto it = std::find_if(best.begin(), best.end(),
                                 [](auto* r) { return r->destination == net("0.0.0.0/0"); });
    ASSERT_NE(it, best.end());
    EXPECT_EQ((*it)->metric, 50u);
}

TEST(Lookup, AgreesWithALinearSearch) {
    std::minstd_rand random(7);
    Snapshot s;
    for (int i = 0; i < 3000; ++i) {
        const bool v4 = random() % 2;
        Address a;
        if (v4) {
            a = Address::v4(be32::from_host(0x0a000000u | (random() & 0x3ffff)));
        } else {
            a.bytes[0] = 0x20;
            a.bytes[15] = uint8_t(random());
            a.bytes[14] = uint8_t(random() & 3);
        }
        const uint8_t length = uint8_t(v4 ? random() % 33 : random() % 129);
        Route route;
        route.destination = Prefix{a, length}.masked();
        route.metric = random() % 3;
        route.hops = {{uint32_t(1 + random() % 5), std::nullopt, 1}};
        s.routes.push_back(route);
    }
    s = ordered(std::move(s));
    const RouteIndex index(s);
    size_t found = 0;
    for (int i = 0; i < 3000; ++i) {
        Address a = s.routes[random() % s.routes.size()].destination.address;
        a.bytes[15] ^= uint8_t(random() & 3);
        const Route* best = nullptr;
        for (const auto& route : s.routes)
            if (route.destination.contains(a) &&
                (!best || route.destination.length > best->destination.length))
                best = &route;
        EXPECT_EQ(index.route(a), best);
        found += best != nullptr;
    }
    EXPECT_GT(found, 1000u);
}

TEST(Lookup, SaysWhyAServerCannotBeReached) {
    const Snapshot s = example();
    const RouteIndex index(s);
    EXPECT_EQ(why_unreachable(index, addr("10.0.0.7")), std::nullopt);
    EXPECT_EQ(why_unreachable(index, addr("10.0.0.1")), std::nullopt);
    EXPECT_THAT(*why_unreachable(index, addr("2001:db8:2::7")),
                HasSubstr("no route to 2001:db8:2::7"));
    EXPECT_THAT(*why_unreachable(index, addr("203.0.113.8")),
                HasSubstr("prohibit route 203.0.113.0/24"));
    EXPECT_THAT(*why_unreachable(index, addr("198.51.102.1")), HasSubstr("eth2, which is down"));
}

TEST(Find, ByBinarySearch) {
    Snapshot s = example();
    s.neighbours = {{2, addr("10.0.0.2"), {}, true, false},
                    {2, addr("10.0.0.3"), {}, false, true},
                    {3, addr("10.0.0.2"), {}, false, false}};
    EXPECT_EQ(find_link(s, 3)->name, "eth1");
    EXPECT_EQ(find_link(s, 9), nullptr);
    EXPECT_EQ(find_link(s, "eth0")->ifindex, 2u);
    EXPECT_TRUE(find_neighbour(s, 2, addr("10.0.0.3"))->failed);
    EXPECT_EQ(find_neighbour(s, 3, addr("10.0.0.3")), nullptr);
    EXPECT_TRUE(is_local(s, addr("2001:db8::1")));
    EXPECT_FALSE(is_local(s, addr("10.0.0.2")));
}

}  // namespace
}  // namespace torii::kernel::testing
