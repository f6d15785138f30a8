// Datagrams in pieces through the whole pipeline: put together again behind it, they are what a
// whole packet would have become.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "dataplane/stages/crc32c.h"
#include "tests/support/pieces.h"
#include "tests/support/world/sctp.h"
#include "tests/support/world/world.h"

namespace torii::test {
namespace {

using shm::Forward;
using stages::Verdict;
using testing::Each;

// The whole packet has another identification than its fragments, and so another checksum.
Bytes without_id(Bytes packet) {
    if (packet.empty() || uint8_t(packet[0]) >> 4 != 4) return packet;
    for (size_t at : {4, 5, 10, 11}) packet[at] = {};
    return packet;
}

Bytes together(const std::vector<Sent>& sent) {
    std::vector<Bytes> frames;
    for (const Sent& s : sent) {
        EXPECT_EQ(wrong_checksums(s.frame), "");
        frames.push_back(s.frame);
    }
    return without_id(test::together(frames));
}

struct Family {
    const char *name, *client, *vip, *server;
};
void PrintTo(const Family& f, std::ostream* out) { *out << f.name; }

class Fragments : public testing::TestWithParam<Family> {
protected:
    explicit Fragments(uint32_t workers = 1) : w(4096, workers) {
        w.backend(w.service(f.vip, 53, Protocol::udp), f.server, 5353, Forward::nat);
        nat = 0;
        w.backend(w.service(f.vip, 54, Protocol::udp), f.server, 54, Forward::dr);
        w.backend(w.service(f.vip, 80), f.server, 8080, Forward::nat);
        const uint32_t once = w.service(f.vip, 55, Protocol::udp);
        w.services.services[once].record.flags |= shm::kOnePacket;
        w.backend(once, f.server, 5555, Forward::nat);
        w.backend(w.service(f.vip, 56, Protocol::sctp), f.server, 56, Forward::dr);
        w.backend(w.service(f.vip, 57, Protocol::sctp), f.server, 5757, Forward::nat);
        w.service(f.vip, 99, Protocol::udp);
        // Whole packets are as large as datagrams can be.
        for (shm::NextHop& h : w.routes.neighbours) h.mtu = 0;
        for (shm::RouteDescription& r : w.routes.routes)
            for (shm::NextHop& h : r.hops) h.mtu = 0;
        w.publish();
    }
    Frame udp(uint16_t port, size_t bytes, uint16_t from = 40000) const {
        return Frame().ip(f.client, f.vip).udp(from, port).payload(filler(bytes));
    }
    Frame reply(size_t bytes) const {
        return Frame().ip(f.server, f.client).udp(5353, 40000).payload(filler(bytes));
    }
    /// An INIT from the client, or what the NAT backend answers; sealed.
    Frame sctp(bool answer, size_t bytes) const {
        Bytes b = answer ? bytes_of({0x16, 0x7d, 0x9c, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 7, 0xd0})
                         : bytes_of({0x9c, 0x40, 0, 57, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 7, 0xd0});
        const Bytes rest = filler(bytes);
        b.insert(b.end(), rest.begin(), rest.end());
        seal_sctp(b);
        return Frame()
            .ip(answer ? f.server : f.client, answer ? f.client : f.vip)
            .protocol(132)
            .payload(b);
    }
    /// What the same whole packet becomes.
    Bytes whole(const Frame& frame, Room room = {}) {
        Bytes out = w.send(frame, room).frame;
        return without_id({out.begin() + 14, out.end()});
    }
    static std::vector<Verdict> verdicts(const std::vector<Sent>& sent) {
        std::vector<Verdict> v;
        for (const Sent& s : sent) v.push_back(s.verdict);
        return v;
    }
    Family f = GetParam();
    World w;
    uint32_t nat = 0;
};

TEST_P(Fragments, AnyOrderByNatIsWhatTheWholePacketBecomes) {
    const Frame frame = udp(53, 5000);
    const Bytes want = whole(frame);
    std::mt19937 random(7);
    for (uint16_t id = 1; id <= 60; ++id) {
        auto pieces = in_pieces(frame, 1200, id);
        ASSERT_EQ(pieces.size(), 5u);
        if (id > 1) std::shuffle(pieces.begin(), pieces.end(), random);
        const auto sent = w.send_all(pieces);
        ASSERT_EQ(sent.size(), pieces.size());
        EXPECT_THAT(verdicts(sent), Each(Verdict::nat_request));
        EXPECT_EQ(diff(together(sent), want), "") << id;
        EXPECT_EQ(w.state().fragments.datagrams(), 0u);
    }
    EXPECT_EQ(w.counters().waiting.get(), 0u);
    EXPECT_EQ(w.counters().received.get(), 1u + 300);
    EXPECT_EQ(w.count(Verdict::nat_request), 1u + 300);
}

TEST_P(Fragments, InOneBurst) {
    const Frame frame = udp(53, 5000);
    const Bytes want = whole(frame);
    auto burst = in_pieces(frame, 1200, 1);
    const auto others = in_pieces(udp(54, 3000), 1200, 2);
    burst.insert(burst.begin() + 1, others.rbegin(), others.rend());
    auto sent = w.send_burst(burst);
    for (Sent& s : w.released()) sent.push_back(std::move(s));
    std::vector<Sent> of_nat;
    for (Sent& s : sent)
        if (s.verdict == Verdict::nat_request) of_nat.push_back(std::move(s));
    EXPECT_EQ(diff(together(of_nat), want), "");
    EXPECT_EQ(w.count(Verdict::direct), others.size());
}

TEST_P(Fragments, RepliesOfNat) {
    w.send(udp(53, 10));
    const Frame frame = reply(4000);
    const Bytes want = whole(frame, {.port = 1});
    auto pieces = in_pieces(frame, 1400, 77);
    std::reverse(pieces.begin(), pieces.end());
    const auto sent = w.send_all(pieces, {.port = 1});
    EXPECT_THAT(verdicts(sent), Each(Verdict::nat_reply));
    EXPECT_EQ(diff(together(sent), want), "");
}

TEST_P(Fragments, DirectRoutingChangesOnlyTheTimeToLive) {
    const Frame frame = udp(54, 4000);
    const Bytes want = whole(frame);
    auto pieces = in_pieces(frame, 1400, 77);
    std::reverse(pieces.begin(), pieces.end());
    const auto sent = w.send_all(pieces);
    EXPECT_THAT(verdicts(sent), Each(Verdict::direct));
    EXPECT_EQ(diff(together(sent), want), "");
}

TEST_P(Fragments, TcpToo) {
    const Frame frame = Frame().ip(f.client, f.vip).tcp(40000, 80, kSyn).payload(filler(3000));
    const Bytes want = whole(frame);
    auto pieces = in_pieces(frame, 1400, 77);
    std::reverse(pieces.begin(), pieces.end());
    EXPECT_EQ(diff(together(w.send_all(pieces)), want), "");
}

TEST_P(Fragments, WhereEachDatagramIsAConnectionOfItsOwn) {
    const Frame frame = udp(55, 4000);
    const Bytes want = whole(frame);
    auto pieces = in_pieces(frame, 1400, 77);
    std::reverse(pieces.begin(), pieces.end());
    const auto sent = w.send_all(pieces);
    EXPECT_THAT(verdicts(sent), Each(Verdict::nat_request));
    EXPECT_EQ(diff(together(sent), want), "");
}

TEST_P(Fragments, SctpToo) {
    Bytes init = bytes_of({0x9c, 0x40, 0, 56, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x07, 0xd0});
    const Bytes rest = filler(2000);
    init.insert(init.end(), rest.begin(), rest.end());
    const Frame frame = Frame().ip(f.client, f.vip).protocol(132).payload(init);
    const Bytes want = whole(frame);
    auto pieces = in_pieces(frame, 1400, 77);
    std::reverse(pieces.begin(), pieces.end());
    const auto sent = w.send_all(pieces);
    EXPECT_THAT(verdicts(sent), Each(Verdict::direct));
    EXPECT_EQ(diff(together(sent), want), "");
}

// The checksum covers all of it: the first fragment waits until the last has told the length.
TEST_P(Fragments, SctpByNatIsSealedAsTheWholePacketIs) {
    std::mt19937 random(7);
    for (const bool answer : {false, true}) {
        const Frame frame = sctp(answer, 5000);
        const Room room{.port = answer};
        const Bytes want = whole(frame, room);
        for (uint16_t id = 1; id <= 30; ++id) {
            auto pieces = in_pieces(frame, 1200, id);
            if (id > 1) std::shuffle(pieces.begin(), pieces.end(), random);
            const auto sent = w.send_all(pieces, room);
            ASSERT_EQ(sent.size(), 5u);
            EXPECT_THAT(verdicts(sent), Each(answer ? Verdict::nat_reply : Verdict::nat_request));
            EXPECT_EQ(diff(together(sent), want), "") << id;
        }
    }
    EXPECT_EQ(w.state().fragments.datagrams(), 0u);
    EXPECT_EQ(w.state().fragments.held(), 0u);
    EXPECT_EQ(w.counters().waiting.get(), 0u);
    EXPECT_EQ(w.counters().received.get(), 2 * (1u + 150));
    const uint32_t slot = 5;
    EXPECT_EQ(w.backend_row(slot).in_packets.get(), 31u);
    EXPECT_EQ(w.backend_row(slot).in_bytes.get(), 31 * sctp(false, 5000).packet().size());
    EXPECT_EQ(w.backend_row(slot).out_packets.get(), 31u);
}

TEST_P(Fragments, DamagedSctpStaysDamaged) {
    const Frame frame = sctp(false, 3000);
    const Bytes want = whole(frame);
    auto pieces = in_pieces(frame, 1200, 1);
    pieces[1].back() ^= std::byte(4);
    const Bytes got = together(w.send_all(pieces));
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0, at = want.size() - 3016 + 2399; i < want.size(); ++i)
        EXPECT_EQ(got[i] ^ want[i], std::byte(i == at ? 4 : 0)) << i;
}

TEST_P(Fragments, SctpWithoutAnEndIsDroppedInTime) {
    const auto pieces = in_pieces(sctp(false, 3000), 1200, 1);
    EXPECT_EQ(w.send_all({pieces[0], pieces[1]}).size(), 0u);
    EXPECT_EQ(w.counters().waiting.get(), 2u);
    w.pass(2100);
    EXPECT_THAT(verdicts(w.released()), testing::ElementsAre(Verdict::drop_fragment_timeout,
                                                             Verdict::drop_fragment_timeout));
    EXPECT_EQ(w.counters().waiting.get(), 0u);
    EXPECT_EQ(w.state().fragments.held(), 0u);
}

// LVS puts the datagram together and counts it as one packet.
TEST_P(Fragments, RowsCountOneDatagram) {
    const Frame frame = udp(53, 5000);
    w.send_all(in_pieces(frame, 1200, 1));
    EXPECT_EQ(w.backend_row(nat).in_packets.get(), 1u);
    EXPECT_EQ(w.backend_row(nat).in_bytes.get(), frame.packet().size());
    w.send_all(in_pieces(reply(3000), 1200, 1), {.port = 1});
    EXPECT_EQ(w.backend_row(nat).out_packets.get(), 1u);
    EXPECT_EQ(w.backend_row(nat).out_bytes.get(), reply(3000).packet().size());
}

TEST_P(Fragments, TheKernelGetsAllOfADatagramThatIsNoServices) {
    auto pieces = in_pieces(udp(1234, 3000), 1200, 5);
    const auto before = pieces;
    std::reverse(pieces.begin(), pieces.end());
    const auto sent = w.send_all(pieces);
    ASSERT_EQ(sent.size(), before.size());
    EXPECT_THAT(verdicts(sent), Each(Verdict::kernel_not_ours));
    for (const Sent& s : sent)
        EXPECT_TRUE(std::ranges::any_of(before, [&](const Bytes& b) { return b == s.frame; }));
}

TEST_P(Fragments, WithoutABackendTheFirstIsAnsweredAndTheOthersAreRefused) {
    const auto sent = w.send_all(in_pieces(udp(99, 3000), 1200, 5));
    ASSERT_EQ(sent.size(), 3u);
    EXPECT_EQ(sent[0].verdict, Verdict::answered_no_backend);
    EXPECT_EQ(sent[1].verdict, Verdict::drop_fragment_refused);
    EXPECT_EQ(sent[2].verdict, Verdict::drop_fragment_refused);
}

TEST_P(Fragments, ATooSmallFirstOneEndsTheDatagram) {
    const Frame frame = Frame().ip(f.client, f.vip).tcp(40000, 80, kSyn).payload(filler(100));
    const auto sent = w.send_all(in_pieces(frame, 16, 5));
    EXPECT_EQ(sent[0].verdict, Verdict::drop_fragment_tiny);
    for (size_t i = 1; i < sent.size(); ++i)
        EXPECT_EQ(sent[i].verdict, Verdict::drop_fragment_refused);
}

TEST_P(Fragments, OfAConnectionThatHasEnded) {
    const auto pieces = in_pieces(udp(53, 3000), 1200, 5);
    w.send_all({pieces[0]});
    w.remove_backend(nat);
    w.publish();
    EXPECT_EQ(w.send_all({pieces[1]})[0].verdict, Verdict::drop_backend_gone);
    const auto tcp =
        in_pieces(Frame().ip(f.client, f.vip).tcp(40000, 80, kSyn).payload(filler(3000)), 1200, 6);
    w.flows().remove(w.send_all({tcp[0]})[0].packet.entry);
    EXPECT_EQ(w.send_all({tcp[1]})[0].verdict, Verdict::drop_fragment_refused);
}

TEST_P(Fragments, HeldForTheFirstThenForTheNeighbour) {
    for (auto& n : w.routes.neighbours)
        if (to_string(n.address) == f.server) n.resolved = 0;
    w.publish();
    auto pieces = in_pieces(udp(53, 2000), 1200, 5);
    std::reverse(pieces.begin(), pieces.end());
    auto sent = w.send_all(pieces);
    ASSERT_EQ(sent.size(), 2u);
    EXPECT_EQ(w.counters().waiting.get(), 2u);
    for (auto& n : w.routes.neighbours) n.resolved = 1;
    w.publish();
    for (Sent& s : sent) {
        EXPECT_TRUE(s.held);
        EXPECT_TRUE(w.resolve_held(s));
        EXPECT_EQ(s.verdict, Verdict::nat_request);
    }
    EXPECT_EQ(w.counters().waiting.get(), 0u);
}

TEST_P(Fragments, SixtyFourKilobytesAndNotMore) {
    const auto pieces = in_pieces(udp(54, 65'507), 1440, 9);
    const auto sent = w.send_all(pieces);
    EXPECT_EQ(sent.size(), pieces.size());
    EXPECT_THAT(verdicts(sent), Each(Verdict::direct));
    // The same bytes with one more at the end, which is at 65535 (IPv4 counts its header).
    Bytes packet = udp(54, 65'507).packet();
    packet.resize(packet.size() + 30);
    EXPECT_EQ(w.send(piece(packet, 65'512, 24, false, 10)).verdict, Verdict::drop_fragment_length);
}

INSTANTIATE_TEST_SUITE_P(, Fragments,
                         testing::Values(Family{"v4", kClient, kVip, kServer},
                                         Family{"v6", kClient6, kVip6, kServer6}),
                         [](const auto& p) { return p.param.name; });

class FragmentsOfWorkers : public Fragments {
protected:
    FragmentsOfWorkers() : Fragments(3) {}
};

TEST_P(FragmentsOfWorkers, AnyQueueAnyOrder) {
    const Frame frame = udp(53, 5000);
    const Bytes want = whole(frame);
    std::mt19937 random(3);
    for (uint16_t id = 1; id <= 60; ++id) {
        auto pieces = in_pieces(frame, 1200, id);
        std::shuffle(pieces.begin(), pieces.end(), random);
        std::vector<Sent> sent;
        for (const Bytes& b : pieces)
            for (Sent& s : w.send_all({b}, {}, random() % 3)) sent.push_back(std::move(s));
        EXPECT_EQ(diff(together(sent), want), "") << id;
    }
    uint64_t received = 0, sum = 0;
    for (uint32_t worker = 0; worker < 3; ++worker) {
        EXPECT_GT(w.count(Verdict::nat_request, worker), 0u) << "no datagram is this one's";
        received += w.counters(worker).received.get();
        sum += w.count(Verdict::nat_request, worker);
    }
    EXPECT_EQ(received, 301u) << "each counted once";
    EXPECT_EQ(sum, 301u);
}
INSTANTIATE_TEST_SUITE_P(, FragmentsOfWorkers,
                         testing::Values(Family{"v4", kClient, kVip, kServer},
                                         Family{"v6", kClient6, kVip6, kServer6}),
                         [](const auto& p) { return p.param.name; });

}  // namespace
}  // namespace torii::test
