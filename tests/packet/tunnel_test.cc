// Tunnels: the packet inside changes only in its time to live; what stands in front of it is built
// here a second time, from words.

#include <gmock/gmock.h>

#include "tests/support/pieces.h"
#include "tests/support/world/world.h"

namespace torii::test {
namespace {

using stages::Verdict;
using Type = shm::TunnelType;
using Sum = shm::TunnelChecksum;

constexpr uint16_t kPort = 6080;
constexpr const char *kRouter = "10.0.0.254", *kRouter6 = "2001:db8:b::fe";

struct Kind {
    const char* name;
    shm::Tunnel tunnel;
    bool inner6, outer6;
    size_t front;
};
const shm::Tunnel kIpip{}, kGue{Type::gue, Sum::none, be16::from_host(kPort)},
    kGueSum{Type::gue, Sum::full, be16::from_host(kPort)},
    kGueRemote{Type::gue, Sum::remote, be16::from_host(kPort)}, kGre{Type::gre},
    kGreSum{Type::gre, Sum::full};

Bytes joined(Bytes a, const Bytes& b) { return a.insert(a.end(), b.begin(), b.end()), a; }

// The slow and obvious one, for GRE.
unsigned checksum(const Bytes& b) {
    unsigned sum = 0;
    for (size_t i = 0; i < b.size(); ++i) sum += unsigned(b[i]) << (i % 2 ? 0 : 8);
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

struct Tunnels : testing::TestWithParam<Kind> {
    Tunnels() {
        service = world.service(vip(), 80);
        slot = world.backend(service, server(), 80, shm::Forward::tunnel);
        world.services.backends[slot].record.tunnel = GetParam().tunnel;
        world.publish();
    }
    bool inner6() const { return GetParam().inner6; }
    bool outer6() const { return GetParam().outer6; }
    const char* vip() const { return inner6() ? kVip6 : kVip; }
    const char* client() const { return inner6() ? kClient6 : kClient; }
    const char* server() const { return outer6() ? kServer6 : kServer; }
    const char* ourself() const { return outer6() ? kOurself6 : kOurself; }
    Frame request(uint8_t flags = kSyn) const {
        Frame f = Frame().ip(client(), vip()).tcp(40000, 80, flags);
        return inner6() ? f : f.dont_fragment();
    }
    // What stands between the outer IP header and the packet.
    Frame outer(const Bytes& inside, uint16_t source_port = 0) const {
        const shm::Tunnel& t = GetParam().tunnel;
        Frame f = Frame().ip(ourself(), server());
        if (t.type == Type::ipip) return f.protocol(inner6() ? 41 : 4).payload(inside);
        if (t.type == Type::gue) {
            f.udp(source_port, kPort)
                .payload(joined(bytes_of({0, inner6() ? 41 : 4, 0, 0}), inside));
            return t.checksum == Sum::none ? f.no_checksum() : f;
        }
        const int type = inner6() ? 0x86dd : 0x0800;
        Bytes gre = bytes_of({0, 0, type >> 8, type & 0xff});
        if (t.checksum == Sum::none) return f.protocol(47).payload(joined(gre, inside));
        gre[0] = std::byte(0x80);
        const unsigned sum = checksum(joined(joined(gre, Bytes(4)), inside));
        return f.protocol(47).payload(
            joined(joined(gre, bytes_of({int(sum >> 8), int(sum & 0xff), 0, 0})), inside));
    }
    uint16_t source_port(const Bytes& frame) const {
        const size_t at = 14 + (outer6() ? 40 : 20);
        return uint16_t(unsigned(frame.at(at)) << 8 | unsigned(frame.at(at + 1)));
    }
    // The whole frame that `sent` must be.
    Bytes expected(const Sent& sent, Frame inside, uint16_t id) const {
        const uint8_t ttl = 63;
        Frame f = outer(inside.ttl(ttl).packet(), source_port(sent.frame));
        f.ttl(ttl).eth(kPort1Mac, kServerMac);
        if (!outer6()) inner6() ? f.id(id) : f.id(0).dont_fragment();
        return f.bytes();
    }
    World world;
    uint32_t service = 0, slot = 0;
};

TEST_P(Tunnels, PutTheOuterHeadersInFront) {
    for (uint8_t flags : {kSyn, kAck, uint8_t(kAck | kFin)}) {
        const Frame in = request(flags).payload(filler(99));
        const uint16_t id = world.state().ip_id;
        const Sent out = world.send(in);
        EXPECT_EQ(out.verdict, Verdict::tunnel);
        EXPECT_EQ(out.port, 1);
        EXPECT_EQ(diff(out.frame, expected(out, in, id)), "");
        EXPECT_EQ(out.frame.size(), in.bytes().size() + GetParam().front);
    }
    EXPECT_EQ(world.backend_row(slot).in_packets.get(), 3u);
    EXPECT_EQ(world.backend_row(slot).in_bytes.get(),
              3 * request().payload(filler(99)).packet().size());
}

TEST_P(Tunnels, NeedRoomInFront) {
    const auto front = uint16_t(GetParam().front);
    EXPECT_EQ(world.send(request(), {.headroom = uint16_t(front - 1)}).verdict,
              Verdict::drop_no_memory);
    EXPECT_EQ(world.send(request(), {.headroom = front}).verdict, Verdict::tunnel);
}

TEST_P(Tunnels, NeedAnAddressToComeFrom) {
    for (auto& n : world.routes.neighbours) n.local = {};
    world.publish();
    EXPECT_EQ(world.send(request()).verdict, Verdict::drop_no_source);
}

TEST_P(Tunnels, TakeTheirOverheadFromTheMtu) {
    const size_t fits = 1500 - GetParam().front, headers = (inner6() ? 40 : 20) + 20;
    EXPECT_EQ(world.send(request().payload(filler(fits - headers))).verdict, Verdict::tunnel);
    const Sent out = world.send(request().payload(filler(fits - headers + 1)), {.tailroom = 64});
    EXPECT_EQ(out.verdict, Verdict::answered_too_big);
    EXPECT_EQ(out.port, 0);
    const size_t at = 14 + (inner6() ? 40 : 20) + 6;
    EXPECT_EQ(unsigned(out.frame.at(at)) << 8 | unsigned(out.frame.at(at + 1)), fits);
    EXPECT_EQ(wrong_checksums(out.frame), "");
}

// Who lets routers fragment gets through: what leaves is the tunnel's packet in pieces.
TEST_P(Tunnels, LeaveInPiecesWhereTheSenderAllowsIt) {
    if (inner6()) return;
    for (const bool forbidden : {false, true}) {
        if (forbidden) {
            world.services.behaviour.pmtu_disc = 0;  // whatever the sender says
            world.publish();
        }
        Frame in = Frame().ip(client(), vip()).tcp(40000, 80, kAck).payload(filler(1460));
        world.send(request());
        const Sent out = world.send(forbidden ? in.dont_fragment() : in);
        ASSERT_EQ(out.verdict, Verdict::tunnel);
        ASSERT_EQ(out.pieces.size(), 2u);
        for (const Bytes& b : out.pieces) {
            EXPECT_LE(b.size(), 14 + 1500u);
            EXPECT_TRUE(std::equal(b.begin(), b.begin() + 14, out.frame.begin()));
        }
        Bytes packet(out.frame.begin() + 14, out.frame.end()), got = together(out.pieces);
        EXPECT_EQ(packet.size(), 1500 + GetParam().front);
        ASSERT_EQ(got.size(), packet.size());
        if (!outer6())  // together() gives it an identification
            for (size_t at : {4, 5, 10, 11}) got[at] = packet[at];
        EXPECT_EQ(diff(got, packet), "");
        EXPECT_EQ(wrong_checksums(out.frame), "");
    }
}

TEST_P(Tunnels, CutOffPaddingAndKeepTheirPlaceBehindTags) {
    const uint16_t id = world.state().ip_id;
    const Frame in = request();
    const Sent padded = world.send(Frame(in).pad_to(120));
    EXPECT_EQ(diff(padded.frame, expected(padded, in, id)), "");
    const Sent tagged = world.send(Frame(in).vlan(7, 3));
    EXPECT_EQ(diff(tagged.frame, expected(tagged, in, uint16_t(id + 1))), "");
}

TEST_P(Tunnels, WaitForTheirNeighbour) {
    const auto neighbours = world.routes.neighbours;
    world.routes.neighbours.clear();
    for (auto& r : world.routes.routes)
        for (auto& h : r.hops)
            if (h.port == 1) h.local = *parse_address(ourself());
    world.publish();
    const uint16_t id = world.state().ip_id;
    Sent out = world.send(request());
    EXPECT_TRUE(out.held);
    shm::Event e;
    ASSERT_TRUE(world.events().pop(e));
    EXPECT_EQ(to_string(e.address), server());
    world.routes.neighbours = neighbours;
    world.publish();
    EXPECT_TRUE(world.resolve_held(out));
    EXPECT_EQ(out.verdict, Verdict::tunnel);
    EXPECT_EQ(diff(out.frame, expected(out, request(), id)), "");
}

TEST_P(Tunnels, CarryErrorsFromTheClientsSideWhole) {
    world.send(request());
    const Frame about = Frame().ip(vip(), client()).tcp(80, 40000, kAck).payload("some bytes");
    Frame in = Frame()
                   .ip(client(), vip())
                   .icmp(inner6() ? 1 : 3, inner6() ? 0 : 1)
                   .payload(about.packet());
    if (!inner6()) in.dont_fragment();
    const uint16_t id = world.state().ip_id;
    const Sent out = world.send(in);
    EXPECT_EQ(out.verdict, Verdict::icmp_related);
    EXPECT_EQ(diff(out.frame, expected(out, in, id)), "");
}

// However much of the packet inside is quoted, from its ports alone on.
TEST_P(Tunnels, ErrorsAboutThemBecomeErrorsAboutThePacketInside) {
    world.send(request());
    const Bytes inside = request().ttl(63).payload(filler(40)).packet(),
                quoted = outer(inside, 33000).packet();
    const char* router = outer6() ? kRouter6 : kRouter;
    for (size_t left = (inner6() ? 40 : 20) + 4; left <= inside.size(); ++left) {
        const Bytes piece(quoted.begin(),
                          quoted.begin() + long(quoted.size() - inside.size() + left));
        const Frame in =
            Frame().ip(router, ourself()).icmp(outer6() ? 1 : 3, outer6() ? 3 : 1).payload(piece);
        const Sent out = world.send(in, {.port = 1});
        ASSERT_EQ(out.verdict, Verdict::icmp_related) << left;
        EXPECT_EQ(out.port, 0);
        Frame want = Frame()
                         .ip(vip(), client())
                         .icmp(inner6() ? 1 : 3, inner6() ? 3 : 1)
                         .payload(Bytes(inside.begin(), inside.begin() + long(left)))
                         .eth(kPort0Mac, kClientMac);
        if (!inner6()) want.tos(0xc0).id(uint16_t(world.state().ip_id - 1));
        EXPECT_EQ(diff(out.frame, want.bytes()), "") << left;
    }
    EXPECT_EQ(world.backend_row(slot).in_packets.get(), 1u);
    EXPECT_EQ(world.backend_row(slot).out_packets.get(), 0u);
}

TEST_P(Tunnels, TooLongOnTheWayIsToldWithWhatTheTunnelLeaves) {
    world.send(request());
    const Bytes quoted = outer(request().ttl(63).payload(filler(40)).packet(), 33000).packet();
    const auto told = [&](uint32_t mtu) -> unsigned {
        const Frame in = Frame()
                             .ip(outer6() ? kRouter6 : kRouter, ourself())
                             .icmp(outer6() ? 2 : 3, outer6() ? 0 : 4, mtu)
                             .payload(quoted);
        const Sent out = world.send(in, {.port = 1});
        EXPECT_EQ(out.verdict, Verdict::icmp_related);
        const size_t icmp = 14 + (inner6() ? 40 : 20);
        EXPECT_EQ(unsigned(out.frame.at(icmp)), inner6() ? 2u : 3u);
        EXPECT_EQ(unsigned(out.frame.at(icmp + 1)), inner6() ? 0u : 4u);
        EXPECT_EQ(wrong_checksums(out.frame), "");
        return unsigned(out.frame.at(icmp + 6)) << 8 | unsigned(out.frame.at(icmp + 7));
    };
    EXPECT_EQ(told(1400), 1400 - GetParam().front);
    EXPECT_EQ(told(30), inner6() ? 1280u : 68u);
}

TEST_P(Tunnels, OtherErrorsAtTheirStartAreTheKernels) {
    world.send(request());
    const char *router = outer6() ? kRouter6 : kRouter,
               *other = outer6() ? "2001:db8:b::8" : kServer2;
    const auto verdict = [&](const char* to, const Bytes& quoted) {
        return world
            .send(Frame().ip(router, to).icmp(outer6() ? 1 : 3, 0).payload(quoted), {.port = 1})
            .verdict;
    };
    const Bytes good = outer(request().packet(), 33000).packet();
    EXPECT_EQ(verdict(ourself(), good), Verdict::icmp_related);
    // Cut before the ports inside, to another server, of another connection, from somebody else.
    for (size_t n = 0; n < GetParam().front + (inner6() ? 44 : 24); ++n)
        EXPECT_EQ(verdict(ourself(), Bytes(good.begin(), good.begin() + long(n))),
                  Verdict::kernel_not_ours)
            << n;
    EXPECT_EQ(
        verdict(ourself(), Frame(outer(request().packet(), 33000)).ip(ourself(), other).packet()),
        Verdict::kernel_not_ours);
    Frame stranger = Frame().ip(client(), vip()).tcp(40001, 80, kSyn);
    EXPECT_EQ(verdict(ourself(), outer(stranger.packet(), 33000).packet()),
              Verdict::kernel_not_ours);
    EXPECT_EQ(verdict(other, good), Verdict::kernel_not_ours);
    Bytes bad = Frame().ip(router, ourself()).icmp(outer6() ? 1 : 3, 0).payload(good).bytes();
    bad.back() ^= std::byte(1);
    EXPECT_EQ(world.send(bad, {.port = 1}).verdict, Verdict::drop_bad_checksum);
}

INSTANTIATE_TEST_SUITE_P(All, Tunnels,
                         testing::Values(Kind{"ipip_4in4", kIpip, false, false, 20},
                                         Kind{"ipip_6in6", kIpip, true, true, 40},
                                         Kind{"ipip_4in6", kIpip, false, true, 40},
                                         Kind{"ipip_6in4", kIpip, true, false, 20},
                                         Kind{"gue_4in4", kGue, false, false, 32},
                                         Kind{"gue_6in4", kGue, true, false, 32},
                                         Kind{"gue_checksum_4in6", kGueSum, false, true, 52},
                                         Kind{"gue_checksum_6in6", kGueSum, true, true, 52},
                                         Kind{"gue_remote_4in4", kGueRemote, false, false, 32},
                                         Kind{"gre_4in4", kGre, false, false, 24},
                                         Kind{"gre_6in6", kGre, true, true, 44},
                                         Kind{"gre_checksum_6in4", kGreSum, true, false, 28},
                                         Kind{"gre_checksum_4in6", kGreSum, false, true, 48}),
                         [](const auto& i) { return i.param.name; });

TEST(TunnelRules, ATableThatIsFullForwardsByHash) {
    World world(64);
    const auto s = world.service(kVip, 80);
    world.backend(s, kServer, 80, shm::Forward::tunnel);
    world.publish();
    const auto send = [&](uint16_t port, uint8_t flags) {
        return world.send(Frame().ip(kClient, kVip).tcp(port, 80, flags));
    };
    for (uint16_t port = 1; world.counters().table_full.get() == 0 && port < 10'000; ++port) {
        send(port, kSyn);
        send(port, kAck);
    }
    const Sent out = send(20'000, kSyn);
    ASSERT_EQ(out.verdict, Verdict::stateless);
    EXPECT_EQ(unsigned(out.frame.at(14 + 9)), 4u);
}

TEST(TunnelRules, CongestionAndTypeOfServiceAreCopied) {
    World world;
    const auto s = world.service(kVip, 80);
    world.backend(s, kServer, 80, shm::Forward::tunnel);
    world.services.behaviour.pmtu_disc = 0;
    world.publish();
    const auto outer_words = [&](uint8_t tos) {
        const Sent out =
            world.send(Frame().ip(kClient, kVip).tos(tos).dont_fragment().tcp(40000, 80, kSyn));
        return std::pair(unsigned(out.frame.at(15)), unsigned(out.frame.at(20)));
    };
    EXPECT_EQ(outer_words(0xb9), std::pair(0xb9u, 0u));  // pmtu_disc 0: never "don't fragment"
    EXPECT_EQ(outer_words(0xbb), std::pair(0xbau, 0u));
}

}  // namespace
}  // namespace torii::test
