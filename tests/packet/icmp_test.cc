// ICMP errors about connections: translated outside and inside, both directions.

#include <gmock/gmock.h>

#include "tests/support/world/world.h"

namespace torii::test {
namespace {

using stages::Verdict;

constexpr const char *kRouter = "203.0.113.99", *kRouter6 = "2001:db8:f::99";

struct Kind {
    const char* name;
    bool v6, tcp;
};
struct Related : testing::TestWithParam<Kind> {
    void serve(shm::Forward forward) {
        const auto s = world.service(vip(), 80, tcp() ? Protocol::tcp : Protocol::udp);
        slot = world.backend(s, server(), forward == shm::Forward::nat ? 8080 : 80, forward);
        world.publish();
        world.send(packet(client(), vip(), 40000, 80));
    }
    bool v6() const { return GetParam().v6; }
    bool tcp() const { return GetParam().tcp; }
    const char* client() const { return v6() ? kClient6 : kClient; }
    const char* vip() const { return v6() ? kVip6 : kVip; }
    const char* server() const { return v6() ? kServer6 : kServer; }
    const char* router() const { return v6() ? kRouter6 : kRouter; }
    Frame packet(const char* from, const char* to, uint16_t source, uint16_t destination) const {
        Frame f = Frame().ip(from, to).payload("some bytes");
        return tcp() ? f.tcp(source, destination, kSyn) : f.udp(source, destination);
    }
    Frame error(const char* from, const char* to, Bytes quoted) const {
        return Frame().ip(from, to).icmp(v6() ? 1 : 3, v6() ? 0 : 1, 0).payload(std::move(quoted));
    }
    static Bytes first(Bytes b, size_t n) { return b.resize(std::min(n, b.size())), b; }
    World world;
    uint32_t slot = 0;
};

// However much of the packet is quoted, from the ports alone on.
TEST_P(Related, ErrorsFromTheClientsSideReachTheNatServer) {
    serve(shm::Forward::nat);
    const Bytes quoted = packet(vip(), client(), 80, 40000).packet(),
                want = packet(server(), client(), 8080, 40000).packet();
    const size_t header = v6() ? 40 : 20;
    for (size_t n = header + (tcp() ? 18 : 8); n <= quoted.size(); ++n) {
        const Sent out = world.send(error(router(), vip(), first(quoted, n)));
        EXPECT_EQ(out.verdict, Verdict::icmp_related) << n;
        EXPECT_EQ(out.port, 1);
        EXPECT_EQ(diff(out.frame, error(router(), server(), first(want, n))
                                      .ttl(63)
                                      .eth(kPort1Mac, kServerMac)
                                      .bytes()),
                  "")
            << n;
        EXPECT_EQ(wrong_checksums(out.frame), "");
    }
    // Quoted short of its own checksum: only addresses and port change.
    const Sent brief = world.send(error(router(), vip(), first(quoted, header + 4)));
    EXPECT_EQ(diff(brief.frame, error(router(), server(), first(want, header + 4))
                                    .ttl(63)
                                    .eth(kPort1Mac, kServerMac)
                                    .bytes()),
              "");
    EXPECT_GT(world.backend_row(slot).in_packets.get(), 10u);
}

TEST_P(Related, ErrorsFromTheNatServersSideReachTheClient) {
    serve(shm::Forward::nat);
    const Bytes quoted = packet(client(), server(), 40000, 8080).packet(),
                want = packet(client(), vip(), 40000, 80).packet();
    const Sent out = world.send(error(server(), client(), quoted), {.port = 1});
    EXPECT_EQ(out.verdict, Verdict::icmp_related);
    EXPECT_EQ(out.port, 0);
    EXPECT_EQ(
        diff(out.frame, error(vip(), client(), want).ttl(63).eth(kPort0Mac, kClientMac).bytes()),
        "");
    EXPECT_EQ(wrong_checksums(out.frame), "");
    EXPECT_EQ(world.backend_row(slot).out_packets.get(), 1u);
}

TEST_P(Related, QuotedOptionsAndExtensionHeadersAreStepped) {
    serve(shm::Forward::nat);
    const Bytes hop = bytes_of({0, 1, 4, 0, 0, 0, 0});
    const auto more = [&](Frame f) { return v6() ? f.extension(60, hop) : f.options(filler(8)); };
    const Sent out =
        world.send(error(router(), vip(), more(packet(vip(), client(), 80, 40000)).packet()));
    EXPECT_EQ(diff(out.frame,
                   error(router(), server(), more(packet(server(), client(), 8080, 40000)).packet())
                       .ttl(63)
                       .eth(kPort1Mac, kServerMac)
                       .bytes()),
              "");
}

TEST_P(Related, DirectRoutingForwardsTheWholeError) {
    serve(shm::Forward::dr);
    const Frame in = error(router(), vip(), packet(vip(), client(), 80, 40000).packet());
    const Sent out = world.send(in);
    EXPECT_EQ(out.verdict, Verdict::icmp_related);
    EXPECT_EQ(diff(out.frame, Frame(in).ttl(63).eth(kPort1Mac, kServerMac).bytes()), "");
}

TEST_P(Related, ABadChecksumIsNotTranslated) {
    serve(shm::Forward::nat);
    Bytes b = error(router(), vip(), packet(vip(), client(), 80, 40000).packet()).bytes();
    b.back() ^= std::byte(1);
    EXPECT_EQ(world.send(b).verdict, Verdict::drop_bad_checksum);
}

TEST_P(Related, CutAtEveryByteIsAVerdict) {
    serve(shm::Forward::nat);
    const Bytes quoted = packet(vip(), client(), 80, 40000).packet();
    const size_t need = (v6() ? 40 : 20) + 4;
    for (size_t n = 0; n < quoted.size(); ++n) {
        const Frame in = error(router(), vip(), first(quoted, n));
        EXPECT_EQ(world.send(in).verdict,
                  n < need ? Verdict::kernel_no_connection : Verdict::icmp_related)
            << n;
        const Bytes whole = in.bytes();
        for (size_t cut = 0; cut < whole.size(); cut += 5)
            EXPECT_EQ(world.send(first(whole, cut)).verdict, Verdict::drop_truncated);
    }
}

TEST_P(Related, ErrorsAboutNothingAreTheKernels) {
    serve(shm::Forward::nat);
    EXPECT_EQ(
        world.send(error(router(), vip(), packet(vip(), client(), 80, 40001).packet())).verdict,
        Verdict::kernel_no_connection);
    EXPECT_EQ(
        world.send(error(server(), client(), packet(client(), server(), 40001, 8080).packet()))
            .verdict,
        Verdict::kernel_not_ours);
    // Addressed to somebody who never sent the quoted packet.
    EXPECT_EQ(
        world.send(error(router(), server(), packet(vip(), client(), 80, 40000).packet())).verdict,
        Verdict::kernel_not_ours);
    EXPECT_EQ(world
                  .send(error(router(), vip(),
                              packet(vip(), client(), 80, 40000).fragment(800, false).packet()))
                  .verdict,
              Verdict::kernel_no_connection);
}

TEST_P(Related, NeverKeepsAConnectionAlive) {
    serve(shm::Forward::nat);
    const Sent before = world.send(packet(client(), vip(), 40000, 80));
    const flow::Word word = world.word(before);
    world.pass(5000);
    world.send(error(router(), vip(), packet(vip(), client(), 80, 40000).packet()));
    EXPECT_EQ(world.word(before), word);
}

TEST_P(Related, ABackendThatIsGoneGetsNone) {
    serve(shm::Forward::nat);
    world.remove_backend(slot);
    world.publish();
    EXPECT_EQ(
        world.send(error(router(), vip(), packet(vip(), client(), 80, 40000).packet())).verdict,
        Verdict::drop_backend_gone);
}

INSTANTIATE_TEST_SUITE_P(All, Related,
                         testing::Values(Kind{"ipv4_tcp", false, true},
                                         Kind{"ipv4_udp", false, false},
                                         Kind{"ipv6_tcp", true, true},
                                         Kind{"ipv6_udp", true, false}),
                         [](const auto& i) { return i.param.name; });

}  // namespace
}  // namespace torii::test
