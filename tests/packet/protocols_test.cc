// SCTP connections, services of firewall marks, UDP without checksum, and backends on this machine.

#include <gmock/gmock.h>

#include "dataplane/stages/marks.h"
#include "dataplane/stages/sctp.h"
#include "tests/support/world/sctp.h"
#include "tests/support/world/world.h"

namespace torii::test {
namespace {

using flow::SctpState;
using stages::Verdict;
using enum flow::SctpEvent;

// A packet of one chunk of that type, sealed.
Bytes sctp(uint16_t source, uint16_t destination, uint8_t chunk, size_t data = 20) {
    return sctp_packet(source, destination, chunk, data);
}
constexpr uint8_t kData = 0, kInit = 1, kInitAck = 2, kAbort = 6, kShutdown = 7, kShutdownAck = 8,
                  kCookieEcho = 10, kCookieAck = 11;

struct Sctp : testing::TestWithParam<bool> {
    bool v6() const { return GetParam(); }
    const char* client() const { return v6() ? kClient6 : kClient; }
    const char* vip() const { return v6() ? kVip6 : kVip; }
    const char* server() const { return v6() ? kServer6 : kServer; }
    void serve(shm::Forward forward, uint16_t port) {
        slot = world.backend(world.service(vip(), 2905, Protocol::sctp), server(), port, forward);
        world.publish();
    }
    Frame request(uint8_t chunk, uint16_t port = 40000) const {
        return Frame().ip(client(), vip()).protocol(132).payload(sctp(port, 2905, chunk));
    }
    Frame reply(uint8_t chunk) const {
        return Frame().ip(server(), client()).protocol(132).payload(sctp(3905, 40000, chunk));
    }
    SctpState state(const Sent& s) const { return SctpState(world.word(s).state); }
    World world;
    uint32_t slot = 0;
};

TEST_P(Sctp, NatRewritesPortsAndSealsAgain) {
    serve(shm::Forward::nat, 3905);
    const Sent out = world.send(request(kInit));
    EXPECT_EQ(out.verdict, Verdict::nat_request);
    EXPECT_EQ(diff(out.frame, Frame()
                                  .ip(client(), server())
                                  .protocol(132)
                                  .payload(sctp(40000, 3905, kInit))
                                  .ttl(63)
                                  .eth(kPort1Mac, kServerMac)
                                  .bytes()),
              "");
    EXPECT_EQ(state(out), SctpState::init1);
    const Sent back = world.send(reply(kInitAck), {.port = 1});
    EXPECT_EQ(back.verdict, Verdict::nat_reply);
    EXPECT_EQ(diff(back.frame, Frame()
                                   .ip(vip(), client())
                                   .protocol(132)
                                   .payload(sctp(2905, 40000, kInitAck))
                                   .ttl(63)
                                   .eth(kPort0Mac, kClientMac)
                                   .bytes()),
              "");
    EXPECT_EQ(state(back), SctpState::cookie_sent);
    EXPECT_EQ(state(world.send(request(kCookieEcho))), SctpState::cookie_replied);
    EXPECT_EQ(world.backend_row(slot).active.get(), 0u);
    EXPECT_EQ(state(world.send(reply(kCookieAck), {.port = 1})), SctpState::established);
    EXPECT_EQ(world.backend_row(slot).active.get(), 1u);
    EXPECT_EQ(state(world.send(request(kShutdown))), SctpState::shutdown_received);
    EXPECT_EQ(state(world.send(reply(kShutdownAck), {.port = 1})), SctpState::shutdown_ack_sent);
    EXPECT_EQ(world.backend_row(slot).active.get(), 0u);
    EXPECT_EQ(world.backend_row(slot).inactive.get(), 1u);
}

TEST_P(Sctp, ABadChecksumIsDroppedOnlyWhereItWouldBeReplaced) {
    const auto damaged = [&] {
        Bytes b = request(kInit).bytes();
        b.back() ^= std::byte(4);
        return b;
    };
    serve(shm::Forward::nat, 3905);
    EXPECT_EQ(world.send(damaged()).verdict, Verdict::drop_bad_checksum);
    World same;
    same.backend(same.service(vip(), 2905, Protocol::sctp), server(), 2905, shm::Forward::nat);
    same.publish();
    const Bytes in = damaged();
    const Sent out = same.send(in);
    EXPECT_EQ(out.verdict, Verdict::nat_request);
    const size_t upper = 14 + (v6() ? 40 : 20);
    EXPECT_EQ(Bytes(out.frame.begin() + long(upper), out.frame.end()),
              Bytes(in.begin() + long(upper), in.end()));
}

TEST_P(Sctp, DirectRoutingAndTunnelsFollowTheClientAlone) {
    for (const shm::Forward forward : {shm::Forward::dr, shm::Forward::tunnel}) {
        World w;
        w.backend(w.service(vip(), 2905, Protocol::sctp), server(), 2905, forward);
        w.publish();
        const auto next = [&](uint8_t chunk) {
            const Sent out = w.send(request(chunk));
            EXPECT_EQ(out.verdict, forward == shm::Forward::dr ? Verdict::direct : Verdict::tunnel);
            return SctpState(w.word(out).state);
        };
        EXPECT_EQ(next(kInit), SctpState::init1);
        EXPECT_EQ(next(kCookieEcho), SctpState::established);
        EXPECT_EQ(next(kData), SctpState::established);
        EXPECT_EQ(next(kShutdownAck), SctpState::closed);
    }
}

TEST_P(Sctp, OnlyAnInitBegins) {
    serve(shm::Forward::nat, 3905);
    for (const uint8_t chunk : {kData, kInitAck, kAbort, kCookieEcho, uint8_t(200)})
        EXPECT_EQ(world.send(request(chunk)).verdict, Verdict::kernel_no_connection) << int(chunk);
    EXPECT_EQ(world.send(request(kInit)).verdict, Verdict::nat_request);
    const uint32_t first = world.send(request(kInit)).packet.entry;
    EXPECT_EQ(state(world.send(request(kAbort))), SctpState::closed);
    EXPECT_EQ(world.send(request(kData)).packet.entry, first);
    // After its end, an INIT is a new connection.
    EXPECT_EQ(state(world.send(request(kInit))), SctpState::init1);
    EXPECT_EQ(world.backend_row(slot).connections.get(), 2u);
}

TEST_P(Sctp, CutShortOrWithoutBackend) {
    serve(shm::Forward::nat, 3905);
    for (size_t n = 0; n < 12; ++n) {
        const Bytes whole = sctp(40000, 2905, kInit);
        const Frame in = Frame()
                             .ip(client(), vip())
                             .protocol(132)
                             .payload(Bytes(whole.begin(), whole.begin() + long(n)));
        EXPECT_EQ(world.send(in).verdict, Verdict::drop_truncated);
    }
    world.edit_backend(slot, 0);
    world.publish();
    const Sent out = world.send(request(kInit));
    EXPECT_EQ(out.verdict, Verdict::answered_no_backend);
    EXPECT_EQ(wrong_checksums(out.frame), "");
}

TEST_P(Sctp, ErrorsThatQuoteItAreTranslated) {
    serve(shm::Forward::nat, 3905);
    world.send(request(kInit));
    const auto about = [&](const char* from, const char* to, Bytes b) {
        b.resize(8);  // as much as old routers quote
        return Frame().ip(from, to).protocol(132).payload(b).packet();
    };
    const Frame in = Frame()
                         .ip(client(), vip())
                         .icmp(v6() ? 1 : 3, 0)
                         .payload(about(vip(), client(), sctp(2905, 40000, kData)));
    const Sent out = world.send(in);
    EXPECT_EQ(out.verdict, Verdict::icmp_related);
    const Frame want =
        Frame().ip(client(), server()).icmp(v6() ? 1 : 3, 0).ttl(63).eth(kPort1Mac, kServerMac);
    Bytes inside = sctp(3905, 40000, kData);
    std::memcpy(inside.data() + 4, sctp(2905, 40000, kData).data() + 4, 4);
    EXPECT_EQ(diff(out.frame, Frame(want).payload(about(server(), client(), inside)).bytes()), "");
}

INSTANTIATE_TEST_SUITE_P(All, Sctp, testing::Bool(),
                         [](const auto& i) { return i.param ? "ipv6" : "ipv4"; });

TEST(UdpWithoutChecksum, StaysWithout) {
    for (const bool v6 : {false, true}) {
        World world;
        world.backend(world.service(v6 ? kVip6 : kVip, 53, Protocol::udp), v6 ? kServer6 : kServer,
                      5353, shm::Forward::nat);
        world.publish();
        const Sent out = world.send(Frame()
                                        .ip(v6 ? kClient6 : kClient, v6 ? kVip6 : kVip)
                                        .udp(40000, 53)
                                        .no_checksum()
                                        .payload("x"));
        EXPECT_EQ(out.verdict, Verdict::nat_request);
        const size_t at = 14 + (v6 ? 40 : 20) + 6;
        EXPECT_EQ(unsigned(out.frame.at(at)) | unsigned(out.frame.at(at + 1)), 0u);
    }
}

shm::MarkRecord rule(const char* block, Protocol protocol, uint16_t first, uint16_t last,
                     uint32_t mark) {
    const Prefix p = *parse_prefix(block);
    return {p.address, p.length, protocol, first, last, 0, mark};
}

TEST(MarkRules, TheMostSpecificWins) {
    const std::vector<shm::MarkRecord> rules = {rule("203.0.113.0/24", Protocol::any, 0, 65535, 1),
                                                rule("203.0.113.0/24", Protocol::tcp, 0, 65535, 2),
                                                rule("203.0.113.0/24", Protocol::tcp, 80, 443, 3),
                                                rule("203.0.113.0/24", Protocol::tcp, 80, 80, 4),
                                                rule("203.0.113.16/28", Protocol::udp, 53, 53, 5),
                                                rule("0.0.0.0/0", Protocol::udp, 9, 9, 6),
                                                rule("2001:db8::/32", Protocol::any, 0, 65535, 7),
                                                rule("2001:db8::1/128", Protocol::tcp, 22, 22, 8)};
    const stages::Marks marks(rules);
    const auto of = [&](const char* to, Protocol p, uint16_t port) {
        return marks.of(*parse_address(to), p, port);
    };
    EXPECT_EQ(of("203.0.113.9", Protocol::tcp, 80), 4u);
    EXPECT_EQ(of("203.0.113.9", Protocol::tcp, 443), 3u);
    EXPECT_EQ(of("203.0.113.9", Protocol::tcp, 444), 2u);
    EXPECT_EQ(of("203.0.113.9", Protocol::sctp, 80), 1u);
    EXPECT_EQ(of("203.0.113.17", Protocol::udp, 53), 5u);
    EXPECT_EQ(of("203.0.113.17", Protocol::tcp, 80), 4u);  // no rule of the longer prefix fits
    EXPECT_EQ(of("203.0.114.1", Protocol::udp, 9), 6u);
    EXPECT_EQ(of("203.0.114.1", Protocol::udp, 10), 0u);
    EXPECT_EQ(of("2001:db8::1", Protocol::tcp, 22), 8u);
    EXPECT_EQ(of("2001:db8::1", Protocol::tcp, 23), 7u);
    EXPECT_EQ(of("2001:db9::1", Protocol::tcp, 22), 0u);
    EXPECT_TRUE(marks.cover(*parse_address("2001:db8:5::1")));
    EXPECT_FALSE(marks.cover(*parse_address("2001:db9::1")));
    const auto blocks = marks.blocks();
    ASSERT_EQ(blocks.size(), 5u);
    EXPECT_EQ(to_string(blocks[0].destination), "2001:db8::1/128");
    EXPECT_EQ(blocks[0].rules.size(), 2u);
    EXPECT_TRUE(stages::Marks().empty());
}

struct Marked : testing::Test {
    uint32_t mark_service(const char* family, uint32_t mark) {
        const uint32_t s = world.service(family, 0, Protocol::any);
        world.services.services[s].record.mark = mark;
        return s;
    }
    World world;
};

TEST_F(Marked, ServicesTakeEveryPortAndAddressOfTheirRules) {
    const auto dr = mark_service("0.0.0.0", 7), nat = mark_service("::", 8);
    const uint32_t first = world.backend(dr, kServer, 0, shm::Forward::dr),
                   second = world.backend(nat, kServer6, 0, shm::Forward::nat);
    world.services.marks = {rule("192.0.2.0/24", Protocol::tcp, 80, 443, 7),
                            rule("2001:db8:1::/64", Protocol::any, 0, 65535, 8)};
    world.publish();
    for (const char* to : {"192.0.2.1", "192.0.2.200"})
        for (const uint16_t port : {80, 443}) {
            const Sent out = world.send(Frame().ip(kClient, to).tcp(40000, port, kSyn));
            EXPECT_EQ(out.verdict, Verdict::direct);
            EXPECT_EQ(out.packet.backend, first);
        }
    EXPECT_EQ(world.send(Frame().ip(kClient, "192.0.2.1").tcp(40000, 79, kSyn)).verdict,
              Verdict::kernel_not_ours);
    EXPECT_EQ(world.send(Frame().ip(kClient, "192.0.2.1").udp(40000, 80)).verdict,
              Verdict::kernel_not_ours);
    // NAT keeps the port it was sent to, and the reply the address.
    const Sent out = world.send(Frame().ip(kClient6, "2001:db8:1::77").udp(40000, 5353));
    EXPECT_EQ(out.verdict, Verdict::nat_request);
    EXPECT_EQ(diff(out.frame, Frame()
                                  .ip(kClient6, kServer6)
                                  .udp(40000, 5353)
                                  .ttl(63)
                                  .eth(kPort1Mac, kServerMac)
                                  .bytes()),
              "");
    const Sent back = world.send(Frame().ip(kServer6, kClient6).udp(5353, 40000), {.port = 1});
    EXPECT_EQ(diff(back.frame, Frame()
                                   .ip("2001:db8:1::77", kClient6)
                                   .udp(5353, 40000)
                                   .ttl(63)
                                   .eth(kPort0Mac, kClientMac)
                                   .bytes()),
              "");
    EXPECT_EQ(world.backend_row(second).out_packets.get(), 1u);
}

TEST_F(Marked, ComeBeforeTheExactServiceAndFallBackToIt) {
    const auto exact = world.service(kVip, 80), marked = mark_service("0.0.0.0", 7);
    const uint32_t plain = world.backend(exact, kServer, 80, shm::Forward::dr),
                   by_mark = world.backend(marked, kServer2, 0, shm::Forward::dr);
    world.services.marks = {rule("192.0.2.0/24", Protocol::tcp, 0, 65535, 7),
                            rule("192.0.2.10/32", Protocol::tcp, 81, 81, 99)};
    world.publish();
    EXPECT_EQ(world.send(Frame().ip(kClient, kVip).tcp(1, 80, kSyn)).packet.backend, by_mark);
    EXPECT_EQ(world.send(Frame().ip(kClient, kVip).tcp(1, 81, kSyn)).verdict,
              Verdict::kernel_not_ours);
    world.services.marks = {rule("192.0.2.10/32", Protocol::tcp, 80, 80, 99)};  // of no service
    world.publish();
    EXPECT_EQ(world.send(Frame().ip(kClient, kVip).tcp(2, 80, kSyn)).packet.backend, plain);
    world.services.marks.clear();
    world.publish();
    EXPECT_EQ(world.send(Frame().ip(kClient, kVip).tcp(3, 80, kSyn)).packet.backend, plain);
}

TEST(Local, ABackendOnThisMachineIsTheKernels) {
    World world;
    const auto dr = world.service(kVip, 80), tunnel = world.service(kVip, 81),
               nat = world.service(kVip, 82), loopback = world.service(kVip, 83);
    const uint32_t slot = world.backend(dr, kOurself, 80, shm::Forward::dr);
    world.backend(tunnel, kOurself, 81, shm::Forward::tunnel);
    world.backend(nat, kOurself, 8080, shm::Forward::nat);
    world.backend(loopback, "127.0.0.1", 83, shm::Forward::dr);
    world.publish();
    const Frame in = Frame().ip(kClient, kVip).tcp(40000, 80, kSyn);
    const Sent out = world.send(in);
    EXPECT_EQ(out.verdict, Verdict::kernel_local);
    EXPECT_EQ(diff(out.frame, in.bytes()), "");
    world.send(Frame().ip(kClient, kVip).tcp(40000, 80, kAck));
    EXPECT_EQ(world.backend_row(slot).in_packets.get(), 2u);
    EXPECT_EQ(world.backend_row(slot).active.get(), 1u);
    const auto verdict = [&](uint16_t port) {
        return world.send(Frame().ip(kClient, kVip).tcp(40000, port, kSyn)).verdict;
    };
    EXPECT_EQ(verdict(81), Verdict::kernel_local);
    EXPECT_EQ(verdict(82), Verdict::drop_no_route);
    EXPECT_EQ(verdict(83), Verdict::kernel_local);
}

}  // namespace
}  // namespace torii::test
