// What torii answers by itself: no backend, time exceeded, too big.

#include <gmock/gmock.h>

#include "tests/support/world/world.h"

namespace torii::test {
namespace {

using stages::Verdict;

Bytes hex(std::string_view text) {
    Bytes b;
    for (size_t i = 0; i + 1 < text.size();) {
        if (text[i] == ' ') {
            ++i;
            continue;
        }
        b.push_back(std::byte(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
        i += 2;
    }
    return b;
}

struct Answers : testing::Test {
    // A service without a backend, one by NAT, one by direct routing; IPv4 and IPv6.
    Answers() {
        world.service(kVip, 80);
        world.service(kVip6, 80);
        world.service(kVip, 53, Protocol::udp);
        world.backend(world.service(kVip, 443), kServer, 8443, shm::Forward::nat);
        world.backend(world.service(kVip6, 443), kServer6, 8443, shm::Forward::nat);
        world.backend(world.service(kVip, 444), kServer, 444, shm::Forward::dr);
        world.publish();
    }
    World world;
};

// 60 bytes of SYN come back as 88 bytes of ICMP, byte for byte what Linux 6.1 with IPVS sends.
TEST_F(Answers, NoDestinationAsTheKernelSendsIt) {
    const Bytes options = hex("020405b4 0402080a 11223344 00000000 01030307");
    const Frame syn = Frame()
                          .ip(kClient, kVip)
                          .eth(kClientMac, kPort0Mac)
                          .dont_fragment()
                          .tcp(40000, 80, kSyn, options);
    ASSERT_EQ(syn.packet().size(), 60u);
    const Sent out = world.send(syn);
    EXPECT_EQ(out.verdict, Verdict::answered_no_backend);
    EXPECT_EQ(out.port, 0);
    Bytes want =
        hex("02 00 00 00 00 01 02 00 00 00 00 02 08 00"        // back to the client
            "45 c0 00 58 00 01 00 00 40 01 8d a5 c0 00 02 0a"  // TOS c0, TTL 64, from the VIP
            "c6 33 64 01 03 03 00 00 00 00 00 00");
    const Bytes quoted = syn.packet();
    want.insert(want.end(), quoted.begin(), quoted.end());
    const Frame built = Frame()
                            .ip(kVip, kClient)
                            .eth(kPort0Mac, kClientMac)
                            .tos(0xc0)
                            .id(1)
                            .icmp(3, 3)
                            .payload(quoted);
    EXPECT_EQ(out.frame.size(), 14u + 88);
    EXPECT_EQ(diff(out.frame, built.bytes()), "");
    want[36] = built.bytes()[36], want[37] = built.bytes()[37];  // the checksum of the quote
    EXPECT_EQ(diff(out.frame, want), "");
    EXPECT_EQ(wrong_checksums(out.frame), "");
}

TEST_F(Answers, NoDestinationOverIpv6AndForUdp) {
    const Frame syn = Frame().ip(kClient6, kVip6).eth(kClientMac, kPort0Mac).tcp(40000, 80, kSyn);
    const Sent six = world.send(syn);
    EXPECT_EQ(six.verdict, Verdict::answered_no_backend);
    EXPECT_EQ(diff(six.frame, Frame()
                                  .ip(kVip6, kClient6)
                                  .eth(kPort0Mac, kClientMac)
                                  .icmp(1, 4)
                                  .payload(syn.packet())
                                  .bytes()),
              "");
    const Frame query =
        Frame().ip(kClient, kVip).eth(kClientMac, kPort0Mac).tos(0x12).udp(4000, 53);
    const Sent udp = world.send(query);
    EXPECT_EQ(udp.verdict, Verdict::answered_no_backend);
    EXPECT_EQ(diff(udp.frame, Frame()
                                  .ip(kVip, kClient)
                                  .eth(kPort0Mac, kClientMac)
                                  .tos(0xd2)
                                  .id(1)
                                  .icmp(3, 3)
                                  .payload(query.packet())
                                  .bytes()),
              "");
}

TEST_F(Answers, AWeightOfZeroIsNoDestination) {
    world.edit_backend(0, 0);
    world.publish();
    EXPECT_EQ(world.send(Frame().ip(kClient, kVip).tcp(1, 443, kSyn)).verdict,
              Verdict::answered_no_backend);
}

TEST_F(Answers, QuotesWhatFitsInto576Or1280Bytes) {
    const Frame big =
        Frame().ip(kClient, kVip).eth(kClientMac, kPort0Mac).udp(4000, 53).payload(filler(1400));
    Bytes quoted = big.packet();
    quoted.resize(548);
    const Sent four = world.send(big);
    EXPECT_EQ(four.frame.size(), 14u + 576);
    EXPECT_EQ(diff(four.frame, Frame()
                                   .ip(kVip, kClient)
                                   .eth(kPort0Mac, kClientMac)
                                   .tos(0xc0)
                                   .id(1)
                                   .icmp(3, 3)
                                   .payload(quoted)
                                   .bytes()),
              "");
    const Frame big6 = Frame().ip(kClient6, kVip6).tcp(4000, 80, kSyn).payload(filler(1400));
    EXPECT_EQ(world.send(big6).frame.size(), 14u + 1280);
}

// Wherever the room is, the answer is the same; without any it cannot be made.
TEST_F(Answers, MakesRoomInFrontOrBehind) {
    const Frame syn = Frame().ip(kClient, kVip).vlan(7, 5).pad_to(64).tcp(40000, 80, kSyn);
    const Sent front = world.send(syn, {.headroom = 28, .tailroom = 0});
    world.state().ip_id = 1;
    const Sent behind = world.send(syn, {.headroom = 27, .tailroom = 28});
    EXPECT_EQ(front.verdict, Verdict::answered_no_backend);
    EXPECT_EQ(diff(front.frame, behind.frame), "");
    EXPECT_EQ(diff(front.frame, Frame()
                                    .ip(kVip, kClient)
                                    .eth(kPort0Mac, kClientMac)
                                    .vlan(7, 5)
                                    .tos(0xc0)
                                    .id(1)
                                    .icmp(3, 3)
                                    .payload(syn.packet())
                                    .bytes()),
              "");
    EXPECT_EQ(world.send(syn, {.headroom = 27, .tailroom = 0}).verdict, Verdict::drop_no_memory);
}

TEST_F(Answers, AreRateLimited) {
    int answered = 0, dropped = 0;
    for (int i = 0; i < 80; ++i) {
        const Verdict v =
            world.send(Frame().ip(kClient, kVip).tcp(uint16_t(i + 1000), 80, kSyn)).verdict;
        answered += v == Verdict::answered_no_backend;
        dropped += v == Verdict::drop_no_backend;
    }
    EXPECT_EQ(answered, 50);
    EXPECT_EQ(dropped, 30);
    world.pass(10);  // a thousand a second
    answered = 0;
    for (int i = 0; i < 80; ++i)
        answered += world.send(Frame().ip(kClient, kVip).tcp(uint16_t(i + 1000), 80, kSyn)).verdict ==
                    Verdict::answered_no_backend;
    EXPECT_EQ(answered, 10);
}

TEST_F(Answers, NothingThatWasSentToMany) {
    EXPECT_EQ(
        world.send(Frame().ip(kClient, kVip).eth(kClientMac, "ff:ff:ff:ff:ff:ff").tcp(1, 80, kSyn))
            .verdict,
        Verdict::drop_no_backend);
}

TEST_F(Answers, TimeExceededComesFromThePort) {
    const Frame in = Frame().ip(kClient, kVip).eth(kClientMac, kPort0Mac).tcp(40000, 443, kSyn);
    EXPECT_EQ(world.send(in).verdict, Verdict::nat_request);
    for (uint8_t ttl : {0, 1}) {
        world.state().ip_id = 1;
        const Frame last = Frame(in).ttl(ttl);
        const Sent out = world.send(last);
        EXPECT_EQ(out.verdict, Verdict::answered_ttl);
        EXPECT_EQ(diff(out.frame, Frame()
                                      .ip("198.51.100.2", kClient)
                                      .eth(kPort0Mac, kClientMac)
                                      .tos(0xc0)
                                      .id(1)
                                      .icmp(11, 0)
                                      .payload(last.packet())
                                      .bytes()),
                  "");
    }
    // The server's answer that has travelled too far: told to the server, untranslated.
    world.state().ip_id = 1;
    const Frame back = Frame()
                           .ip(kServer, kClient)
                           .eth(kServerMac, kPort1Mac)
                           .ttl(1)
                           .tcp(8443, 40000, kSyn | kAck);
    const Sent out = world.send(back, {.port = 1});
    EXPECT_EQ(out.verdict, Verdict::answered_ttl);
    EXPECT_EQ(out.port, 1);
    EXPECT_EQ(diff(out.frame, Frame()
                                  .ip("10.0.0.1", kServer)
                                  .eth(kPort1Mac, kServerMac)
                                  .tos(0xc0)
                                  .id(1)
                                  .icmp(11, 0)
                                  .payload(back.packet())
                                  .bytes()),
              "");
    const Frame six =
        Frame().ip(kClient6, kVip6).eth(kClientMac, kPort0Mac).ttl(1).tcp(4, 443, kSyn);
    EXPECT_EQ(diff(world.send(six).frame, Frame()
                                              .ip("2001:db8:c::2", kClient6)
                                              .eth(kPort0Mac, kClientMac)
                                              .icmp(3, 0)
                                              .payload(six.packet())
                                              .bytes()),
              "");
    // Port 1 has no IPv6 address: the virtual one stands in.
    const Frame six_back =
        Frame().ip(kServer6, kClient6).eth(kServerMac, kPort1Mac).ttl(1).tcp(8443, 4, kSyn | kAck);
    EXPECT_EQ(diff(world.send(six_back, {.port = 1}).frame, Frame()
                                                                .ip(kVip6, kServer6)
                                                                .eth(kPort1Mac, kServerMac)
                                                                .icmp(3, 0)
                                                                .payload(six_back.packet())
                                                                .bytes()),
              "");
}

TEST_F(Answers, TimeExceededIsNeverAboutAnError) {
    world.send(Frame().ip(kClient, kVip).tcp(40000, 443, kSyn));
    const Frame error = Frame()
                            .ip(kClient, kVip)
                            .ttl(1)
                            .icmp(3, 1)
                            .payload(Frame().ip(kVip, kClient).tcp(443, 40000, kAck).packet());
    EXPECT_EQ(world.send(error).verdict, Verdict::drop_ttl);
}

struct TooBig : Answers {
    TooBig() {
        for (auto& n : world.routes.neighbours)
            if (n.ifindex == 11) n.mtu = 1400;
        world.publish();
    }
};

TEST_F(TooBig, IsAnsweredWithTheMtu) {
    const Frame in = Frame().ip(kClient, kVip).eth(kClientMac, kPort0Mac).dont_fragment();
    EXPECT_EQ(world.send(Frame(in).tcp(1, 443, kSyn).payload(filler(1360))).verdict,
              Verdict::nat_request);
    for (uint16_t port : {443, 444}) {
        const Frame over = Frame(in).tcp(1, port, kSyn).payload(filler(1361));
        world.state().ip_id = 1;
        const Sent out = world.send(over);
        EXPECT_EQ(out.verdict, Verdict::answered_too_big);
        Bytes quoted = over.packet();
        quoted.resize(548);
        EXPECT_EQ(diff(out.frame, Frame()
                                      .ip("198.51.100.2", kClient)
                                      .eth(kPort0Mac, kClientMac)
                                      .tos(0xc0)
                                      .id(1)
                                      .icmp(3, 4, 1400)
                                      .payload(quoted)
                                      .bytes()),
                  "");
    }
    const Frame six = Frame()
                          .ip(kClient6, kVip6)
                          .eth(kClientMac, kPort0Mac)
                          .tcp(1, 443, kSyn)
                          .payload(filler(1400));
    Bytes quoted = six.packet();
    quoted.resize(1232);
    EXPECT_EQ(diff(world.send(six).frame, Frame()
                                              .ip("2001:db8:c::2", kClient6)
                                              .eth(kPort0Mac, kClientMac)
                                              .icmp(2, 0, 1400)
                                              .payload(quoted)
                                              .bytes()),
              "");
}

TEST_F(TooBig, WithoutDontFragmentItIsCutUp) {
    const Sent s = world.send(Frame().ip(kClient, kVip).tcp(1, 443, kSyn).payload(filler(1361)));
    EXPECT_EQ(s.verdict, Verdict::nat_request);
    ASSERT_EQ(s.pieces.size(), 2u);
    EXPECT_LE(s.pieces[0].size(), 1414u);
    EXPECT_EQ(s.pieces[0].size() + s.pieces[1].size(), s.frame.size() + 34);
}

TEST_F(TooBig, UnknownMtuLimitsNothing) {
    for (auto& n : world.routes.neighbours) n.mtu = 0;
    world.publish();
    EXPECT_EQ(
        world
            .send(Frame().ip(kClient, kVip).dont_fragment().tcp(1, 443, kSyn).payload(filler(9000)))
            .verdict,
        Verdict::nat_request);
}

}  // namespace
}  // namespace torii::test
