// Messages in every order, without a kernel.

#include "control/kernel/tables.h"

#include <gmock/gmock.h>

#include "tests/unit/kernel/messages.h"

namespace torii::kernel::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class TablesTest : public ::testing::Test {
protected:
    void told(const Built& built) { tables_.notified(parse(built.header())); }
    void dumped(const Built& built) { tables_.dumped(parse(built.header())); }
    bool update() { return tables_.update(snapshot_); }
    /// The gateways of the routes, in order.
    std::vector<std::string> gateways() {
        update();
        std::vector<std::string> all;
        for (const auto& route : snapshot_.routes) {
            std::string text;
            for (const auto& hop : route.hops)
                text += (text.empty() ? "" : " ") + (hop.gateway ? to_string(*hop.gateway) : "-");
            all.push_back(text);
        }
        return all;
    }
    static Built route(const char* gateway, uint16_t type = RTM_NEWROUTE, uint16_t flags = 0) {
        const bool v4 = parse_address(gateway)->is_v4();
        return route_message(v4 ? "10.0.0.0/8" : "2001:db8::/32", type, flags)
            .address(RTA_GATEWAY, gateway)
            .u32(RTA_OIF, 2);
    }

    Tables tables_;
    Snapshot snapshot_;
};

TEST_F(TablesTest, ADumpSweepsWhatItDoesNotMention) {
    told(neighbour_message("10.0.0.1", 2, NUD_STALE));
    told(neighbour_message("10.0.0.2", 2, NUD_STALE));
    told(neighbour_message("2001:db8::1", 2, NUD_STALE));
    EXPECT_TRUE(update());
    tables_.begin(Kind::neighbours4);
    dumped(neighbour_message("10.0.0.2", 2, NUD_REACHABLE));
    EXPECT_TRUE(tables_.end());
    EXPECT_TRUE(update());
    EXPECT_THAT(snapshot_.neighbours, SizeIs(2)) << "the other family's stay";
    EXPECT_EQ(find_neighbour(snapshot_, 2, *parse_address("10.0.0.1")), nullptr);

    tables_.begin(Kind::neighbours4);
    dumped(neighbour_message("10.0.0.2", 2, NUD_PROBE));
    EXPECT_TRUE(tables_.end());
    EXPECT_FALSE(update()) << "the same again is no change";
}

TEST_F(TablesTest, WithinADumpNotificationsStand) {
    told(neighbour_message("10.0.0.1", 2, NUD_STALE));
    tables_.begin(Kind::neighbours4);
    told(neighbour_message("10.0.0.1", 2, NUD_STALE, RTM_DELNEIGH));
    dumped(neighbour_message("10.0.0.1", 2, NUD_STALE));  // filled before the deletion
    told(neighbour_message("10.0.0.2", 2, NUD_FAILED));
    dumped(neighbour_message("10.0.0.2", 2, NUD_STALE));
    told(neighbour_message("10.0.0.3", 2, NUD_STALE));  // after the dump had passed its place
    EXPECT_TRUE(tables_.end());
    EXPECT_TRUE(update());
    ASSERT_THAT(snapshot_.neighbours, SizeIs(2));
    EXPECT_TRUE(snapshot_.neighbours[0].failed);
    EXPECT_EQ(snapshot_.neighbours[1].address, *parse_address("10.0.0.3"));

    tables_.begin(Kind::neighbours4);  // the next dump is believed again
    dumped(neighbour_message("10.0.0.1", 2, NUD_STALE));
    EXPECT_TRUE(tables_.end());
    update();
    ASSERT_THAT(snapshot_.neighbours, SizeIs(1));
    EXPECT_EQ(snapshot_.neighbours[0].address, *parse_address("10.0.0.1"));
}

TEST_F(TablesTest, ReachableStaleDelayAndProbeAreTheSame) {
    told(neighbour_message("10.0.0.1", 2, NUD_REACHABLE).mac(NDA_LLADDR, "02:00:00:00:00:01"));
    EXPECT_TRUE(update());
    for (uint16_t state : {NUD_STALE, NUD_DELAY, NUD_PROBE, NUD_REACHABLE}) {
        told(neighbour_message("10.0.0.1", 2, state).mac(NDA_LLADDR, "02:00:00:00:00:01"));
        EXPECT_FALSE(update()) << state;
    }
    told(neighbour_message("10.0.0.1", 2, NUD_FAILED));
    EXPECT_TRUE(update());
}

TEST_F(TablesTest, Ipv4RoutesOfOneMetricKeepTheKernelsOrder) {
    told(route("10.9.0.1"));
    told(route("10.9.0.2", RTM_NEWROUTE, NLM_F_APPEND));
    told(route("10.9.0.3"));  // a prepend
    EXPECT_THAT(gateways(), ElementsAre("10.9.0.3", "10.9.0.1", "10.9.0.2"));
    told(route("10.9.0.1", RTM_DELROUTE));
    EXPECT_THAT(gateways(), ElementsAre("10.9.0.3", "10.9.0.2"));
    EXPECT_EQ(tables_.take_wanted(), 0u);
    told(route("10.9.0.7", RTM_DELROUTE));  // of something that we never heard of
    EXPECT_EQ(tables_.take_wanted(), bit(Kind::routes4));
    told(route("10.9.0.3", RTM_DELROUTE));
    told(route("10.9.0.4", RTM_NEWROUTE, NLM_F_REPLACE));
    EXPECT_THAT(gateways(), ElementsAre("10.9.0.4"));
    told(route("10.9.0.4", RTM_DELROUTE));
    EXPECT_THAT(gateways(), IsEmpty());
    EXPECT_EQ(tables_.take_wanted(), 0u);
}

TEST_F(TablesTest, Ipv6HopsComeAndGoOneByOne) {
    const auto both = [](uint16_t type) {
        return route_message("2001:db8::/32", type)
            .with(multipath({{2, "fe80::2"}, {2, "fe80::1"}, {3, "fe80::1"}}, AF_INET6));
    };
    told(route("fe80::1"));
    told(both(RTM_NEWROUTE));
    EXPECT_THAT(gateways(), ElementsAre("fe80::1 fe80::2 fe80::1"));
    told(route("fe80::1", RTM_DELROUTE));
    EXPECT_THAT(gateways(), ElementsAre("fe80::2 fe80::1"));
    told(route("fe80::9", RTM_NEWROUTE, NLM_F_REPLACE));
    EXPECT_THAT(gateways(), ElementsAre("fe80::9"));
    told(route("fe80::9", RTM_DELROUTE));
    EXPECT_THAT(gateways(), IsEmpty());
    EXPECT_EQ(tables_.take_wanted(), 0u);
}

TEST_F(TablesTest, Ipv6RoutesOfOneKeyOnSeveralLinks) {
    const auto on = [](uint32_t link, uint16_t type = RTM_NEWROUTE) {
        return route_message("fe80::/64", type).u32(RTA_OIF, link).u32(RTA_PRIORITY, 256);
    };
    told(on(2));
    told(on(3));
    tables_.begin(Kind::routes6);
    dumped(on(2));
    told(on(4));
    dumped(on(3));
    dumped(on(4));
    EXPECT_FALSE(tables_.end()) << "siblings that were changed during the dump ask for another";
    tables_.begin(Kind::routes6);
    for (uint32_t link : {2, 3, 4}) dumped(on(link));
    EXPECT_TRUE(tables_.end());
    EXPECT_THAT(gateways(), SizeIs(3));
    told(on(3, RTM_DELROUTE));
    EXPECT_THAT(gateways(), SizeIs(2));
    EXPECT_EQ(tables_.take_wanted(), 0u);
}

TEST_F(TablesTest, AnIpv6RouteDeletedDuringADumpLeavesTheRestUnclear) {
    told(route("fe80::1"));
    tables_.begin(Kind::routes6);
    told(route("fe80::1", RTM_DELROUTE));
    dumped(route("fe80::1"));  // filled before the deletion, or another one of its key: nobody knows
    EXPECT_FALSE(tables_.end());
    EXPECT_THAT(gateways(), IsEmpty());
    tables_.begin(Kind::routes6);
    EXPECT_TRUE(tables_.end());
}

TEST_F(TablesTest, LinksAndAddressesThatTakeRoutesWithThem) {
    told(link_message(2, "eth0", IFF_UP | IFF_RUNNING));
    told(link_message(3, "eth1", IFF_UP | IFF_RUNNING));
    told(address_message("10.1.0.1/24", 3));
    told(address_message("10.2.0.1/24", 3));
    told(route("10.9.0.1").address(RTA_PREFSRC, "10.1.0.1"));
    EXPECT_EQ(tables_.take_wanted(), 0u);
    told(link_message(3, "eth1", IFF_UP));
    EXPECT_EQ(tables_.take_wanted(), 0u) << "no route leaves by it";
    told(link_message(2, "eth0", IFF_UP));
    EXPECT_EQ(tables_.take_wanted(), bit(Kind::routes4) | bit(Kind::routes6));
    told(link_message(2, "eth0", IFF_UP));
    EXPECT_EQ(tables_.take_wanted(), 0u);
    told(address_message("10.2.0.1/24", 3, RTM_DELADDR));
    EXPECT_EQ(tables_.take_wanted(), 0u);
    told(address_message("10.1.0.1/24", 3, RTM_DELADDR));
    EXPECT_EQ(tables_.take_wanted(), bit(Kind::routes4));
}

TEST_F(TablesTest, AnAnswerOfTheOtherFamilyIsNotTaken) {
    tables_.begin(Kind::routes6);  // what a kernel without IPv6 may do with the request
    dumped(route("10.9.0.1"));
    EXPECT_TRUE(tables_.end());
    EXPECT_THAT(gateways(), IsEmpty());
}

}  // namespace
}  // namespace torii::kernel::testing
