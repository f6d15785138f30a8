// Both kernel programs run over frames built by hand (BPF_PROG_TEST_RUN): what one redirects the
// other drops, rule by rule and cut at every length. Needs root.
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "dataplane/xdp/kernel.h"
#include "dataplane/xdp/objects.h"
#include "tests/unit/xdp/frames.h"

namespace torii::xdp {
namespace {

constexpr uint16_t k4 = 0x0800, k6 = 0x86dd;
constexpr const char *kClient = "198.51.100.7", *kVip = "192.0.2.10", *kOwn = "192.0.2.1",
                     *kServer = "10.0.0.5", *kRouter = "10.0.0.254";
constexpr const char *kClient6 = "2001:db8:9::7", *kVip6 = "2001:db8::10", *kOwn6 = "2001:db8::1",
                     *kServer6 = "fd00::5", *kRouter6 = "fd00::fe";

SteeringSet example() {
    SteeringSet s;
    s.services = {{at(kVip), 80, Protocol::tcp},
                  {at(kVip), 53, Protocol::udp},
                  {at(kVip), 99, Protocol::sctp},
                  {at(kVip6), 80, Protocol::tcp},
                  {at("192.0.2.11"), 0, Protocol::udp}};
    s.vips = {at(kVip), at(kVip6), at("192.0.2.11")};
    s.locals = {at(kOwn), at(kOwn6)};
    s.backends = {{at(kServer), 8080, Protocol::tcp},
                  {at(kServer), 5353, Protocol::udp},
                  {at(kServer6), 8080, Protocol::tcp}};
    return s;
}

class Decide : public testing::Test {
protected:
    static void SetUpTestSuite() {
        for (const auto& [elf, name] :
             {std::pair{xdp_object(), kXdpName}, std::pair{guard_object(), kGuardName}}) {
            auto object = load(elf, name);
            ASSERT_TRUE(object) << object.error().message;
            objects().push_back(std::move(*object));
        }
    }
    static void TearDownTestSuite() { objects().clear(); }
    void SetUp() override { fill(example()); }

    static std::vector<Object>& objects() {
        static std::vector<Object> both;
        return both;
    }
    static int program(size_t n) {
        return bpf_program__fd(bpf_object__next_program(objects().at(n).get(), nullptr));
    }
    static void fill(const SteeringSet& set) {
        for (size_t n : {0u, 1u}) {
            auto maps = maps_of(program(n));
            ASSERT_TRUE(maps) << maps.error().message;
            ASSERT_TRUE(add_keys(*maps, keys_of(set)));
            ASSERT_TRUE(remove_others(*maps, keys_of(set)));
        }
    }
    static int run(size_t n, const Bytes& frame) {
        LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
                    .data_size_in = uint32_t(frame.size()), .repeat = 1);
        EXPECT_EQ(bpf_prog_test_run_opts(program(n), &options), 0) << strerror(errno);
        return int(options.retval);
    }
    /// True when torii takes the frame. Without a socket a redirect is a drop.
    static bool taken(const Bytes& frame) {
        const int xdp = run(0, frame);
        EXPECT_TRUE(xdp == XDP_DROP || xdp == XDP_PASS) << xdp;
        // The kernel's test run of an skb refuses frames without a whole IP header.
        if (frame.size() < (frame[12] == 0x86 ? 54u : 34u)) return xdp == XDP_DROP;
        const int tc = run(1, frame);
        EXPECT_TRUE(tc == TC_ACT_SHOT || tc == TC_ACT_UNSPEC) << tc;
        EXPECT_EQ(xdp == XDP_DROP, tc == TC_ACT_SHOT) << "the programs do not agree";
        return xdp == XDP_DROP;
    }
    /// Cut at every length from the Ethernet header on: taken from `first` to `last` bytes.
    static void taken_between(const Bytes& frame, size_t first, size_t last) {
        for (size_t n = 14; n <= frame.size(); ++n)
            EXPECT_EQ(taken(Bytes(frame.begin(), frame.begin() + long(n))), n >= first && n <= last)
                << "cut to " << n << " of " << frame.size() << " bytes";
    }
};

Bytes tcp4(const char* from, uint16_t sport, const char* to, uint16_t dport, V4 how = {}) {
    return ip4(from, to, ports(sport, dport), how);
}
Bytes tcp6(const char* from, uint16_t sport, const char* to, uint16_t dport) {
    return ip6(from, to, 6, ports(sport, dport));
}

TEST_F(Decide, TakesServicesOfAVipAndNothingElseOfIt) {
    EXPECT_TRUE(taken(eth(k4, tcp4(kClient, 4000, kVip, 80))));
    EXPECT_TRUE(taken(eth(k6, tcp6(kClient6, 4000, kVip6, 80))));
    EXPECT_TRUE(taken(eth(k4, tcp4(kClient, 4000, kVip, 53, {.protocol = 17}))));
    EXPECT_TRUE(taken(eth(k4, tcp4(kClient, 4000, kVip, 99, {.protocol = 132}))));
    EXPECT_FALSE(taken(eth(k4, tcp4(kClient, 4000, kVip, 22))));
    EXPECT_FALSE(taken(eth(k4, tcp4(kClient, 80, kVip, 4000))));
    EXPECT_FALSE(taken(eth(k4, tcp4(kClient, 4000, kVip, 80, {.protocol = 17}))));
    EXPECT_FALSE(taken(eth(k6, tcp6(kClient6, 4000, kVip6, 22))));
    EXPECT_FALSE(taken(eth(k4, tcp4(kClient, 4000, kVip, 80, {.protocol = 47}))));
}

TEST_F(Decide, PortZeroIsEveryPort) {
    for (uint16_t port : {1, 53, 65535})
        EXPECT_TRUE(taken(eth(k4, tcp4(kClient, 4000, "192.0.2.11", port, {.protocol = 17}))));
    EXPECT_FALSE(taken(eth(k4, tcp4(kClient, 4000, "192.0.2.11", 53))));
}

TEST_F(Decide, PingAndNeighbourDiscoveryPass) {
    EXPECT_FALSE(taken(eth(k4, ip4(kClient, kVip, icmp(8, Bytes(32)), {.protocol = 1}))));
    EXPECT_FALSE(taken(eth(k6, ip6(kClient6, kVip6, 58, icmp(128, Bytes(32))))));
    for (uint8_t type : {133, 134, 135, 136, 137})
        EXPECT_FALSE(taken(eth(k6, ip6(kServer6, kVip6, 58, icmp(type, Bytes(32))))));
    EXPECT_FALSE(taken(eth(0x0806, Bytes(46))));
    EXPECT_FALSE(taken(eth(0x88cc, Bytes(46))));
}

TEST_F(Decide, OwnAddressesAlwaysPass) {
    EXPECT_FALSE(taken(eth(k4, tcp4(kServer, 8080, kOwn, 4000))));
    EXPECT_FALSE(taken(eth(k6, tcp6(kServer6, 8080, kOwn6, 4000))));
    EXPECT_FALSE(taken(eth(k4, tcp4(kServer, 8080, kOwn, 80, {.fragment = 0x2000}))));
    EXPECT_FALSE(taken(eth(k4, tcp4(kClient, 4000, kOwn, 22))));
}

TEST_F(Decide, TakesRepliesOfNatServers) {
    EXPECT_TRUE(taken(eth(k4, tcp4(kServer, 8080, kClient, 4000))));
    EXPECT_TRUE(taken(eth(k6, tcp6(kServer6, 8080, kClient6, 4000))));
    EXPECT_FALSE(taken(eth(k4, tcp4(kServer, 22, kClient, 4000))));
    EXPECT_FALSE(taken(eth(k4, tcp4(kClient, 4000, kServer, 8080))));
    EXPECT_FALSE(taken(eth(k4, tcp4(kServer, 8080, kClient, 4000, {.protocol = 17}))));
}

TEST_F(Decide, FragmentsGoByAddress) {
    const Bytes body(64);
    for (uint16_t f : {0x2000, 0x2010, 0x0010}) {
        EXPECT_TRUE(taken(eth(k4, ip4(kClient, kVip, body, {.fragment = f}))));
        EXPECT_TRUE(taken(eth(k4, ip4(kClient, kVip, body, {.protocol = 17, .fragment = f}))));
        EXPECT_TRUE(taken(eth(k4, ip4(kServer, kClient, body, {.fragment = f}))));
        EXPECT_FALSE(taken(eth(k4, ip4(kClient, kVip, body, {.protocol = 1, .fragment = f}))));
        EXPECT_FALSE(taken(eth(k4, ip4(kClient, kServer, body, {.fragment = f}))));
    }
    EXPECT_FALSE(taken(eth(k4, tcp4(kClient, 4000, kVip, 22, {.fragment = 0x4000}))));  // DF
    EXPECT_TRUE(taken(eth(k6, ip6(kClient6, kVip6, 44, fragment6(6, 0, true, body)))));
    EXPECT_TRUE(taken(eth(k6, ip6(kClient6, kVip6, 44, fragment6(6, 3, false, body)))));
    EXPECT_TRUE(taken(eth(k6, ip6(kClient6, kVip6, 44, fragment6(60, 3, false, body)))));
    EXPECT_TRUE(taken(eth(k6, ip6(kServer6, kClient6, 44, fragment6(6, 3, false, body)))));
    EXPECT_FALSE(taken(eth(k6, ip6(kClient6, kVip6, 44, fragment6(58, 0, true, body)))));
    // A fragment header around a whole packet (RFC 6946) hides nothing.
    EXPECT_TRUE(taken(eth(k6, ip6(kClient6, kVip6, 44, fragment6(6, 0, false, ports(4000, 80))))));
    EXPECT_FALSE(taken(eth(k6, ip6(kClient6, kVip6, 44, fragment6(6, 0, false, ports(4000, 22))))));
}

TEST_F(Decide, LooksBehindOptionsExtensionsAndTags) {
    for (uint8_t options = 0; options <= 40; options = uint8_t(options + 4)) {
        EXPECT_TRUE(taken(eth(k4, tcp4(kClient, 4000, kVip, 80, {.options = options}))));
        EXPECT_FALSE(taken(eth(k4, tcp4(kClient, 4000, kVip, 22, {.options = options}))));
    }
    for (uint16_t port : {80, 22}) {
        const Bytes l4 = ports(4000, port);
        const bool want = port == 80;
        EXPECT_EQ(taken(eth(k6, ip6(kClient6, kVip6, 0, extension(6, l4)))), want);
        EXPECT_EQ(taken(eth(k6, ip6(kClient6, kVip6, 60, extension(6, l4, 3)))), want);
        EXPECT_EQ(taken(eth(k6, ip6(kClient6, kVip6, 51, authentication(6, l4)))), want);
        EXPECT_EQ(taken(eth(k6, ip6(kClient6, kVip6, 0,
                                    extension(43, extension(60, extension(6, l4), 2))))),
                  want);
        const Bytes four = tcp4(kClient, 4000, kVip, port);
        EXPECT_EQ(taken(eth(0x8100, tag(7, k4, four))), want);
        EXPECT_EQ(taken(eth(0x8100, tag(7, k6, tcp6(kClient6, 4000, kVip6, port)))), want);
        EXPECT_EQ(taken(eth(0x88a8, tag(7, 0x8100, tag(8, k4, four)))), want);
    }
    EXPECT_FALSE(taken(eth(0x8100, tag(1, 0x8100, tag(2, 0x8100, tag(3, k4, Bytes(60)))))));
}

TEST_F(Decide, AChainOfExtensionsThatIsTooLongIsToriisToName) {
    Bytes chain = ports(4000, 22);
    uint8_t next = 6;
    for (int n = 1; n <= 12; ++n) {
        chain = extension(next, chain);
        next = 60;
        EXPECT_EQ(taken(eth(k6, ip6(kClient6, kVip6, 60, chain))), n > 8) << n;
        EXPECT_FALSE(taken(eth(k6, ip6(kServer6, kClient6, 60, chain)))) << n;
    }
}

TEST_F(Decide, TakesErrorsAboutServicesReplies) {
    const Bytes ours = tcp4(kVip, 80, kClient, 4000), ssh = tcp4(kVip, 22, kClient, 4000);
    for (uint8_t type : {3, 4, 11, 12}) {
        EXPECT_TRUE(taken(eth(k4, ip4(kRouter, kVip, icmp(type, ours), {.protocol = 1}))));
        EXPECT_FALSE(taken(eth(k4, ip4(kRouter, kVip, icmp(type, ssh), {.protocol = 1}))));
    }
    for (uint8_t type : {0, 5, 8, 13})
        EXPECT_FALSE(taken(eth(k4, ip4(kRouter, kVip, icmp(type, ours), {.protocol = 1}))));
    const Bytes options = tcp4(kVip, 80, kClient, 4000, {.options = 8});
    EXPECT_TRUE(taken(eth(k4, ip4(kRouter, kVip, icmp(3, options), {.protocol = 1}))));
    const Bytes later = ip4(kVip, kClient, Bytes(8), {.fragment = 0x10});
    EXPECT_TRUE(taken(eth(k4, ip4(kRouter, kVip, icmp(3, later), {.protocol = 1}))));
    const Bytes others = ip4(kClient, kVip, Bytes(8), {.fragment = 0x10});
    EXPECT_FALSE(taken(eth(k4, ip4(kRouter, kVip, icmp(3, others), {.protocol = 1}))));
    const Bytes echo = ip4(kVip, kClient, icmp(0, Bytes(8)), {.protocol = 1});
    EXPECT_FALSE(taken(eth(k4, ip4(kRouter, kVip, icmp(3, echo), {.protocol = 1}))));
    const Bytes ours6 = tcp6(kVip6, 80, kClient6, 4000), ssh6 = tcp6(kVip6, 22, kClient6, 4000);
    for (uint8_t type : {1, 2, 3, 4}) {
        EXPECT_TRUE(taken(eth(k6, ip6(kRouter6, kVip6, 58, icmp(type, ours6)))));
        EXPECT_FALSE(taken(eth(k6, ip6(kRouter6, kVip6, 58, icmp(type, ssh6)))));
    }
    const Bytes behind = ip6(kVip6, kClient6, 60, extension(6, ports(80, 4000)));
    EXPECT_TRUE(taken(eth(k6, ip6(kRouter6, kVip6, 0, extension(58, icmp(3, behind))))));
}

TEST_F(Decide, TakesErrorsAboutTranslatedRequests) {
    const Bytes to_server = tcp4(kClient, 4000, kServer, 8080);
    EXPECT_TRUE(taken(eth(k4, ip4(kRouter, kClient, icmp(3, to_server), {.protocol = 1}))));
    EXPECT_FALSE(taken(eth(k4, ip4(kRouter, kOwn, icmp(3, to_server), {.protocol = 1}))));
    EXPECT_FALSE(taken(eth(k4, ip4(kRouter, kClient, icmp(8, to_server), {.protocol = 1}))));
    const Bytes elsewhere = tcp4(kClient, 4000, kServer, 22);
    EXPECT_FALSE(taken(eth(k4, ip4(kRouter, kClient, icmp(3, elsewhere), {.protocol = 1}))));
    const Bytes later = ip4(kClient, kServer, Bytes(8), {.fragment = 0x10});
    EXPECT_TRUE(taken(eth(k4, ip4(kRouter, kClient, icmp(11, later), {.protocol = 1}))));
    const Bytes to_server6 = tcp6(kClient6, 4000, kServer6, 8080);
    EXPECT_TRUE(taken(eth(k6, ip6(kRouter6, kClient6, 58, icmp(2, to_server6)))));
    EXPECT_FALSE(taken(eth(k6, ip6(kRouter6, kOwn6, 58, icmp(2, to_server6)))));
}

// 203.0.113.0/24: TCP 80 to 443, UDP 53, nothing of TCP 100 to 110; inside it, /28 has SCTP
// besides.
SteeringSet with_marks() {
    SteeringSet s = example();
    const std::vector<MarkedPorts> outer = {{Protocol::tcp, 100, 110, false},
                                            {Protocol::tcp, 80, 443, true},
                                            {Protocol::udp, 53, 53, true}};
    std::vector<MarkedPorts> inner = outer;
    inner.insert(inner.begin(), {Protocol::sctp, 0, 65535, true});
    s.marks = {{*parse_prefix("203.0.113.0/24"), outer},
               {*parse_prefix("203.0.113.16/28"), inner},
               {*parse_prefix("2001:db8:7::/48"), {{Protocol::any, 1000, 2000, true}}},
               {*parse_prefix("192.0.2.1/32"), {{Protocol::tcp, 8000, 8000, true}}}};
    return s;
}

TEST_F(Decide, TakesMarkedPortsOfMarkedBlocks) {
    fill(with_marks());
    const auto taken_by = [](const char* to, uint16_t port, uint8_t protocol) {
        return taken(eth(k4, tcp4(kClient, 4000, to, port, {.protocol = protocol})));
    };
    for (const char* to : {"203.0.113.1", "203.0.113.17", "203.0.113.255"}) {
        for (uint16_t port : {80, 99, 111, 443}) EXPECT_TRUE(taken_by(to, port, 6)) << to << port;
        for (uint16_t port : {22, 79, 100, 110, 444}) EXPECT_FALSE(taken_by(to, port, 6)) << port;
        EXPECT_TRUE(taken_by(to, 53, 17));
        EXPECT_FALSE(taken_by(to, 80, 17));
    }
    EXPECT_TRUE(taken_by("203.0.113.31", 7, 132));
    EXPECT_FALSE(taken_by("203.0.113.32", 7, 132));
    EXPECT_FALSE(taken_by("203.0.112.255", 80, 6));
    EXPECT_TRUE(taken(eth(k6, tcp6(kClient6, 4000, "2001:db8:7:1::1", 2000))));
    EXPECT_FALSE(taken(eth(k6, tcp6(kClient6, 4000, "2001:db8:7:1::1", 2001))));
    EXPECT_FALSE(taken(eth(k6, tcp6(kClient6, 4000, "2001:db8:8::1", 1500))));
    // One of the host's own addresses, and services beside marks.
    EXPECT_TRUE(taken_by(kOwn, 8000, 6));
    EXPECT_FALSE(taken_by(kOwn, 22, 6));
    EXPECT_TRUE(taken_by(kVip, 80, 6));
    EXPECT_FALSE(taken_by(kVip, 22, 6));
}

TEST_F(Decide, TakesFragmentsOfMarkedBlocksAndErrorsAboutWhatCameFromThem) {
    fill(with_marks());
    const char* marked = "203.0.113.9";
    EXPECT_TRUE(taken(eth(k4, ip4(kClient, marked, Bytes(64), {.fragment = 0x10}))));
    EXPECT_FALSE(taken(eth(k4, ip4(kClient, marked, Bytes(64), {.protocol = 1, .fragment = 1}))));
    const auto error = [&](uint16_t port) {
        const Bytes quoted = tcp4(marked, port, kClient, 4000);
        return taken(eth(k4, ip4(kRouter, marked, icmp(3, quoted), {.protocol = 1})));
    };
    EXPECT_TRUE(error(80));
    EXPECT_FALSE(error(22));
    EXPECT_FALSE(taken(eth(k4, ip4(kClient, marked, icmp(8, Bytes(32)), {.protocol = 1}))));
    taken_between(eth(k4, tcp4(kClient, 4000, marked, 80)), 38, 9999);
}

TEST_F(Decide, ABlockWithTooManyPortsIsTakenWhole) {
    SteeringSet set = example();
    std::vector<MarkedPorts> ports;
    for (uint16_t n = 1; n <= kMaxMarkedPorts; ++n) ports.push_back({Protocol::tcp, n, n, true});
    set.marks = {{*parse_prefix("203.0.113.0/24"), ports}};
    fill(set);
    EXPECT_TRUE(taken(eth(k4, tcp4(kClient, 4000, "203.0.113.9", 16))));
    EXPECT_FALSE(taken(eth(k4, tcp4(kClient, 4000, "203.0.113.9", 17))));
    set.marks[0].ports.push_back({Protocol::tcp, 99, 99, true});
    fill(set);
    EXPECT_TRUE(taken(eth(k4, tcp4(kClient, 4000, "203.0.113.9", 17))));
    fill(example());
    EXPECT_FALSE(taken(eth(k4, tcp4(kClient, 4000, "203.0.113.9", 16))));
}

TEST_F(Decide, TakesErrorsAboutTunnelsAtTheHostsOwnAddresses) {
    SteeringSet set = example();
    set.tunnels = {{at(kServer), 0, Protocol(4)},
                   {at(kServer), 6080, Protocol::udp},
                   {at(kServer6), 0, Protocol(41)}};
    fill(set);
    const Bytes inside = tcp4(kClient, 4000, kVip, 80), inside6 = tcp6(kClient6, 4000, kVip6, 80);
    for (const char* own : {kOwn, kVip}) {
        const auto error = [&](uint8_t protocol, const Bytes& rest) {
            const Bytes quoted = ip4(own, kServer, rest, {.protocol = protocol});
            return taken(eth(k4, ip4(kRouter, own, icmp(3, quoted), {.protocol = 1})));
        };
        EXPECT_TRUE(error(4, inside));
        EXPECT_FALSE(error(47, inside));
        EXPECT_TRUE(error(17, ports(33000, 6080)));
        EXPECT_FALSE(error(17, ports(33000, 6081)));
        const Bytes elsewhere = ip4(own, kRouter, inside, {.protocol = 4});
        EXPECT_FALSE(taken(eth(k4, ip4(kRouter, own, icmp(3, elsewhere), {.protocol = 1}))));
    }
    const Bytes quoted6 = ip6(kOwn6, kServer6, 41, inside6);
    EXPECT_TRUE(taken(eth(k6, ip6(kRouter6, kOwn6, 58, icmp(2, quoted6)))));
    EXPECT_FALSE(taken(eth(k6, ip6(kRouter6, kOwn6, 58, icmp(128, quoted6)))));
}

TEST_F(Decide, CutAtEveryByte) {
    const size_t all = 9999;
    // To a VIP: from where its address can be read, and never again the kernel's.
    taken_between(eth(k4, tcp4(kClient, 4000, kVip, 80, {.options = 12})), 34, all);
    taken_between(eth(k6, tcp6(kClient6, 4000, kVip6, 80)), 54, all);
    taken_between(eth(k6, ip6(kClient6, kVip6, 0, extension(60, extension(6, ports(1, 80), 2)))),
                  54, all);
    taken_between(eth(0x88a8, tag(7, 0x8100, tag(8, k4, tcp4(kClient, 4000, kVip, 80)))), 42, all);
    // Of what is not torii's, the part that cannot be told from a service's packet.
    taken_between(eth(k4, tcp4(kClient, 4000, kVip, 22)), 34, 37);
    taken_between(eth(k6, ip6(kClient6, kVip6, 60, extension(6, ports(4000, 22)))), 54, 65);
    taken_between(eth(k4, ip4(kClient, kVip, icmp(8, Bytes(9)), {.protocol = 1})), 34, 34);
    const Bytes ssh = tcp4(kVip, 22, kClient, 4000);
    taken_between(eth(k4, ip4(kRouter, kVip, icmp(3, ssh), {.protocol = 1})), 34, 65);
    // Not to a VIP: only what can be read as a server's.
    taken_between(eth(k4, tcp4(kServer, 8080, kClient, 4000)), 38, all);
    taken_between(eth(k6, tcp6(kServer6, 8080, kClient6, 4000)), 58, all);
    const Bytes request = tcp4(kClient, 4000, kServer, 8080);
    taken_between(eth(k4, ip4(kRouter, kClient, icmp(3, request), {.protocol = 1})), 66, all);
    taken_between(eth(k4, tcp4(kClient, 4000, kOwn, 80)), all, all);
}

TEST_F(Decide, BadHeaderLengths) {
    for (uint8_t ihl = 0; ihl < 5; ++ihl) {
        Bytes frame = eth(k4, tcp4(kClient, 4000, kVip, 22));
        frame[14] = uint8_t(0x40 | ihl);
        EXPECT_TRUE(taken(frame)) << int(ihl);
        Bytes transit = eth(k4, tcp4(kServer, 8080, kClient, 22));
        transit[14] = uint8_t(0x40 | ihl);
        EXPECT_FALSE(taken(transit)) << int(ihl);
    }
    Bytes six = eth(k4, tcp4(kClient, 4000, kVip, 80));
    six[14] = 0x65;
    EXPECT_FALSE(taken(six));
    Bytes four = eth(k6, tcp6(kClient6, 4000, kVip6, 80));
    four[14] = 0x40;
    EXPECT_FALSE(taken(four));
}

TEST_F(Decide, OnlyFramesToOurMacs) {
    const Bytes packet = tcp4(kClient, 4000, kVip, 80);
    EXPECT_FALSE(taken(eth(k4, packet, Bytes(6, 0xff))));
    EXPECT_FALSE(taken(eth(k4, packet, {1, 0, 0x5e, 0, 0, 1})));
    EXPECT_TRUE(taken(eth(k4, packet, {2, 0, 0, 0, 0, 2})));
    SteeringSet set = example();
    set.macs = {*parse_mac("02:00:00:00:00:01")};
    fill(set);
    EXPECT_TRUE(taken(eth(k4, packet)));
    EXPECT_FALSE(taken(eth(k4, packet, {2, 0, 0, 0, 0, 2})));
}

TEST_F(Decide, NothingIsTakenWithEmptyMaps) {
    fill({});
    EXPECT_FALSE(taken(eth(k4, tcp4(kClient, 4000, kVip, 80))));
    EXPECT_FALSE(taken(eth(k4, tcp4(kServer, 8080, kClient, 4000))));
    fill(example());
    EXPECT_TRUE(taken(eth(k4, tcp4(kClient, 4000, kVip, 80))));
}

TEST_F(Decide, MapsHoldWhatTheyPromiseAndSayWhenTheyAreFull) {
    SteeringSet set;
    for (uint32_t n = 0; n < TORII_MAX_VIPS; ++n)
        set.vips.push_back(Address::v4(be32::from_host(0x0a000000 + n)));
    auto maps = maps_of(program(0));
    ASSERT_TRUE(maps);
    fill({});
    EXPECT_TRUE(add_keys(*maps, keys_of(set)));
    set.vips.push_back(at("172.16.0.1"));
    const auto full = add_keys(*maps, keys_of(set));
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code, Errc::full);
    EXPECT_EQ(full.error().message, "map vips is full: 65537 keys are wanted");
}

}  // namespace
}  // namespace torii::xdp
