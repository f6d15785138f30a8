// One row for every verdict the pipeline can give, and that nothing is missing; garbage, of which
// every packet must still be counted exactly once.

#include <gmock/gmock.h>

#include <functional>
#include <random>

#include "tests/support/pieces.h"
#include "tests/support/world/world.h"

namespace torii::test {
namespace {

using stages::kVerdicts;
using stages::Verdict;

Frame tcp(const char* from, const char* to, uint16_t source, uint16_t destination, uint8_t flags) {
    return Frame().ip(from, to).tcp(source, destination, flags);
}
Frame syn(uint16_t port) { return tcp(kClient, kVip, 40000, port, kSyn); }

// Services: 80 by NAT, 81 direct, 82 without backends, 83 without neighbour, 84 without port, 85
// without route, 86 with a small MTU, 87 by a tunnel, 88 on this machine itself.
void serve(World& w) {
    w.backend(w.service(kVip, 80), kServer, 8080, shm::Forward::nat);
    w.backend(w.service(kVip, 81), kServer, 81, shm::Forward::dr);
    w.service(kVip, 82);
    w.backend(w.service(kVip, 83), "10.0.0.99", 83, shm::Forward::dr);
    w.backend(w.service(kVip, 84), "10.7.0.1", 84, shm::Forward::dr);
    w.backend(w.service(kVip, 85), "10.8.0.1", 85, shm::Forward::dr);
    w.backend(w.service(kVip, 86), kServer2, 86, shm::Forward::dr);
    w.backend(w.service(kVip, 87), kServer, 87, shm::Forward::tunnel);
    w.backend(w.service(kVip, 88), kOurself, 88, shm::Forward::dr);
    w.backend(w.service(kVip6, 80), kServer6, 8080, shm::Forward::nat);
    for (auto& n : w.routes.neighbours)
        if (to_string(n.address) == kServer2) n.mtu = 1000;
    w.publish();
}

// From a NAT backend's port, of no connection.
Sent stray(World& w) {
    w.services.behaviour.nat_icmp_send = 1;
    w.routes.port_addresses = {{}, {}, *parse_address(kOurself), {}};
    w.publish();
    return w.send(tcp(kServer, kClient, 8080, 7, kAck), {.port = 1});
}

Verdict over_the_limit(World& w, const Frame& f) {
    for (int i = 0; i < 50; ++i) w.send(f);
    return w.send(f).verdict;
}
Verdict with_full_table(uint16_t port) {
    World w(64);
    serve(w);
    for (uint16_t i = 1; w.counters().table_full.get() == 0 && i < 10'000; ++i) {
        w.send(tcp(kClient, kVip, i, port, kSyn));
        w.send(tcp(kClient, kVip, i, port, kAck));
    }
    return w.send(tcp(kClient, kVip, 20'000, port, kSyn)).verdict;
}

struct Case {
    Verdict verdict;
    std::function<Verdict(World&)> make;
};
const Case kCases[] = {
    {Verdict::nat_request, [](World& w) { return w.send(syn(80)).verdict; }},
    {Verdict::nat_reply,
     [](World& w) {
         w.send(syn(80));
         return w.send(tcp(kServer, kClient, 8080, 40000, kSyn | kAck)).verdict;
     }},
    {Verdict::direct, [](World& w) { return w.send(syn(81)).verdict; }},
    {Verdict::tunnel, [](World& w) { return w.send(syn(87)).verdict; }},
    {Verdict::stateless, [](World&) { return with_full_table(81); }},
    {Verdict::icmp_related,
     [](World& w) {
         w.send(syn(80));
         const Bytes quoted = tcp(kVip, kClient, 80, 40000, kAck).packet();
         return w.send(Frame().ip(kClient, kVip).icmp(3, 1).payload(quoted)).verdict;
     }},
    {Verdict::answered_no_backend, [](World& w) { return w.send(syn(82)).verdict; }},
    {Verdict::answered_no_connection, [](World& w) { return stray(w).verdict; }},
    {Verdict::answered_ttl, [](World& w) { return w.send(syn(80).ttl(1)).verdict; }},
    {Verdict::answered_too_big,
     [](World& w) { return w.send(syn(86).dont_fragment().payload(filler(1000))).verdict; }},
    {Verdict::kernel_not_ours, [](World& w) { return w.send(syn(22)).verdict; }},
    {Verdict::kernel_no_connection,
     [](World& w) { return w.send(tcp(kClient, kVip, 5, 80, kAck)).verdict; }},
    {Verdict::kernel_other,
     [](World& w) { return w.send(Frame().type(0x0806).payload(filler(28))).verdict; }},
    {Verdict::kernel_local, [](World& w) { return w.send(syn(88)).verdict; }},
    {Verdict::kernel_bypass,
     [](World& w) {
         const uint32_t s = w.service("0.0.0.0", 0, Protocol::any);
         w.services.services[s].record.mark = 7;
         w.services.marks = {{*parse_address("192.0.2.99"), 32, Protocol::any, 0, 65535, 0, 7}};
         w.services.behaviour.cache_bypass = 1;
         w.publish();
         return w.send(tcp(kClient, "192.0.2.99", 5, 80, kSyn)).verdict;
     }},
    {Verdict::kernel_backup,
     [](World& w) {
         w.state().standby = shm::Standby::of_everything();
         return w.send(syn(80)).verdict;
     }},
    {Verdict::drop_truncated, [](World& w) { return w.send(Bytes(13)).verdict; }},
    {Verdict::drop_bad_header,
     [](World& w) {
         Bytes b = syn(80).bytes();
         b[14] = std::byte(0x44);
         return w.send(b).verdict;
     }},
    {Verdict::drop_bad_checksum,
     [](World& w) {
         Bytes b = syn(80).bytes();
         b[24] ^= std::byte(1);
         return w.send(b).verdict;
     }},
    {Verdict::drop_martian,
     [](World& w) { return w.send(tcp("127.0.0.1", kVip, 5, 80, kSyn)).verdict; }},
    {Verdict::drop_fragment_tiny,
     [](World& w) { return w.send(piece(syn(80).packet(), 0, 16, true)).verdict; }},
    {Verdict::drop_fragment_length,
     [](World& w) {
         return w.send(piece(syn(80).payload(filler(60)).packet(), 0, 21, true)).verdict;
     }},
    {Verdict::drop_fragment_overlap,
     [](World& w) {
         w.send(piece(syn(80).payload(filler(60)).packet(), 0, 24, true));
         return w.send(piece(syn(80).payload(filler(60)).packet(), 16, 16, true)).verdict;
     }},
    {Verdict::drop_fragment_duplicate,
     [](World& w) {
         w.send(piece(syn(80).payload(filler(60)).packet(), 0, 24, true));
         return w.send(piece(syn(80).payload(filler(60)).packet(), 0, 24, true)).verdict;
     }},
    {Verdict::drop_fragment_refused,
     [](World& w) {
         w.send(piece(syn(82).payload(filler(60)).packet(), 0, 24, true));
         return w.send(piece(syn(80).payload(filler(60)).packet(), 24, 16, false)).verdict;
     }},
    {Verdict::drop_fragment_timeout,
     [](World& w) {
         w.send(piece(syn(80).payload(filler(60)).packet(), 24, 16, false));
         w.pass(2000);
         return w.released().at(0).verdict;
     }},
    {Verdict::drop_fragment_full,
     [](World& w) {
         for (uint16_t i = 0;; ++i)
             if (const Sent s =
                     w.send(piece(syn(80).payload(filler(60)).packet(), 24, 16, false, i));
                 s.verdict != Verdict::aside)
                 return s.verdict;
     }},
    {Verdict::drop_no_backend, [](World& w) { return over_the_limit(w, syn(82)); }},
    {Verdict::drop_no_connection,
     [](World& w) {
         for (int n = 0; n < 50; ++n) stray(w);
         return stray(w).verdict;
     }},
    {Verdict::drop_backend_gone,
     [](World& w) {
         w.send(syn(80));
         w.remove_backend(0);
         w.publish();
         return w.send(tcp(kClient, kVip, 40000, 80, kAck)).verdict;
     }},
    {Verdict::drop_ttl, [](World& w) { return over_the_limit(w, syn(80).ttl(1)); }},
    {Verdict::drop_too_big,
     [](World& w) { return over_the_limit(w, syn(86).dont_fragment().payload(filler(1000))); }},
    {Verdict::drop_table_full, [](World&) { return with_full_table(80); }},
    {Verdict::drop_no_route, [](World& w) { return w.send(syn(85)).verdict; }},
    {Verdict::drop_no_neighbour,
     [](World& w) {
         Sent s = w.send(syn(83));
         w.abandon_held(s);
         return s.verdict;
     }},
    {Verdict::drop_no_port, [](World& w) { return w.send(syn(84)).verdict; }},
    {Verdict::drop_no_source,
     [](World& w) {
         for (auto& n : w.routes.neighbours) n.local = {};
         w.publish();
         return w.send(syn(87)).verdict;
     }},
    {Verdict::drop_no_memory,
     [](World& w) { return w.send(syn(82), {.headroom = 0, .tailroom = 0}).verdict; }},
};
// Given by the port adapter, where they are tested.
constexpr Verdict kOfPorts[] = {Verdict::drop_tx_full, Verdict::drop_no_kernel};

TEST(Verdicts, EveryOneHasACase) {
    for (const auto& v : kVerdicts) {
        if (v.outcome == stages::Outcome::none ||
            std::ranges::find(kOfPorts, v.id) != std::end(kOfPorts))
            continue;
        const auto at = std::ranges::find(kCases, v.id, &Case::verdict);
        ASSERT_NE(at, std::end(kCases)) << v.name << " has no packet that shows it";
        World world;
        serve(world);
        EXPECT_EQ(stages::info(at->make(world)).name, v.name);
    }
}

uint64_t sum_of_verdicts(const World& w) {
    uint64_t sum = 0;
    for (const auto& v : kVerdicts) sum += w.count(v.id);
    return sum;
}

TEST(Verdicts, KernelPacketsAreUntouched) {
    World w;
    serve(w);
    for (const Frame& f :
         {syn(22), tcp(kClient, kVip, 5, 80, kAck), syn(80).protocol(47),
          tcp(kServer, kClient, 8080, 40001, kAck), syn(80).ip(kClient6, kVip6).tcp(1, 2, kSyn),
          Frame().type(0x0806).payload(filler(28))}) {
        const Bytes before = f.bytes();
        const Sent s = w.send(before);
        EXPECT_EQ(stages::info(s.verdict).outcome, stages::Outcome::kernel);
        EXPECT_EQ(diff(s.frame, before), "");
    }
}

TEST(Verdicts, MartiansAreDroppedOnlyOnTheirWayToAService) {
    World w;
    serve(w);
    for (const char* from : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.0.9", "224.0.0.1",
                             "239.1.1.1", "240.0.0.1", "255.255.255.255", kVip}) {
        EXPECT_EQ(w.send(tcp(from, kVip, 5, 80, kSyn)).verdict, Verdict::drop_martian) << from;
        EXPECT_EQ(w.send(tcp(from, "192.0.2.99", 5, 80, kSyn)).verdict, Verdict::kernel_not_ours)
            << from;
        const Bytes quoted = tcp(kVip, from, 80, 5, kAck).packet();
        EXPECT_EQ(w.send(Frame().ip(from, kVip).icmp(3, 1).payload(quoted)).verdict,
                  Verdict::drop_martian);
    }
    for (const char* from : {"::", "::1", "ff02::1", kVip6})
        EXPECT_EQ(w.send(tcp(from, kVip6, 5, 80, kSyn)).verdict, Verdict::drop_martian) << from;
    // IPv4-mapped addresses in an IPv6 packet never reach the IPv4 service of that number.
    Bytes mapped = tcp(kClient6, kVip6, 5, 80, kSyn).bytes();
    const Address four = *parse_address(kVip), client = *parse_address(kClient);
    std::memcpy(&mapped[14 + 24], four.bytes.data(), 16);
    EXPECT_EQ(w.send(mapped).verdict, Verdict::drop_martian);
    std::memcpy(&mapped[14 + 8], client.bytes.data(), 16);
    EXPECT_EQ(w.send(mapped).verdict, Verdict::drop_martian);
    for (const char* from : {"1.0.0.1", "126.0.0.1", "128.0.0.1", "223.255.255.254"})
        EXPECT_EQ(w.send(tcp(from, kVip, 5, 80, kSyn)).verdict, Verdict::nat_request) << from;
}

TEST(Verdicts, FragmentsOfServicesOnly) {
    World w;
    serve(w);
    EXPECT_EQ(w.send(tcp(kServer, "10.0.0.1", 8080, 40000, kAck).fragment(0, true)).verdict,
              Verdict::kernel_not_ours);  // to the host itself
    EXPECT_EQ(w.send(tcp(kClient, "192.0.2.99", 5, 80, kSyn).fragment(0, true)).verdict,
              Verdict::kernel_not_ours);
    EXPECT_EQ(w.send(tcp(kServer2, kClient, 86, 40000, kAck).fragment(0, true)).verdict,
              Verdict::kernel_not_ours);  // a direct-routing server answers by itself
}

// Frames that are nearly right: bits flipped, cut short, spliced, doubled.
TEST(Verdicts, SumEqualsReceivedOverGarbage) {
    World w;
    serve(w);
    const Bytes hop = bytes_of({0, 1, 4, 0, 0, 0, 0});
    std::vector<Bytes> good;
    for (uint16_t port = 80; port <= 87; ++port) {
        good.push_back(syn(port).payload(filler(port - 80)).bytes());
        good.push_back(syn(port).vlan(5).options(filler(8)).ttl(uint8_t(port - 79)).bytes());
    }
    good.push_back(tcp(kClient, kVip, 40000, 80, kAck).pad_to(64).bytes());
    good.push_back(tcp(kServer, kClient, 8080, 40000, kAck).bytes());
    good.push_back(
        tcp(kClient6, kVip6, 40000, 80, kSyn).extension(0, hop).extension(60, hop).bytes());
    good.push_back(tcp(kClient6, kVip6, 40000, 80, kSyn).fragment(0, true).bytes());
    good.push_back(Frame().ip(kClient, kVip).udp(5, 80).bytes());
    good.push_back(Frame()
                       .ip(kClient, kVip)
                       .icmp(3, 4, 1400)
                       .payload(tcp(kVip, kClient, 80, 40000, kAck).packet())
                       .bytes());
    good.push_back(Frame()
                       .ip(kClient6, kVip6)
                       .icmp(1, 4)
                       .payload(tcp(kVip6, kClient6, 80, 40000, kAck).extension(60, hop).packet())
                       .bytes());
    std::minstd_rand random(12345);
    const auto below = [&](size_t n) { return size_t(random()) % n; };
    constexpr size_t kFrames = 100'000, kBurst = 50;
    for (size_t i = 0; i < kFrames; i += kBurst) {
        std::vector<Bytes> burst;
        for (size_t j = 0; j < kBurst; ++j) {
            Bytes b = good[below(good.size())];
            for (size_t n = below(4); n > 0; --n)
                b[below(b.size())] = std::byte(below(2) ? below(256) : 255 * below(2));
            if (below(4) == 0) b.resize(below(b.size() + 1));
            if (below(8) == 0) {
                const Bytes& other = good[below(good.size())];
                b.insert(b.end(), other.begin() + long(below(other.size())), other.end());
            }
            burst.push_back(std::move(b));
        }
        for (Sent& s : w.send_burst(burst, {.headroom = uint16_t(below(3) * 32),
                                           .tailroom = uint16_t(below(3) * 8)})) {
            const bool held = s.verdict == Verdict::open || s.verdict == Verdict::aside;
            ASSERT_EQ(held, s.held);
            if (s.verdict == Verdict::open) w.abandon_held(s);
        }
        for (Sent& s : w.released())
            if (s.held) w.abandon_held(s);
        w.pass(1);
    }
    w.pass(2000);
    w.released();
    EXPECT_EQ(w.counters().received.get(), kFrames);
    EXPECT_EQ(sum_of_verdicts(w), kFrames);
    EXPECT_EQ(w.counters().waiting.get(), 0u);
    int different = 0;
    for (const auto& v : kVerdicts) different += w.count(v.id) > 0;
    EXPECT_GE(different, 18) << "the garbage was too uniform to prove anything";
}

}  // namespace
}  // namespace torii::test
