// Floods of fragments: whole packets of others fare as without them, and honest datagrams in
// pieces get through.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "dataplane/stages/stages.h"
#include "tests/support/pieces.h"
#include "tests/support/world/world.h"

namespace torii::test {
namespace {

using shm::Forward;
using stages::Verdict;

void serve(World& w) {
    for (const char* server : {kServer, kServer2})
        w.backend(w.services.services.empty() ? w.service(kVip, 80) : 0, server, 8080,
                  Forward::nat);
    w.backend(w.service(kVip, 53, Protocol::udp), kServer, 5353, Forward::nat);
    w.backend(w.service(kVip, 81), kServer, 81, Forward::dr);
    w.publish();
}

// Connections that begin, talk and end; a reply now and then.
std::vector<Bytes> whole_packets(uint16_t round) {
    const auto port = uint16_t(20000 + round % 50);
    std::vector<Bytes> out;
    for (const char* client : {kClient, "198.51.100.9"}) {
        out.push_back(Frame().ip(client, kVip).tcp(port, 80, kSyn).bytes());
        out.push_back(Frame().ip(client, kVip).tcp(port, 80, kAck).payload(filler(100)).bytes());
        out.push_back(Frame().ip(client, kVip).udp(port, 53).payload(filler(30)).bytes());
        out.push_back(Frame().ip(client, kVip).tcp(port, 81, kSyn).bytes());
        out.push_back(Frame().ip(kServer, client).udp(5353, port).bytes());
    }
    return out;
}

class Flood {
public:
    Bytes next() {
        const uint32_t n = random_();
        const std::string source =
            "203.0." + std::to_string(n >> 8 & 255) + "." + std::to_string(1 + n % 200);
        const uint32_t id = n >> 16;
        switch (n >> 20 & 7) {
            case 0:  // first ones, never followed
                return piece(udp(source, uint16_t(7000 + n % 3), 53), 0, 1200, true, id);
            case 1:  // later ones, never preceded
                return piece(udp(source, 7000, 53), 1200, 1200, true, id);
            case 2:  // too small for a header
                return piece(Frame().ip(source, kVip).tcp(9, 80, kSyn).packet(), 0, 16, true, id);
            case 3:  // of one datagram, overlapping
                return piece(udp("203.0.113.7", 9, 53), n % 250 * 8, 400, true, 1);
            case 4:  // as far as it goes
                return far(udp(source, 7000, 53), id);
            case 5:  // of no service
                return piece(udp(source, 1, 1), 0, 800, true, id);
            default:  // one source alone
                return piece(udp("203.0.113.8", 9, 53), n & 1 ? 0 : 800, 800, true, n);
        }
    }

private:
    static Bytes udp(std::string_view source, uint16_t from, uint16_t to) {
        return Frame().ip(source, kVip).udp(from, to).no_checksum().payload(Bytes(2400)).packet();
    }
    static Bytes far(Bytes packet, uint32_t id) {
        packet.resize(20 + 65'512);
        return piece(packet, 65'504, 8, false, id);
    }
    std::minstd_rand random_{99};
};

TEST(FragmentFlood, WholePacketsFareAsWithoutIt) {
    World quiet, flooded;
    serve(quiet);
    serve(flooded);
    Flood flood;
    std::minstd_rand random(5);
    const Frame honest = Frame().ip("198.51.100.77", kVip).udp(555, 53).payload(filler(6000));
    for (uint16_t round = 0; round < 100; ++round) {
        auto pieces = in_pieces(honest, 1200, round);
        std::shuffle(pieces.begin(), pieces.end(), random);
        const auto packets = whole_packets(round);
        auto want = quiet.send_burst(packets);
        std::vector<Bytes> burst;
        for (size_t i = 0; i < packets.size(); ++i) {
            burst.push_back(packets[i]);
            for (int n = 0; n < 4; ++n) burst.push_back(flood.next());
            if (i < pieces.size()) burst.push_back(pieces[i]);
        }
        size_t at = 0, through = 0;
        auto sent = flooded.send_burst(burst);
        for (Sent& s : flooded.released()) sent.push_back(std::move(s));
        for (size_t i = 0; i < sent.size(); ++i) {
            const Sent& s = sent[i];
            const bool from_honest = s.verdict == Verdict::nat_request &&
                                     stages::source_of(s.packet) == *parse_address("198.51.100.77");
            through += from_honest;
            if (at == want.size() || i >= burst.size() || burst[i] != packets[at]) continue;
            ASSERT_EQ(s.verdict, want[at].verdict) << round << " " << at;
            ASSERT_EQ(s.frame, want[at].frame) << round << " " << at;
            ++at;
        }
        ASSERT_EQ(at, packets.size());
        ASSERT_EQ(through, pieces.size()) << round;
        for (Sent& s : want)
            if (s.verdict == Verdict::open) quiet.abandon_held(s);
        for (Sent& s : sent)
            if (s.verdict == Verdict::open) flooded.abandon_held(s);
        for (World* w : {&quiet, &flooded}) w->pass(5);
    }
    for (Verdict v : {Verdict::drop_fragment_tiny, Verdict::drop_fragment_overlap,
                      Verdict::drop_fragment_full, Verdict::drop_fragment_refused})
        EXPECT_GT(flooded.count(v), 0u) << stages::info(v).name;
    const auto& table = flooded.state().fragments;
    EXPECT_LE(table.datagrams(), table.capacity());
    EXPECT_EQ(flooded.counters().waiting.get(), table.held());
}

}  // namespace
}  // namespace torii::test
