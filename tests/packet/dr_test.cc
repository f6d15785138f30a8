// Direct routing: the frame goes on as it came, but for its time to live and link header.

#include <gmock/gmock.h>

#include "tests/support/world/world.h"

namespace torii::test {
namespace {

using stages::Verdict;

struct Kind {
    const char* name;
    bool v6, tcp;
};
struct Direct : testing::TestWithParam<Kind> {
    Direct() {
        const auto s = world.service(vip(), 80, GetParam().tcp ? Protocol::tcp : Protocol::udp);
        slot = world.backend(s, GetParam().v6 ? kServer6 : kServer, 80, shm::Forward::dr);
        world.publish();
    }
    const char* vip() const { return GetParam().v6 ? kVip6 : kVip; }
    Frame request(uint8_t flags) const {
        Frame f = Frame().ip(GetParam().v6 ? kClient6 : kClient, vip()).eth(kClientMac, kPort0Mac);
        if (GetParam().tcp) return f.tcp(40000, 80, flags);
        return f.udp(40000, 80);
    }
    World world;
    uint32_t slot = 0;
};

TEST_P(Direct, ChangesOnlyTimeToLiveAndLinkHeader) {
    for (uint8_t flags : {kSyn, kAck, uint8_t(kAck | kFin)}) {
        for (uint8_t ttl : {2, 64, 255}) {
            const Frame in = request(flags).ttl(ttl).payload(filler(99));
            const Sent out = world.send(in);
            EXPECT_EQ(out.verdict, Verdict::direct);
            EXPECT_EQ(out.port, 1);
            const Bytes want = Frame(in).ttl(uint8_t(ttl - 1)).eth(kPort1Mac, kServerMac).bytes();
            EXPECT_EQ(diff(out.frame, want), "");
            EXPECT_EQ(wrong_checksums(out.frame), "");
        }
    }
    EXPECT_EQ(world.backend_row(slot).in_packets.get(), 9u);
    EXPECT_EQ(world.backend_row(slot).connections.get(), 1u);
}

TEST_P(Direct, RepliesAreNotItsBusiness) {
    world.send(request(kSyn));
    Frame f = Frame().ip(vip(), GetParam().v6 ? kClient6 : kClient);
    GetParam().tcp ? f.tcp(80, 40000, kSyn | kAck) : f.udp(80, 40000);
    EXPECT_EQ(world.send(f, {.port = 1}).verdict, Verdict::kernel_not_ours);
}

INSTANTIATE_TEST_SUITE_P(All, Direct,
                         testing::Values(Kind{"ipv4_tcp", false, true},
                                         Kind{"ipv4_udp", false, false},
                                         Kind{"ipv6_tcp", true, true},
                                         Kind{"ipv6_udp", true, false}),
                         [](const auto& i) { return i.param.name; });

}  // namespace
}  // namespace torii::test
