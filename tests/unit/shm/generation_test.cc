#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "dataplane/shm/routes.h"
#include "dataplane/shm/services.h"

namespace torii::shm {
namespace {

using testing::HasSubstr;

Address address(const char* text) { return *parse_address(text); }

ServicesDescription two_services() {
    ServicesDescription d;
    d.generation = 3;
    for (const char* vip : {"192.0.2.10", "2001:db8::10"}) {
        ServiceDescription s;
        s.record.address = address(vip);
        s.record.port = be16::from_host(80);
        s.record.protocol = Protocol::tcp;
        std::snprintf(s.record.scheduler, sizeof s.record.scheduler, "rr");
        s.name = std::string("www-") + vip;
        s.targets.resize(2 * 8);
        s.table = {0, 1, 0};
        d.services.push_back(std::move(s));
    }
    BackendDescription b;
    b.record.present = 1;
    b.record.generation = 9;
    b.record.service = 1;
    b.record.address = address("2001:db8::99");
    b.name = "web9";
    d.backends.resize(5);
    d.backends.push_back(b);
    return d;
}

TEST(Services, FindsWhatWasBuilt) {
    const auto object = *build(two_services());
    auto s = Services::view(object);
    ASSERT_TRUE(s) << s.error().message;
    const ServiceRecord* r = s->find(address("2001:db8::10"), be16::from_host(80), Protocol::tcp);
    ASSERT_NE(r, nullptr);
    EXPECT_EQ(s->name(*r), "www-2001:db8::10");
    EXPECT_EQ(s->find(address("2001:db8::10"), be16::from_host(81), Protocol::tcp), nullptr);
    EXPECT_EQ(s->find(address("192.0.2.10"), be16::from_host(80), Protocol::udp), nullptr);
    EXPECT_TRUE(s->is_vip(address("192.0.2.10")));
    EXPECT_FALSE(s->is_vip(address("192.0.2.11")));
    ASSERT_NE(s->backend(5, 9), nullptr);
    EXPECT_EQ(s->name(*s->backend(5, 9)), "web9");
    EXPECT_EQ(s->backend(5, 8), nullptr) << "another generation is another backend";
    EXPECT_EQ(s->backend(4, 0), nullptr);
    EXPECT_EQ(s->backend(6, 9), nullptr);
}

TEST(Services, RefusesADuplicateAndADanglingTable) {
    auto d = two_services();
    d.services[1].record.address = d.services[0].record.address;
    EXPECT_THAT(build(d).error().message, HasSubstr("twice"));
    d = two_services();
    d.services[0].table[2] = 2;
    EXPECT_FALSE(build(d));
}

TEST(Services, AnyCutOrFlippedWordIsRefusedOrHarmless) {
    const auto good = *build(two_services());
    std::mt19937 random(1);
    size_t refused = 0;
    for (size_t cut = 0; cut < good.size(); cut += 8)
        refused += !Services::view(std::span(good).first(cut));
    EXPECT_GT(refused, 10u);
    for (int round = 0; round < 20000; ++round) {
        auto bad = good;
        for (int n = 0; n < 3; ++n) bad[random() % bad.size()] = std::byte(random());
        auto s = Services::view(bad);
        if (!s) continue;
        s->find(address("192.0.2.10"), be16::from_host(80), Protocol::tcp);
        s->is_vip(address("192.0.2.12"));
        for (const ServiceRecord& r : s->services)
            for (uint32_t t : s->section<uint32_t>(r.table))
                ASSERT_TRUE(t == ~0u || t < r.targets.count);
    }
}

NextHop hop(const char* neighbour, uint32_t ifindex, bool resolved) {
    NextHop h{};
    h.address = address(neighbour);
    h.ifindex = ifindex;
    h.resolved = resolved;
    return h;
}

RoutesDescription network() {
    RoutesDescription d;
    d.routes.push_back(
        {*parse_prefix("0.0.0.0/0"), RouteKind::gateway, {hop("10.0.0.254", 2, true)}});
    d.routes.push_back(
        {*parse_prefix("10.0.0.0/24"), RouteKind::connected, {hop("0.0.0.0", 2, false)}});
    d.routes.push_back({*parse_prefix("10.9.0.0/16"),
                        RouteKind::gateway,
                        {hop("10.0.0.7", 2, true), hop("10.0.0.8", 2, false)}});
    d.routes.push_back({*parse_prefix("10.9.1.0/24"), RouteKind::unreachable, {}});
    d.routes.push_back(
        {*parse_prefix("2001:db8::/64"), RouteKind::connected, {hop("::", 3, false)}});
    d.neighbours = {hop("10.0.0.5", 2, true), hop("2001:db8::5", 3, true),
                    hop("10.0.0.5", 3, true)};
    d.locals = {{address("10.0.0.1"), 2}, {address("2001:db8::1"), 3}};
    return d;
}

TEST(Routes, LongestPrefixThenNeighbour) {
    const auto object = *build(network());
    auto r = Routes::view(object);
    ASSERT_TRUE(r) << r.error().message;
    const auto at = [&](const char* a, uint32_t hash = 0) { return r->lookup(address(a), hash); };
    EXPECT_EQ(r->next_hops[at("8.8.8.8").next_hop].address, address("10.0.0.254"));
    const auto neighbour = at("10.0.0.5");
    EXPECT_TRUE(neighbour.resolved);
    EXPECT_EQ(r->next_hops[neighbour.next_hop].address, address("10.0.0.5"));
    EXPECT_EQ(r->next_hops[neighbour.next_hop].ifindex, 2u)
        << "the same address behind another device";
    EXPECT_EQ(at("10.0.0.6").kind, RouteKind::connected);
    EXPECT_FALSE(at("10.0.0.6").resolved);
    EXPECT_EQ(r->next_hops[at("10.0.0.6").next_hop].ifindex, 2u);
    EXPECT_EQ(r->next_hops[at("10.9.2.1", 0).next_hop].address, address("10.0.0.7"));
    EXPECT_EQ(r->next_hops[at("10.9.2.1", 1).next_hop].address, address("10.0.0.8"));
    EXPECT_FALSE(at("10.9.2.1", 1).resolved);
    EXPECT_EQ(at("10.9.1.1").kind, RouteKind::unreachable);
    EXPECT_TRUE(at("2001:db8::5").resolved);
    EXPECT_EQ(at("2001:db9::5").kind, RouteKind::none) << "the IPv4 default route is not for IPv6";
    EXPECT_TRUE(r->is_local(address("10.0.0.1")));
    EXPECT_FALSE(r->is_local(address("10.0.0.2")));
}

// The slow, obvious model: walk every route, keep the longest that contains the address.
TEST(Routes, AgreesWithALinearSearchOnRandomTables) {
    std::mt19937 random(7);
    for (int round = 0; round < 50; ++round) {
        RoutesDescription d;
        std::set<Prefix> seen;
        for (int i = 0; i < 60; ++i) {
            Prefix p;
            if (random() % 2) {
                p.address = Address::v4(be32::from_host(0x0a000000u | (random() & 0x000f0f0fu)));
                p.length = uint8_t(random() % 33);
            } else {
                p.address = address("2001:db8::");
                p.address.bytes[5] = uint8_t(random() % 4);
                p.address.bytes[15] = uint8_t(random() % 4);
                p.length = uint8_t(random() % 129);
            }
            p = p.masked();
            if (!seen.insert(p).second) continue;
            d.routes.push_back({p, RouteKind::gateway, {hop("10.0.0.1", uint32_t(i + 1), true)}});
        }
        const auto object = *build(d);
        const auto r = *Routes::view(object);
        for (int i = 0; i < 300; ++i) {
            Address a = Address::v4(be32::from_host(0x0a000000u | (random() & 0x000f0f0fu)));
            if (random() % 2) {
                a = address("2001:db8::");
                a.bytes[5] = uint8_t(random() % 4);
                a.bytes[15] = uint8_t(random() % 4);
            }
            const RouteDescription* best = nullptr;
            for (const auto& route : d.routes)
                if (route.prefix.contains(a) &&
                    (!best || route.prefix.length > best->prefix.length))
                    best = &route;
            const auto found = r.lookup(a, 0);
            ASSERT_EQ(best ? best->hops[0].ifindex : 0u,
                      found.next_hop == kNoNextHop ? 0u : r.next_hops[found.next_hop].ifindex)
                << to_string(a);
        }
    }
}

TEST(Routes, AnyCutOrFlippedWordIsRefusedOrHarmless) {
    const auto good = *build(network());
    std::mt19937 random(1);
    for (size_t cut = 0; cut < good.size(); cut += 8) Routes::view(std::span(good).first(cut));
    size_t refused = 0;
    for (int round = 0; round < 20000; ++round) {
        auto bad = good;
        for (int n = 0; n < 3; ++n) bad[random() % bad.size()] = std::byte(random());
        auto r = Routes::view(bad);
        refused += !r;
        if (!r) continue;
        const auto found = r->lookup(address("10.9.2.1"), 12345);
        ASSERT_TRUE(found.next_hop == kNoNextHop || found.next_hop < r->next_hops.size());
        r->is_local(address("10.0.0.1"));
    }
    EXPECT_GT(refused, 100u);
}

}  // namespace
}  // namespace torii::shm
