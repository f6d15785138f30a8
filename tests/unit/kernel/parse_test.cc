#include "control/kernel/parse.h"

#include <gmock/gmock.h>

#include <vector>

#include "tests/unit/kernel/messages.h"

namespace torii::kernel::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Address addr(std::string_view text) { return *parse_address(text); }

template <class T>
T parsed(const Built& built) {
    const Change change = parse(built.header());
    EXPECT_TRUE(std::holds_alternative<T>(change)) << "variant index " << change.index();
    return std::holds_alternative<T>(change) ? std::get<T>(change) : T{};
}

bool ignored(const Built& built) { return std::holds_alternative<Nothing>(parse(built.header())); }

auto vlan_info(uint16_t id, uint16_t tpid) {
    return [=](nl_msg* m) {
        nlattr* info = nla_nest_start(m, IFLA_LINKINFO);
        nla_put_string(m, IFLA_INFO_KIND, "vlan");
        nlattr* data = nla_nest_start(m, IFLA_INFO_DATA);
        nla_put_u16(m, IFLA_VLAN_ID, id);
        nla_put_u16(m, IFLA_VLAN_PROTOCOL, be16::from_host(tpid).raw());
        nla_nest_end(m, data);
        nla_nest_end(m, info);
    };
}

TEST(ParseLink, VlanOnAnotherLink) {
    const auto change = parsed<LinkChange>(link_message(7, "eth0.5", IFF_UP | IFF_RUNNING)
                                               .mac(IFLA_ADDRESS, "02:00:00:00:00:01")
                                               .u32(IFLA_MTU, 1496)
                                               .u32(IFLA_LINK, 3)
                                               .u32(IFLA_MASTER, 9)
                                               .with(vlan_info(5, 0x88a8)));
    const Link& link = change.link;
    EXPECT_EQ(link.ifindex, 7u);
    EXPECT_EQ(link.name, "eth0.5");
    EXPECT_EQ(to_string(link.mac), "02:00:00:00:00:01");
    EXPECT_EQ(link.mtu, 1496u);
    EXPECT_EQ(link.master, 9u);
    EXPECT_TRUE(link.up);
    EXPECT_EQ(link.vlan, (Vlan{3, 5, 0x88a8}));
}

TEST(ParseLink, VlanWhoseParentIsInAnotherNamespace) {
    const auto change = parsed<LinkChange>(link_message(7, "v", IFF_UP)
                                               .u32(IFLA_LINK, 3)
                                               .u32(IFLA_LINK_NETNSID, 1)
                                               .with(vlan_info(5, 0x8100)));
    EXPECT_EQ(change.link.vlan, (Vlan{0, 5, 0x8100}));
    EXPECT_FALSE(change.link.up) << "up needs a carrier";
}

TEST(ParseLink, BridgePortsAreNotLinks) {
    EXPECT_TRUE(ignored(link_message(7, "eth0", IFF_UP, RTM_DELLINK, AF_BRIDGE)));
    EXPECT_TRUE(parsed<LinkChange>(link_message(7, "eth0", IFF_UP, RTM_DELLINK)).removed);
}

TEST(ParseAddress, HostBitsStayAndPointToPointIsOneAddress) {
    EXPECT_EQ(parsed<AddressChange>(address_message("10.0.0.7/24", 2)).address,
              (LocalAddress{*parse_prefix("10.0.0.7/24"), 2}));
    const auto ptp =
        parsed<AddressChange>(address_message("10.0.0.7/24", 2).address(IFA_LOCAL, "10.9.9.9"));
    EXPECT_EQ(ptp.address, (LocalAddress{*parse_prefix("10.9.9.9/32"), 2}));
}

TEST(ParseAddress, ADuplicateIsNoAddress) {
    EXPECT_TRUE(
        parsed<AddressChange>(address_message("2001:db8::1/64", 2).u32(IFA_FLAGS, IFA_F_DADFAILED))
            .removed);
    EXPECT_FALSE(
        parsed<AddressChange>(address_message("2001:db8::1/64", 2).u32(IFA_FLAGS, IFA_F_PERMANENT))
            .removed);
}

TEST(ParseRoute, MultipathWithAGatewayOfTheOtherFamily) {
    const auto change = parsed<RouteChange>(
        route_message("198.51.100.0/24")
            .u32(RTA_PRIORITY, 30)
            .address(RTA_PREFSRC, "10.0.0.1")
            .with(
                multipath({{4, "2001:db8::9", 3}, {2, "10.0.0.2", 1}, {5, nullptr, 1}}, AF_INET)));
    EXPECT_EQ(change.route.metric, 30u);
    EXPECT_EQ(change.route.preferred_source, addr("10.0.0.1"));
    EXPECT_THAT(change.route.hops,
                ElementsAre(Hop{2, addr("10.0.0.2"), 1}, Hop{4, addr("2001:db8::9"), 3},
                            Hop{5, std::nullopt, 1}));
    EXPECT_THAT(change.dead, IsEmpty());
}

TEST(ParseRoute, DeadHopsAndThoseWithoutCarrier) {
    const auto some = parsed<RouteChange>(route_message("10.0.0.0/8")
                                              .with(multipath({{2, "10.0.0.2", 1, RTNH_F_DEAD},
                                                               {3, "10.0.0.3", 1, RTNH_F_LINKDOWN},
                                                               {4, "10.0.0.4"}},
                                                              AF_INET)));
    EXPECT_THAT(some.dead, ElementsAre(Hop{2, addr("10.0.0.2"), 1}, Hop{3, addr("10.0.0.3"), 1}));
    const auto all = parsed<RouteChange>(
        route_message("10.0.0.0/8")
            .with(multipath({{2, "10.0.0.2", 1, RTNH_F_DEAD}, {3, "10.0.0.3", 1, RTNH_F_LINKDOWN}},
                            AF_INET)));
    EXPECT_THAT(all.dead, ElementsAre(Hop{2, addr("10.0.0.2"), 1}));
}

TEST(ParseRoute, DefaultRoutesKeepTheirFamily) {
    const auto v4 = parsed<RouteChange>(route_message("0.0.0.0/0").u32(RTA_OIF, 2));
    EXPECT_EQ(v4.route.destination, *parse_prefix("0.0.0.0/0"));
    EXPECT_EQ(v4.route.family(), Family::ipv4);
    const auto v6 = parsed<RouteChange>(route_message("::/0").u32(RTA_OIF, 2));
    EXPECT_EQ(v6.route.family(), Family::ipv6);
}

TEST(ParseRoute, OthersAreSkipped) {
    const auto edited = [](auto edit) {
        auto built = route_message("10.0.0.0/8").u32(RTA_OIF, 2);
        edit(*static_cast<rtmsg*>(nlmsg_data(nlmsg_hdr(built.message.get()))));
        return built;
    };
    EXPECT_FALSE(ignored(edited([](rtmsg&) {})));
    EXPECT_TRUE(ignored(edited([](rtmsg& m) { m.rtm_table = RT_TABLE_LOCAL; })));
    EXPECT_TRUE(ignored(edited([](rtmsg& m) { m.rtm_flags = RTM_F_CLONED; })));
    EXPECT_TRUE(ignored(edited([](rtmsg& m) { m.rtm_tos = 8; })));
    EXPECT_TRUE(ignored(edited([](rtmsg& m) { m.rtm_dst_len = 33; })));
    for (uint8_t type : {RTN_BROADCAST, RTN_MULTICAST, RTN_ANYCAST, RTN_THROW})
        EXPECT_TRUE(ignored(route_message("10.0.0.0/8", RTM_NEWROUTE, 0, type)));
    EXPECT_TRUE(ignored(route_message("10.0.0.0/8").u32(RTA_TABLE, 1000)))
        << "the attribute outranks the byte";
}

TEST(ParseNeighbour, StatesBecomeUsableOrFailed) {
    struct {
        uint16_t state;
        bool usable, failed, untouchable;
    } const rows[] = {
        {NUD_REACHABLE, true, false, false},   {NUD_STALE, true, false, false},
        {NUD_DELAY, true, false, false},       {NUD_PROBE, true, false, false},
        {NUD_PERMANENT, true, false, true},    {NUD_NOARP, true, false, true},
        {NUD_INCOMPLETE, false, false, false}, {NUD_FAILED, false, true, false},
        {NUD_NONE, false, false, false},
    };
    for (const auto& row : rows) {
        const auto change = parsed<NeighbourChange>(
            neighbour_message("10.0.0.2", 3, row.state).mac(NDA_LLADDR, "02:00:00:00:00:01"));
        EXPECT_EQ(change.neighbour.usable, row.usable) << row.state;
        EXPECT_EQ(change.neighbour.failed, row.failed) << row.state;
        EXPECT_EQ(change.untouchable, row.untouchable) << row.state;
        EXPECT_EQ(change.neighbour.mac.is_zero(), !row.usable) << row.state;
    }
    EXPECT_TRUE(ignored(neighbour_message("ff02::1", 3, NUD_NOARP)));
}

// Every attribute may be cut anywhere: nothing is read past the end (the copy ends exactly there,
// for the address sanitizer), and no length makes it crash.
TEST(Parse, TruncatedAtEveryLength) {
    const Built samples[] = {
        link_message(7, "eth0.5", IFF_UP).u32(IFLA_LINK, 3).with(vlan_info(5, 0x8100)),
        address_message("2001:db8::1/64", 2).u32(IFA_FLAGS, 0),
        route_message("10.0.0.0/8").with(multipath({{2, "10.0.0.2"}, {3, "2001:db8::1"}}, AF_INET)),
        neighbour_message("10.0.0.2", 3, NUD_STALE).mac(NDA_LLADDR, "02:00:00:00:00:01"),
    };
    for (const auto& sample : samples) {
        const auto* bytes = reinterpret_cast<const uint8_t*>(&sample.header());
        for (uint32_t length = sizeof(nlmsghdr); length <= sample.header().nlmsg_len; ++length) {
            std::vector<uint32_t> copy((length + 3) / 4);
            std::memcpy(copy.data(), bytes, length);
            auto* header = reinterpret_cast<nlmsghdr*>(copy.data());
            header->nlmsg_len = length;
            parse(*header);
            // A lie about the length of each attribute in turn.
            if (length + 4 <= sample.header().nlmsg_len) continue;
            for (size_t at = sizeof(nlmsghdr); at + 2 <= length; at += 2) {
                auto lying = copy;
                std::memset(reinterpret_cast<uint8_t*>(lying.data()) + at, 0xff, 2);
                parse(*reinterpret_cast<nlmsghdr*>(lying.data()));
            }
        }
    }
}

}  // namespace
}  // namespace torii::kernel::testing
