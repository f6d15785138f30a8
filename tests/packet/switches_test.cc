// LVS's switches that say what becomes of packets without a connection: off as by default, and on.

#include <gmock/gmock.h>

#include "tests/support/pieces.h"
#include "tests/support/world/sctp.h"
#include "tests/support/world/world.h"

namespace torii::test {
namespace {

using stages::Verdict;

struct Switches : testing::TestWithParam<bool> {
    bool v6() const { return GetParam(); }
    const char* client() const { return v6() ? kClient6 : kClient; }
    const char* vip() const { return v6() ? kVip6 : kVip; }
    const char* server() const { return v6() ? kServer6 : kServer; }
    const char* ourself() const { return v6() ? kOurself6 : kOurself; }
    Verdict verdict(const Frame& f, uint16_t port = 0) {
        return world.send(f, {.port = port}).verdict;
    }
    World world;
};
INSTANTIATE_TEST_SUITE_P(All, Switches, testing::Bool(),
                         [](const auto& i) { return i.param ? "ipv6" : "ipv4"; });

TEST_P(Switches, SloppySctpBeginsWithAnyChunkButAnAbort) {
    world.backend(world.service(vip(), 2905, Protocol::sctp), server(), 2905, shm::Forward::dr);
    constexpr uint8_t kData = 0, kInit = 1, kAbort = 6, kCookieEcho = 10;
    uint16_t port = 40000;
    const auto send = [&](uint8_t chunk) {
        return verdict(
            Frame().ip(client(), vip()).protocol(132).payload(sctp_packet(++port, 2905, chunk)));
    };
    for (const bool sloppy : {false, true}) {
        world.services.behaviour.sloppy_sctp = sloppy;
        world.publish();
        EXPECT_EQ(send(kInit), Verdict::direct);
        EXPECT_EQ(send(kData), sloppy ? Verdict::direct : Verdict::kernel_no_connection);
        EXPECT_EQ(send(kCookieEcho), sloppy ? Verdict::direct : Verdict::kernel_no_connection);
        EXPECT_EQ(send(kAbort), Verdict::kernel_no_connection);
    }
}

TEST_P(Switches, NatIcmpSendTellsABackendThatItsPacketBelongsToNobody) {
    world.backend(world.service(vip(), 80), server(), 8080, shm::Forward::nat);
    world.backend(world.service(vip(), 81), server(), 81, shm::Forward::dr);
    world.routes.port_addresses = {{}, {}, *parse_address(kOurself), *parse_address(kOurself6)};
    world.publish();
    const Frame stray = Frame()
                            .ip(server(), client())
                            .eth(kServerMac, kPort1Mac)
                            .tcp(8080, 40000, kAck)
                            .payload("late");
    EXPECT_EQ(verdict(stray, 1), Verdict::kernel_not_ours);
    world.services.behaviour.nat_icmp_send = 1;
    world.publish();
    const Sent out = world.send(stray, {.port = 1});
    EXPECT_EQ(out.verdict, Verdict::answered_no_connection);
    EXPECT_EQ(out.port, 1) << "back to the server";
    EXPECT_EQ(wrong_checksums(out.frame), "");
    Frame want = Frame()
                     .ip(ourself(), server())
                     .eth(kPort1Mac, kServerMac)
                     .icmp(v6() ? 1 : 3, v6() ? 4 : 3)
                     .payload(stray.packet());
    if (!v6()) want.tos(0xc0).id(1);
    EXPECT_EQ(diff(out.frame, want.bytes()), "");
    const auto from = [&](uint16_t port, uint8_t flags) {
        return verdict(Frame().ip(server(), client()).tcp(port, 40000, flags), 1);
    };
    EXPECT_EQ(from(8080, kRst), Verdict::kernel_not_ours) << "a reset asks for no answer";
    EXPECT_EQ(from(8081, kAck), Verdict::kernel_not_ours) << "another program of the server";
    EXPECT_EQ(from(81, kAck), Verdict::kernel_not_ours) << "not NAT's";
    EXPECT_EQ(verdict(Frame().ip(server(), client()).udp(8080, 40000), 1),
              Verdict::kernel_not_ours);
    EXPECT_EQ(verdict(Frame().ip(server(), ourself()).tcp(8080, 40000, kSyn | kAck), 1),
              Verdict::kernel_not_ours)
        << "the answer to a health check";
    world.routes.port_addresses = {};
    world.publish();
    EXPECT_EQ(verdict(stray, 1), Verdict::kernel_not_ours) << "nobody to answer as";
    world.routes.port_addresses = {{}, {}, *parse_address(kOurself), *parse_address(kOurself6)};
    world.publish();
    // What belongs to a connection is translated as ever.
    world.send(Frame().ip(client(), vip()).tcp(40000, 80, kSyn));
    EXPECT_EQ(from(8080, kSyn | kAck), Verdict::nat_reply);
    int dropped = 0;
    for (uint16_t n = 0; n < 100; ++n)
        dropped += verdict(Frame().ip(server(), client()).tcp(8080, n, kAck), 1) ==
                   Verdict::drop_no_connection;
    EXPECT_GT(dropped, 0) << "as many a second as ICMP errors may be";
}

TEST_P(Switches, CacheBypassLetsAMarkServicesPacketsGoOn) {
    const auto marked = world.service(v6() ? "::" : "0.0.0.0", 0, Protocol::any);
    world.services.services[marked].record.mark = 7;
    world.services.marks = {
        {*parse_address(vip()), uint8_t(v6() ? 128 : 32), Protocol::tcp, 0, 65535, 0, 7}};
    world.service(vip(), 53, Protocol::udp);
    const auto send = [&] { return verdict(Frame().ip(client(), vip()).tcp(40000, 80, kSyn)); };
    world.publish();
    EXPECT_EQ(send(), Verdict::answered_no_backend);
    world.services.behaviour.cache_bypass = 1;
    world.publish();
    EXPECT_EQ(send(), Verdict::kernel_bypass);
    EXPECT_EQ(verdict(Frame().ip(client(), vip()).udp(40000, 53)), Verdict::answered_no_backend)
        << "a service by address has nowhere to send it on to";
    world.backend(marked, server(), 0, shm::Forward::dr);
    world.publish();
    EXPECT_EQ(send(), Verdict::direct);
}

TEST_P(Switches, CacheBypassIsNotForTheHostsOwnAddresses) {
    const auto marked = world.service(v6() ? "::" : "0.0.0.0", 0, Protocol::any);
    world.services.services[marked].record.mark = 7;
    world.services.marks = {
        {*parse_address(ourself()), uint8_t(v6() ? 128 : 32), Protocol::tcp, 0, 65535, 0, 7}};
    world.services.behaviour.cache_bypass = 1;
    world.publish();
    EXPECT_EQ(verdict(Frame().ip(client(), ourself()).tcp(40000, 80, kSyn)),
              Verdict::answered_no_backend);
}

TEST_P(Switches, ScheduleIcmpFindsAServerForAClientsError) {
    const uint32_t service = world.service(vip(), 80, Protocol::tcp, "sh");
    world.backend(service, server(), 8080, shm::Forward::nat);
    world.publish();
    const char* router = v6() ? "2001:db8:f::99" : "203.0.113.99";
    const auto error = [&](const char* to, uint16_t port, uint16_t source = 80) {
        return Frame()
            .ip(router, to)
            .icmp(v6() ? 2 : 3, v6() ? 0 : 4, 1400)
            .payload(Frame().ip(to, client()).tcp(source, port, kAck).payload("much").packet());
    };
    EXPECT_EQ(verdict(error(vip(), 40000)), Verdict::kernel_no_connection);
    world.services.behaviour.schedule_icmp = 1;
    world.publish();
    const Sent out = world.send(error(vip(), 40000));
    EXPECT_EQ(out.verdict, Verdict::icmp_related);
    EXPECT_EQ(out.port, 1);
    EXPECT_EQ(wrong_checksums(out.frame), "");
    EXPECT_EQ(
        diff(out.frame,
             Frame()
                 .ip(router, server())
                 .ttl(63)
                 .eth(kPort1Mac, kServerMac)
                 .icmp(v6() ? 2 : 3, v6() ? 0 : 4, 1400)
                 .payload(
                     Frame().ip(server(), client()).tcp(8080, 40000, kAck).payload("much").packet())
                 .bytes()),
        "");
    // The connection waits three seconds for its owner, whose packet takes it over.
    EXPECT_EQ(world.word(out).state, uint8_t(flow::TcpState::none));
    EXPECT_EQ(world.backend_row(0).connections.get(), 1u);
    EXPECT_EQ(verdict(Frame().ip(client(), vip()).tcp(40000, 80, kAck)), Verdict::nat_request);
    world.send(error(vip(), 40001));
    world.pass(5000);
    EXPECT_EQ(verdict(Frame().ip(client(), vip()).tcp(40001, 80, kAck)),
              Verdict::kernel_no_connection);
    EXPECT_EQ(verdict(error(vip(), 40002, 99)), Verdict::kernel_no_connection) << "no service's";
    Bytes damaged = error(vip(), 40003).bytes();
    damaged.back() ^= std::byte(1);
    EXPECT_EQ(world.send(damaged).verdict, Verdict::drop_bad_checksum);
    world.edit_backend(0, 0);
    world.publish();
    EXPECT_EQ(verdict(error(vip(), 40004)), Verdict::drop_no_backend)
        << "errors are not answered with errors";
}

// backup_only, as the workers see it: the addresses that another balancer has.
TEST_P(Switches, WhatAnotherBalancerHasIsLeftToTheKernel) {
    const char* other = v6() ? "2001:db8:ffff::2" : "192.0.2.99";
    world.backend(world.service(vip(), 80), server(), 8080, shm::Forward::nat);
    world.backend(world.service(other, 80), server(), 80, shm::Forward::dr);
    world.publish();
    const auto syn = [&](const char* to, uint16_t port) {
        return Frame().ip(client(), to).tcp(port, 80, kSyn);
    };
    EXPECT_EQ(verdict(syn(vip(), 40000)), Verdict::nat_request);
    world.state().standby = shm::Standby({*parse_address(vip())});
    const Sent left = world.send(syn(vip(), 40001));
    EXPECT_EQ(left.verdict, Verdict::kernel_backup);
    EXPECT_EQ(diff(left.frame, syn(vip(), 40001).bytes()), "") << "as it came";
    EXPECT_EQ(verdict(Frame().ip(client(), vip()).tcp(40000, 80, kAck)), Verdict::kernel_backup)
        << "also of a connection that there is";
    EXPECT_EQ(verdict(Frame().ip(server(), client()).tcp(8080, 40000, kSyn | kAck), 1),
              Verdict::nat_reply)
        << "replies are still its own";
    EXPECT_EQ(verdict(syn(other, 40002)), Verdict::direct) << "this one it has";
    EXPECT_EQ(verdict(syn(ourself(), 40003)), Verdict::kernel_not_ours);
    auto pieces = in_pieces(Frame().ip(client(), vip()).udp(40000, 80).payload(Bytes(100)), 64, 5);
    std::ranges::reverse(pieces);
    for (const Bytes& piece : pieces)
        EXPECT_EQ(world.send(piece).verdict, Verdict::kernel_backup) << "none is kept";
    // Errors about what the machine's own server sent.
    EXPECT_EQ(
        verdict(
            Frame()
                .ip(v6() ? "2001:db8:f::99" : "203.0.113.99", vip())
                .icmp(v6() ? 2 : 3, v6() ? 0 : 4, 1400)
                .payload(Frame().ip(vip(), client()).tcp(80, 40000, kAck).payload("x").packet())),
        Verdict::kernel_backup);
    world.state().standby = shm::Standby::of_everything();
    EXPECT_EQ(verdict(syn(other, 40004)), Verdict::kernel_backup);
    EXPECT_EQ(verdict(syn(ourself(), 40005)), Verdict::kernel_not_ours);
    EXPECT_EQ(verdict(Frame().ip(server(), client()).tcp(8080, 40000, kAck), 1),
              Verdict::nat_reply);
    world.state().standby = {};
    EXPECT_EQ(verdict(Frame().ip(client(), vip()).tcp(40000, 80, kAck)), Verdict::nat_request);
    EXPECT_EQ(verdict(syn(other, 40006)), Verdict::direct);
}

}  // namespace
}  // namespace torii::test
