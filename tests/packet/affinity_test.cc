// Persistence and one-packet scheduling: which server a client's next connection goes to.

#include <gmock/gmock.h>

#include "tests/support/world/world.h"

namespace torii::test {
namespace {

using stages::Verdict;

constexpr uint32_t kTimeout = 50;  // seconds

struct Affinity : testing::Test {
    uint32_t service(std::string_view vip = kVip, uint16_t port = 80,
                     Protocol protocol = Protocol::tcp, uint32_t mask = 0xffffffff) {
        const uint32_t s = world.service(vip, port, protocol, "rr");
        shm::ServiceRecord& r = world.services.services[s].record;
        r.flags = shm::kPersistent;
        r.persistence_timeout = kTimeout;
        r.persistence_mask = mask;
        return s;
    }
    void servers(uint32_t s, uint16_t port = 80, shm::Forward forward = shm::Forward::nat) {
        first = world.backend(s, kServer, port, forward);
        second = world.backend(s, kServer2, port, forward);
        world.publish();
    }
    Sent syn(uint16_t port, std::string_view client = kClient, uint16_t to = 80) {
        return world.send(Frame().ip(client, kVip).tcp(port, to, kSyn));
    }
    uint32_t chosen(const Sent& s) const { return s.packet.backend; }
    uint64_t templates() const {
        return world.backend_row(first).persistent.get() +
               world.backend_row(second).persistent.get();
    }
    World world;
    uint32_t first = 0, second = 0;
};

TEST_F(Affinity, AClientKeepsItsServerForItsTimeout) {
    servers(service());
    const uint32_t slot = chosen(syn(1000));
    for (uint16_t port = 1001; port < 1010; ++port) EXPECT_EQ(chosen(syn(port)), slot);
    EXPECT_NE(chosen(syn(1000, "198.51.100.9")), slot) << "another client is scheduled by itself";
    EXPECT_EQ(templates(), 2u);
    EXPECT_EQ(world.service_row(0).connections.get(), 11u) << "templates are no connections";
    world.send(Frame().ip(kClient, kVip).tcp(1000, 80, kRst));  // all but this end with 60 s
    world.pass(kTimeout * 1000 - 1000);
    EXPECT_EQ(chosen(syn(2000)), slot) << "just in time, and anew from here";
    world.pass(kTimeout * 1000 - 1000);
    EXPECT_EQ(chosen(syn(2001)), slot);
}

TEST_F(Affinity, ATemplateWithConnectionsLivesAMinuteMoreAndThenEnds) {
    servers(service());
    const uint32_t slot = chosen(syn(1000));
    world.send(Frame().ip(kClient, kVip).tcp(1000, 80, kAck));  // established: 900 s
    world.pass(kTimeout * 1000 + 1000);
    EXPECT_EQ(templates(), 1u);
    EXPECT_EQ(chosen(syn(1001)), slot);
    world.send(Frame().ip(kClient, kVip).tcp(1000, 80, kRst));
    world.send(Frame().ip(kClient, kVip).tcp(1001, 80, kAck));
    world.send(Frame().ip(kClient, kVip).tcp(1001, 80, kRst));
    for (int i = 0; i < 20; ++i) world.pass(10'000);
    EXPECT_EQ(templates(), 0u);
}

TEST_F(Affinity, AMaskMakesNeighboursOne) {
    servers(service(kVip, 80, Protocol::tcp, 0xffffff00));
    const uint32_t slot = chosen(syn(1000, "198.51.100.1"));
    EXPECT_EQ(chosen(syn(1000, "198.51.100.77")), slot);
    EXPECT_EQ(chosen(syn(1000, "198.51.100.78")), slot);
    EXPECT_EQ(templates(), 1u);
}

TEST_F(Affinity, PortZeroTakesEveryPortAndKeepsThemTogether) {
    servers(service(kVip, 0), 0);
    const Sent a = syn(1000, kClient, 80), b = syn(1001, kClient, 8443);
    EXPECT_EQ(a.verdict, Verdict::nat_request);
    EXPECT_EQ(chosen(a), chosen(b));
    EXPECT_EQ(world.flows().tuple(b.packet.entry).backend_port.host(), 8443);
    EXPECT_EQ(wrong_checksums(b.frame), "");
    // A service with its own port comes first.
    const uint32_t own = world.service(kVip, 443);
    world.backend(own, kServer, 443, shm::Forward::nat);
    world.publish();
    EXPECT_EQ(syn(1002, kClient, 443).packet.service, own);
}

TEST_F(Affinity, WeightAndThresholdDoNotPartAClientFromItsServer) {
    servers(service());
    const uint32_t slot = chosen(syn(1000));
    world.services.backends[slot].record.upper = 1;
    world.edit_backend(slot, 0);
    world.publish();
    EXPECT_EQ(chosen(syn(1001)), slot);
    EXPECT_NE(chosen(syn(1000, "198.51.100.9")), slot);
    world.services.behaviour.expire_quiescent_template = 1;
    world.publish();
    EXPECT_NE(chosen(syn(1002)), slot) << "now it does";
    EXPECT_NE(chosen(syn(1003)), slot);
}

TEST_F(Affinity, ARemovedServerLosesItsClients) {
    servers(service());
    const uint32_t slot = chosen(syn(1000));
    world.remove_backend(slot);
    world.publish();
    EXPECT_NE(chosen(syn(1001)), slot);
    world.restore_backend(slot, 1);
    world.publish();
    EXPECT_NE(chosen(syn(1002)), slot) << "the newer template counts";
}

TEST_F(Affinity, AConnectionOfATemplateIsNotReplacedByASyn) {
    servers(service());
    const Sent a = syn(1000);
    world.send(Frame().ip(kClient, kVip).tcp(1000, 80, kRst));
    EXPECT_EQ(syn(1000).packet.entry, a.packet.entry);
}

TEST_F(Affinity, ATemplateIsAssuredWhenAConnectionIsEstablishedOrUdpAnswered) {
    servers(service());
    const Sent a = syn(1000);
    const auto state = [&](const Sent& s) {
        const uint32_t entry =
            world.flows().cell4(s.packet.entry).control.load(std::memory_order_relaxed) - 1;
        return flow::Word::unpack(world.flows().head(entry).word.load()).state;
    };
    EXPECT_EQ(state(a), 0);
    world.send(Frame().ip(kClient, kVip).tcp(1000, 80, kAck));
    EXPECT_EQ(state(a), 1);

    const uint32_t udp = service(kVip, 53, Protocol::udp);
    world.backend(udp, kServer, 53, shm::Forward::nat);
    world.publish();
    const Sent b = world.send(Frame().ip(kClient, kVip).udp(1000, 53));
    EXPECT_EQ(state(b), 0);
    const Sent answer = world.send(Frame().ip(kServer, kClient).udp(53, 1000), {.port = 1});
    EXPECT_EQ(answer.verdict, Verdict::nat_reply);
    EXPECT_EQ(state(b), 1);
}

TEST_F(Affinity, OnePacketIsScheduledByItselfAndLeavesNothing) {
    for (const shm::Forward forward : {shm::Forward::nat, shm::Forward::dr}) {
        World w;
        const uint32_t s = w.service(kVip, 53, Protocol::udp, "rr");
        w.services.services[s].record.flags = shm::kOnePacket;
        const uint32_t a = w.backend(s, kServer, 5353, forward),
                       b = w.backend(s, kServer2, 5353, forward);
        w.publish();
        std::vector<uint32_t> order;
        for (int i = 0; i < 4; ++i) {
            const Frame in = Frame().ip(kClient, kVip).udp(1000, 53).payload(filler(31));
            const Sent out = w.send(in);
            order.push_back(out.packet.backend);
            const bool nat = forward == shm::Forward::nat;
            EXPECT_EQ(out.verdict, nat ? Verdict::nat_request : Verdict::direct);
            EXPECT_EQ(wrong_checksums(out.frame), "");
            const auto* ip = reinterpret_cast<const uint8_t*>(out.frame.data()) + 14;
            EXPECT_EQ(ip[8], 63) << "time to live";
            EXPECT_EQ(ip[16], nat ? 10 : 192) << "destination";
        }
        EXPECT_EQ(order, (std::vector<uint32_t>{b, a, b, a}));
        EXPECT_EQ(w.counters().table_insertions.get(), 0u);
        EXPECT_EQ(w.service_row(0).connections.get(), 4u);
        EXPECT_EQ(w.service_row(0).in_packets.get(), 4u);
        EXPECT_EQ(w.backend_row(a).inactive.get(), 0u);
        EXPECT_EQ(w.send(Frame().ip(kClient, kVip).udp(1000, 53).ttl(1)).verdict,
                  Verdict::answered_ttl);
    }
}

TEST_F(Affinity, WhenADrainIsOverItsConnectionsEndAndTheOthersStay) {
    servers(service());
    const Sent a = syn(1000), b = syn(1000, "198.51.100.9");
    ASSERT_NE(chosen(a), chosen(b));
    shm::BackendRecord& leaving = world.services.backends[chosen(a)].record;
    leaving.drain_until = world.now + 10 * flow::kTicksPerSecond;
    world.edit_backend(chosen(a), 0);
    world.publish();
    const auto ack = [&](const char* client) {
        return world.send(Frame().ip(client, kVip).tcp(1000, 80, kAck)).verdict;
    };
    world.pass(9000);
    EXPECT_EQ(ack(kClient), Verdict::nat_request);
    world.pass(1500);
    EXPECT_EQ(ack(kClient), Verdict::kernel_no_connection);
    EXPECT_EQ(ack("198.51.100.9"), Verdict::nat_request);
    EXPECT_EQ(world.backend_row(chosen(a)).active.get(), 0u);
    EXPECT_EQ(chosen(syn(1001)), chosen(b)) << "its template holds nobody any more";
    // A generation later there is nothing new to end.
    world.publish();
    world.pass(1000);
    EXPECT_EQ(ack("198.51.100.9"), Verdict::nat_request);
}

TEST_F(Affinity, SloppyTcpBeginsWithAnySegmentButAReset) {
    const uint32_t s = world.service(kVip, 80);
    first = second = world.backend(s, kServer, 80, shm::Forward::nat);
    world.publish();
    const auto send = [&](uint16_t port, uint8_t flags) {
        return world.send(Frame().ip(kClient, kVip).tcp(port, 80, flags)).verdict;
    };
    EXPECT_EQ(send(1000, kAck), Verdict::kernel_no_connection);
    EXPECT_EQ(send(20, kSyn), Verdict::kernel_no_connection) << "FTP's data are never begun here";
    world.services.behaviour.sloppy_tcp = 1;
    world.publish();
    EXPECT_EQ(send(1000, kAck), Verdict::nat_request);
    EXPECT_EQ(send(1001, kRst), Verdict::kernel_no_connection);
}

TEST_F(Affinity, ConnReuseModeSaysWhichConnectionsASynReplaces) {
    const uint32_t s = world.service(kVip, 80);
    first = world.backend(s, kServer, 80, shm::Forward::dr);
    world.publish();
    const auto replaced = [&](uint32_t mode, uint8_t last) {
        world.services.behaviour.conn_reuse_mode = mode;
        world.publish();
        const auto port = uint16_t(1000 + 16 * mode + last);
        const auto segment = [&](uint8_t flags) {
            return world.send(Frame().ip(kClient, kVip).tcp(port, 80, flags));
        };
        segment(kSyn);
        segment(kAck);
        segment(last);
        const uint64_t before = world.counters().table_insertions.get();
        segment(kSyn);
        return world.counters().table_insertions.get() != before;
    };
    EXPECT_FALSE(replaced(0, kRst));
    EXPECT_TRUE(replaced(1, kRst));
    EXPECT_FALSE(replaced(1, kAck | kFin)) << "FIN_WAIT";
    EXPECT_TRUE(replaced(2, kAck | kFin));
    EXPECT_TRUE(replaced(3, kRst));
}

TEST_F(Affinity, ExpireNodestConnEndsConnectionsOfRemovedAndQuiescedServers) {
    const uint32_t s = world.service(kVip, 80);
    servers(s);
    const uint32_t slot = chosen(syn(1000));
    syn(1002);
    ASSERT_EQ(chosen(syn(1003)), slot);
    world.services.behaviour.expire_nodest_conn = 1;
    world.edit_backend(slot, 0);
    world.publish();
    EXPECT_NE(chosen(syn(1000)), slot) << "a SYN finds another one";
    const Sent other = syn(1001);
    world.remove_backend(chosen(other));
    world.publish();
    EXPECT_EQ(world.send(Frame().ip(kClient, kVip).tcp(1001, 80, kAck)).verdict,
              Verdict::kernel_no_connection);
    EXPECT_EQ(world.backend_row(slot).active.get(), 1u) << "a quiesced one's stay";
    world.remove_backend(slot);
    world.publish();
    world.pass(0);
    EXPECT_EQ(world.backend_row(slot).active.get(), 0u) << "without a packet";
    EXPECT_EQ(world.flows().head(other.packet.entry).word.load() & 3, uint64_t(flow::Phase::dying));
}

TEST_F(Affinity, TemplatesOfARemovedBackendEndWithItsConnectionsWhereThatIsAsked) {
    for (const uint32_t n : {0u, 1u, 2u, 3u}) {
        SCOPED_TRACE(n);
        const bool expire = n & 1, ended = n & 2;
        World fresh;
        const uint32_t s = fresh.service(kVip, 80, Protocol::tcp, "rr");
        fresh.services.services[s].record.flags = shm::kPersistent;
        fresh.services.services[s].record.persistence_timeout = kTimeout;
        fresh.services.services[s].record.persistence_mask = 0xffffffff;
        const uint32_t only = fresh.backend(s, kServer, 80, shm::Forward::nat);
        fresh.services.behaviour.expire_nodest_conn = expire;
        fresh.publish();
        const shm::Row& row = fresh.backend_row(only);
        const auto count = [&] { return row.active.get() + row.persistent.get(); };
        fresh.send(Frame().ip(kClient, kVip).tcp(1, 80, kSyn));
        if (ended) {
            for (const uint8_t flags : {kAck, kRst})
                fresh.send(Frame().ip(kClient, kVip).tcp(1, 80, flags));
            fresh.pass(11'000);
        }
        EXPECT_EQ(count(), ended ? 1u : 2u) << "the connection and its template";
        fresh.remove_backend(only);
        fresh.publish();
        fresh.pass(100);
        EXPECT_EQ(count(), expire ? 0u : ended ? 1u : 2u);
    }
}

}  // namespace
}  // namespace torii::test
