// NAT: whole frames, both directions, IPv4 and IPv6, TCP and UDP.

#include <gmock/gmock.h>

#include "tests/support/world/world.h"

namespace torii::test {
namespace {

using stages::Verdict;

struct Kind {
    const char* name;
    bool v6, tcp;
};
struct Nat : testing::TestWithParam<Kind> {
    Nat() {
        const auto s = world.service(vip(), 80, tcp() ? Protocol::tcp : Protocol::udp);
        slot = world.backend(s, server(), 8080, shm::Forward::nat);
        world.publish();
    }
    bool tcp() const { return GetParam().tcp; }
    const char* client() const { return GetParam().v6 ? kClient6 : kClient; }
    const char* vip() const { return GetParam().v6 ? kVip6 : kVip; }
    const char* server() const { return GetParam().v6 ? kServer6 : kServer; }
    Frame upper(Frame f, uint16_t from, uint16_t to, uint8_t flags) const {
        if (tcp()) return f.tcp(from, to, flags);
        return f.udp(from, to);
    }
    Frame request(uint8_t flags = kSyn) const {
        return upper(Frame().ip(client(), vip()).eth(kClientMac, kPort0Mac), 40000, 80, flags);
    }
    Frame request_out(uint8_t flags = kSyn) const {
        return upper(Frame().ip(client(), server()).ttl(63).eth(kPort1Mac, kServerMac), 40000, 8080,
                     flags);
    }
    Frame reply(uint8_t flags = kSyn | kAck) const {
        return upper(Frame().ip(server(), client()).eth(kServerMac, kPort1Mac), 8080, 40000, flags);
    }
    Frame reply_out(uint8_t flags = kSyn | kAck) const {
        return upper(Frame().ip(vip(), client()).ttl(63).eth(kPort0Mac, kClientMac), 80, 40000,
                     flags);
    }
    World world;
    uint32_t slot = 0;
};

TEST_P(Nat, RewritesRequestsAndReplies) {
    for (size_t size : {0, 1, 2, 3, 100, 1300}) {
        const Sent in = world.send(request().payload(filler(size)));
        EXPECT_EQ(in.verdict, Verdict::nat_request);
        EXPECT_EQ(in.port, 1);
        EXPECT_EQ(diff(in.frame, request_out().payload(filler(size)).bytes()), "");
        EXPECT_EQ(wrong_checksums(in.frame), "");
        const Sent out = world.send(reply().payload(filler(size)), {.port = 1});
        EXPECT_EQ(out.verdict, Verdict::nat_reply);
        EXPECT_EQ(out.port, 0);
        EXPECT_EQ(diff(out.frame, reply_out().payload(filler(size)).bytes()), "");
        EXPECT_EQ(wrong_checksums(out.frame), "");
    }
    const uint64_t header = GetParam().v6 ? 40 : 20, upper_header = tcp() ? 20 : 8;
    const uint64_t bytes = 6 * (header + upper_header) + 0 + 1 + 2 + 3 + 100 + 1300;
    for (shm::Row* row : {&world.backend_row(slot), &world.service_row(0)}) {
        EXPECT_EQ(row->connections.get(), 1u);
        EXPECT_EQ(row->in_packets.get(), 6u);
        EXPECT_EQ(row->out_packets.get(), 6u);
        EXPECT_EQ(row->in_bytes.get(), bytes);
        EXPECT_EQ(row->out_bytes.get(), bytes);
    }
    EXPECT_EQ(world.counters().received.get(), 12u);
    EXPECT_EQ(world.counters().table_insertions.get(), 1u);
}

// Every checksum there is: the incremental update is right for all of them, zeros included.
TEST_P(Nat, ChecksumIsRightForEveryValue) {
    world.send(request());
    for (int i = 0; i < 65536; i += GetParam().v6 ? 7 : 1) {
        const Bytes payload = bytes_of({i >> 8, i & 255});
        const Sent in = world.send(request().payload(payload));
        ASSERT_EQ(in.verdict, Verdict::nat_request);
        ASSERT_EQ(diff(in.frame, request_out().payload(payload).bytes()), "") << i;
    }
}

TEST_P(Nat, KeepsOptionsPaddingAndExtensionHeaders) {
    const Bytes hop = bytes_of({0, 1, 4, 0, 0, 0, 0});
    const auto more = [&](Frame f) {
        return GetParam().v6 ? f.extension(0, hop).extension(60, hop)
                             : f.options(filler(12)).pad_to(120);
    };
    EXPECT_EQ(diff(world.send(more(request())).frame, more(request_out()).bytes()), "");
    EXPECT_EQ(diff(world.send(more(reply()), {.port = 1}).frame, more(reply_out()).bytes()), "");
}

TEST_P(Nat, ConnectionsOfOneClientAreKeptApart) {
    EXPECT_EQ(world.send(request()).verdict, Verdict::nat_request);
    Frame other = upper(Frame().ip(client(), vip()), 40001, 80, kSyn);
    EXPECT_EQ(world.send(other).verdict, Verdict::nat_request);
    EXPECT_EQ(world.backend_row(slot).connections.get(), 2u);
    Frame stranger = upper(Frame().ip(server(), client()), 8081, 40000, kSyn | kAck);
    EXPECT_EQ(world.send(stranger, {.port = 1}).verdict, Verdict::kernel_not_ours);
}

INSTANTIATE_TEST_SUITE_P(All, Nat,
                         testing::Values(Kind{"ipv4_tcp", false, true},
                                         Kind{"ipv4_udp", false, false},
                                         Kind{"ipv6_tcp", true, true},
                                         Kind{"ipv6_udp", true, false}),
                         [](const auto& i) { return i.param.name; });

TEST(NatUdp, ZeroChecksumStaysZero) {
    World world;
    world.backend(world.service(kVip, 53, Protocol::udp), kServer, 5353, shm::Forward::nat);
    world.publish();
    const Sent in = world.send(Frame().ip(kClient, kVip).udp(40000, 53).no_checksum().payload("q"));
    const Frame want =
        Frame().ip(kClient, kServer).ttl(63).udp(40000, 5353).no_checksum().payload("q");
    EXPECT_EQ(diff(in.frame, Frame(want).eth(kPort1Mac, kServerMac).bytes()), "");
}

TEST(NatRoutes, AClientBehindARouterGetsItsRepliesThere) {
    World world;
    world.backend(world.service(kVip, 80), kServer, 8080, shm::Forward::nat);
    world.publish();
    world.send(Frame().ip(kFarClient, kVip).tcp(40000, 80, kSyn));
    const Sent out =
        world.send(Frame().ip(kServer, kFarClient).tcp(8080, 40000, kSyn | kAck), {.port = 1});
    EXPECT_EQ(diff(out.frame, Frame()
                                  .ip(kVip, kFarClient)
                                  .ttl(63)
                                  .tcp(80, 40000, kSyn | kAck)
                                  .eth(kPort0Mac, kRouterMac)
                                  .bytes()),
              "");
}

}  // namespace
}  // namespace torii::test
