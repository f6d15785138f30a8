// The life of a connection: how it begins, what keeps it, and what becomes of its packets when its
// backend or the table gives out.

#include <gmock/gmock.h>

#include <map>

#include "dataplane/flow/tcp_state.h"
#include "tests/support/world/world.h"

namespace torii::test {
namespace {

using flow::TcpState;
using stages::Verdict;

struct Connection : testing::Test {
    void serve(shm::Forward forward, const char* scheduler = "rr") {
        const auto s = world.service(kVip, 80, Protocol::tcp, scheduler);
        first = world.backend(s, kServer, 80, forward);
        second = world.backend(s, kServer2, 80, forward);
        world.publish();
    }
    Sent request(uint8_t flags, uint16_t port = 40000) {
        return world.send(Frame().ip(kClient, kVip).tcp(port, 80, flags));
    }
    Sent reply(const Sent& to, uint8_t flags, uint16_t port = 40000) {
        const char* server = to.packet.backend == first ? kServer : kServer2;
        return world.send(Frame().ip(server, kClient).tcp(80, port, flags), {.port = 1});
    }
    TcpState state(const Sent& s) { return TcpState(world.word(s).state); }
    std::pair<int64_t, int64_t> load(uint32_t slot) {
        const shm::Row& r = world.backend_row(slot);
        return {int64_t(r.active.get()), int64_t(r.inactive.get())};
    }
    using Load = std::pair<int64_t, int64_t>;
    World world;
    uint32_t first = 0, second = 0;
};

TEST_F(Connection, NatFollowsLvsThroughItsLife) {
    serve(shm::Forward::nat);
    const Sent syn = request(kSyn);
    ASSERT_EQ(syn.packet.backend, second);  // the newest comes first
    EXPECT_EQ(state(syn), TcpState::syn_recv);
    EXPECT_EQ(world.word(syn).expiry, world.now + 60 * flow::kTicksPerSecond);
    EXPECT_EQ(load(second), Load(1, 0));
    EXPECT_EQ(reply(syn, kSyn | kAck).verdict, Verdict::nat_reply);
    EXPECT_EQ(state(syn), TcpState::syn_recv);
    request(kAck);
    EXPECT_EQ(state(syn), TcpState::established);
    EXPECT_EQ(world.word(syn).expiry, world.now + 900 * flow::kTicksPerSecond);
    request(kFin | kAck);
    EXPECT_EQ(state(syn), TcpState::close_wait);
    EXPECT_EQ(load(second), Load(0, 1));
    reply(syn, kFin | kAck);
    EXPECT_EQ(state(syn), TcpState::time_wait);
    EXPECT_EQ(world.word(syn).expiry, world.now + 120 * flow::kTicksPerSecond);
    world.pass(119'000);
    EXPECT_EQ(load(second), Load(0, 1));
    world.pass(2'000);
    EXPECT_EQ(load(second), Load(0, 0));
    EXPECT_EQ(request(kAck).verdict, Verdict::kernel_no_connection);
}

TEST_F(Connection, DirectRoutingSeesOnlyTheClient) {
    serve(shm::Forward::dr);
    const Sent syn = request(kSyn);
    EXPECT_EQ(state(syn), TcpState::syn_recv);
    EXPECT_TRUE(world.word(syn).flags & flow::kNoOutput);
    request(kAck);
    EXPECT_EQ(state(syn), TcpState::established);
    request(kFin | kAck);
    EXPECT_EQ(state(syn), TcpState::fin_wait);
    EXPECT_EQ(load(second), Load(0, 1));
    request(kRst);
    EXPECT_EQ(state(syn), TcpState::close);
}

TEST_F(Connection, UdpIsAlwaysInactive) {
    const auto s = world.service(kVip, 53, Protocol::udp);
    const auto slot = world.backend(s, kServer, 53, shm::Forward::nat);
    world.publish();
    const Sent query = world.send(Frame().ip(kClient, kVip).udp(4000, 53));
    EXPECT_EQ(load(slot), Load(0, 1));
    world.pass(200'000);
    EXPECT_EQ(world.send(Frame().ip(kServer, kClient).udp(53, 4000), {.port = 1}).verdict,
              Verdict::nat_reply);
    EXPECT_EQ(world.word(query).expiry, world.now + 300 * flow::kTicksPerSecond);
    world.pass(299'000);
    EXPECT_EQ(load(slot), Load(0, 1));
    world.pass(2'000);
    EXPECT_EQ(load(slot), Load(0, 0));
}

TEST_F(Connection, NothingIsWrittenWhileTheTickStands) {
    serve(shm::Forward::nat);
    request(kSyn);
    const Sent a = request(kAck);
    const uint64_t word = world.flows().head(a.packet.entry).word.load();
    world.now_us += 1000;
    request(kAck);
    EXPECT_EQ(world.flows().head(a.packet.entry).word.load(), word);
    world.pass(1000);
    request(kAck);
    EXPECT_EQ(flow::Word::unpack(world.flows().head(a.packet.entry).word.load()).expiry,
              flow::Word::unpack(word).expiry + 4);
}

// A timeout counts from the next whole second: a busy connection is written once a second, and
// never ends early.
TEST_F(Connection, NothingIsWrittenTwiceInASecond) {
    serve(shm::Forward::nat);
    request(kSyn);
    world.pass(250);
    const Sent a = request(kAck);
    const uint64_t word = world.flows().head(a.packet.entry).word.load();
    const flow::Tick expiry = flow::Word::unpack(word).expiry;
    EXPECT_EQ(expiry % flow::kTicksPerSecond, 0u);
    EXPECT_GE(expiry, world.now + 900 * flow::kTicksPerSecond);
    for (int tick = 0; tick < 3; ++tick) {
        world.pass(250);
        request(kAck);
        EXPECT_EQ(world.flows().head(a.packet.entry).word.load(), word) << tick;
    }
    world.pass(250);
    request(kAck);
    EXPECT_NE(world.flows().head(a.packet.entry).word.load(), word);
}

TEST_F(Connection, OnlyASynBeginsOne) {
    serve(shm::Forward::nat);
    for (int flags = 0; flags < 64; ++flags) {
        const bool begins = (flags & kSyn) && !(flags & kRst);
        EXPECT_EQ(request(uint8_t(flags), uint16_t(1000 + flags)).verdict,
                  begins ? Verdict::nat_request : Verdict::kernel_no_connection)
            << flags;
    }
    EXPECT_EQ(world.send(Frame().ip(kClient, kVip).tcp(5, 8080, kSyn)).verdict,
              Verdict::kernel_not_ours);
    EXPECT_EQ(world.send(Frame().ip(kClient, kVip).udp(5, 80)).verdict, Verdict::kernel_not_ours);
}

TEST_F(Connection, APortUsedAgainIsANewConnection) {
    serve(shm::Forward::nat);
    const Sent old = request(kSyn);
    request(kAck), request(kFin | kAck), reply(old, kFin | kAck);
    ASSERT_EQ(state(old), TcpState::time_wait);
    const Sent again = request(kSyn);
    EXPECT_EQ(again.verdict, Verdict::nat_request);
    EXPECT_NE(again.packet.backend, old.packet.backend);  // rescheduled: rr goes on
    EXPECT_EQ(state(again), TcpState::syn_recv);
    EXPECT_EQ(load(second), Load(0, 0));
    EXPECT_EQ(load(first), Load(1, 0));
    // In CLOSE as well; but not while it is established or half open.
    request(kAck), request(kRst);
    ASSERT_EQ(state(again), TcpState::close);
    EXPECT_EQ(request(kSyn).packet.backend, second);
    EXPECT_EQ(request(kSyn).packet.backend, second);
    request(kAck);
    EXPECT_EQ(request(kSyn).packet.backend, second);
    EXPECT_EQ(world.counters().table_insertions.get(), 3u);
}

TEST_F(Connection, AWholeLifeInOneBurst) {
    serve(shm::Forward::nat);
    std::vector<Bytes> burst;
    for (uint8_t flags : {kSyn, kSyn, kAck, kAck, kRst, kSyn, kAck})
        burst.push_back(Frame().ip(kClient, kVip).tcp(40000, 80, flags).bytes());
    burst.push_back(Frame().ip(kClient, kVip).tcp(40001, 80, kSyn).bytes());
    const auto sent = world.send_burst(burst);
    for (const Sent& s : sent) EXPECT_EQ(s.verdict, Verdict::nat_request);
    EXPECT_EQ(sent[4].packet.backend, second);
    EXPECT_EQ(sent[5].packet.backend, first);  // the reset ended the first connection
    EXPECT_EQ(sent[6].packet.backend, first);
    EXPECT_EQ(sent[7].packet.backend, second);  // and no packet moved round robin but the SYNs
    EXPECT_EQ(world.counters().table_insertions.get(), 3u);
}

TEST_F(Connection, ABackendThatIsGoneGetsNothingMore) {
    serve(shm::Forward::nat);
    const Sent syn = request(kSyn);
    request(kAck);
    const flow::Word word = world.word(syn);
    world.remove_backend(second);
    world.publish();
    world.pass(1000);
    EXPECT_EQ(request(kAck).verdict, Verdict::drop_backend_gone);
    EXPECT_EQ(world.word(syn), word);
    EXPECT_EQ(request(kSyn, 40001).packet.backend, first);

    // But what it says still reaches the client, and counts for the connection only.
    EXPECT_EQ(reply(syn, kRst).verdict, Verdict::nat_reply);
    EXPECT_EQ(world.word(syn).state, uint8_t(flow::TcpState::close));
    EXPECT_EQ(world.backend_row(second).active.get(), 0u);
    EXPECT_EQ(world.backend_row(second).inactive.get(), 1u);
    EXPECT_EQ(world.backend_row(second).out_packets.get(), 0u);
}

TEST_F(Connection, AReusedSlotIsNotTheFormerBackend) {
    serve(shm::Forward::nat);
    request(kSyn);
    world.services.backends[second].record.generation = 999;
    world.publish();
    EXPECT_EQ(request(kAck).verdict, Verdict::drop_backend_gone);
}

TEST_F(Connection, WeightZeroKeepsWhatThereIs) {
    serve(shm::Forward::nat);
    request(kSyn);
    world.edit_backend(second, 0);
    world.publish();
    EXPECT_EQ(request(kAck).packet.backend, second);
    for (uint16_t port = 1; port < 5; ++port) EXPECT_EQ(request(kSyn, port).packet.backend, first);
}

TEST_F(Connection, OfARemovedServiceIsDropped) {
    serve(shm::Forward::nat);
    world.service("192.0.2.11", 80);
    world.backend(1, kServer, 81, shm::Forward::nat);
    world.publish();
    world.send(Frame().ip(kClient, "192.0.2.11").tcp(7, 80, kSyn));
    world.remove_service(1);
    world.publish();
    EXPECT_EQ(world.send(Frame().ip(kClient, "192.0.2.11").tcp(7, 80, kAck)).verdict,
              Verdict::drop_backend_gone);
    EXPECT_EQ(world.send(Frame().ip(kClient, "192.0.2.11").tcp(8, 80, kSyn)).verdict,
              Verdict::kernel_not_ours);
}

TEST_F(Connection, SchedulersSeeTheCountsOfEveryWorkerWithinAMillisecond) {
    World two(4096, 2);
    const auto s = two.service(kVip, 80, Protocol::tcp, "lc");
    const auto a = two.backend(s, kServer, 80, shm::Forward::nat);
    const auto b = two.backend(s, kServer2, 80, shm::Forward::nat);
    two.publish();
    std::map<uint32_t, int> shares;
    for (uint16_t i = 0; i < 40; ++i) {
        const uint32_t worker = i % 2;
        const Sent sent =
            two.send(Frame().ip(kClient, kVip).tcp(uint16_t(1000 + i), 80, kSyn), {}, worker);
        ++shares[sent.packet.backend];
        two.now_us += 1000;
        EXPECT_LE(std::abs(shares[a] - shares[b]), 1) << i;
    }
    EXPECT_EQ(shares[a], 20);
}

TEST_F(Connection, ThresholdsAreThoseOfLvs) {
    // The kernel: rr, A with u=4 and B without give BABABABABBBB.
    const auto s = world.service(kVip, 80);
    const auto a = world.backend(s, kServer, 80, shm::Forward::nat);
    world.backend(s, kServer2, 80, shm::Forward::nat);
    world.services.backends[a].record.upper = 4;
    world.publish();
    std::string chosen;
    std::vector<Sent> sent;
    for (uint16_t port = 1; port <= 12; ++port) {
        sent.push_back(request(kSyn, port));
        chosen += sent.back().packet.backend == a ? 'A' : 'B';
    }
    EXPECT_EQ(chosen, "BABABABABBBB");
    // Overloaded until fewer than 4 - 4/4 are left: two must end.
    const auto end_one = [&] {
        for (const Sent& x : sent)
            if (x.packet.backend == a && world.flows().remove(x.packet.entry)) return;
    };
    end_one();
    EXPECT_NE(request(kSyn, 20).packet.backend, a);
    EXPECT_NE(request(kSyn, 21).packet.backend, a);
    end_one();
    const bool taken =
        request(kSyn, 22).packet.backend == a || request(kSyn, 23).packet.backend == a;
    EXPECT_TRUE(taken);
}

TEST_F(Connection, AnEditedThresholdWaitsForAConnectionToBegin) {
    const auto s = world.service(kVip, 80);
    const auto a = world.backend(s, kServer, 80, shm::Forward::nat);
    uint32_t& upper = world.services.backends[a].record.upper;
    const auto edit = [&](uint32_t value) {
        upper = value;
        world.edit_backend(a, 1);
        world.publish();
    };
    world.publish();
    for (uint16_t port = 1; port <= 4; ++port) request(kSyn, port);
    edit(2);
    EXPECT_EQ(request(kSyn, 5).packet.backend, a);
    EXPECT_EQ(request(kSyn, 6).verdict, Verdict::answered_no_backend);
    edit(6);  // more than before: available at once, though five are more than three quarters
    EXPECT_EQ(request(kSyn, 7).packet.backend, a);
    EXPECT_EQ(request(kSyn, 8).verdict, Verdict::answered_no_backend);
    edit(0);
    EXPECT_EQ(request(kSyn, 9).packet.backend, a);
}

struct Full : testing::Test {
    Full() : world(64) {}
    // Established connections, so that none can be recycled, until the table refuses.
    void fill(uint16_t port) {
        for (uint32_t i = 0; world.counters().table_full.get() == 0 && i < 10'000; ++i) {
            const auto client = "198.51.100." + std::to_string(3 + i % 200);
            const auto from = uint16_t(1000 + i / 200);
            world.send(Frame().ip(client, kVip).tcp(from, port, kSyn));
            world.send(Frame().ip(client, kVip).tcp(from, port, kAck));
        }
    }
    World world;
};

TEST_F(Full, NatDropsWhatItCannotRemember) {
    world.backend(world.service(kVip, 80), kServer, 80, shm::Forward::nat);
    world.publish();
    fill(80);
    EXPECT_EQ(world.count(Verdict::drop_table_full), 1u);
    EXPECT_EQ(world.send(Frame().ip(kClient, kVip).tcp(9, 80, kSyn)).verdict,
              Verdict::drop_table_full);
}

TEST_F(Full, DirectRoutingGoesOnWithoutMemory) {
    const auto s = world.service(kVip, 80);
    const auto a = world.backend(s, kServer, 80, shm::Forward::dr),
               b = world.backend(s, kServer2, 80, shm::Forward::dr);
    world.publish();
    EXPECT_EQ(world.send(Frame().ip(kClient, kVip).tcp(9, 80, kAck)).verdict,
              Verdict::kernel_no_connection);
    fill(80);
    EXPECT_EQ(world.count(Verdict::stateless), 1u + world.counters().table_stateless.get() - 1);
    std::map<uint32_t, int> shares;
    for (uint16_t port = 1; port <= 200; ++port) {
        const Sent syn = world.send(Frame().ip(kClient, kVip).tcp(port, 80, kSyn));
        ASSERT_EQ(syn.verdict, Verdict::stateless);
        ++shares[syn.packet.backend];
        EXPECT_EQ(
            diff(syn.frame, Frame()
                                .ip(kClient, kVip)
                                .ttl(63)
                                .tcp(port, 80, kSyn)
                                .eth(kPort1Mac, syn.packet.backend == a ? kServerMac : kServer2Mac)
                                .bytes()),
            "");
        const Sent ack = world.send(Frame().ip(kClient, kVip).tcp(port, 80, kAck));
        EXPECT_EQ(ack.verdict, Verdict::stateless);
        EXPECT_EQ(ack.packet.backend, syn.packet.backend);
    }
    EXPECT_GT(shares[a], 60);
    EXPECT_GT(shares[b], 60);
    EXPECT_EQ(world.counters().table_stateless.get(), world.count(Verdict::stateless));
    // A minute after the table was last full such packets are nobody's.
    world.pass(59'000);
    EXPECT_EQ(world.send(Frame().ip(kClient, kVip).tcp(9, 80, kAck)).verdict, Verdict::stateless);
    world.pass(2'000);
    EXPECT_EQ(world.send(Frame().ip(kClient, kVip).tcp(9, 80, kAck)).verdict,
              Verdict::kernel_no_connection);
}

TEST_F(Full, HalfOpenConnectionsMakeRoom) {
    world.backend(world.service(kVip, 80), kServer, 80, shm::Forward::nat);
    world.publish();
    for (uint16_t port = 1001; port <= 1500; ++port) {
        EXPECT_EQ(world.send(Frame().ip(kClient, kVip).tcp(port, 80, kSyn)).verdict,
                  Verdict::nat_request)
            << port;
        world.pass(1);
    }
    EXPECT_GT(world.counters().table_recycled.get(), 300u);
}

}  // namespace
}  // namespace torii::test
