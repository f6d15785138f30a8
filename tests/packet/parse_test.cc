// parse(): every frame gets a verdict, from bytes that are there.

#include "dataplane/stages/parse.h"

#include <gmock/gmock.h>

#include <memory>

#include "tests/support/frame.h"

namespace torii {
namespace {

using namespace test;
using stages::Packet;
using stages::Verdict;

struct Parsed {
    std::unique_ptr<std::byte[]> memory;  // exactly the frame, so that the sanitizer sees overreads
    Packet p;
};

Parsed parse(const Bytes& frame) {
    Parsed r{std::make_unique<std::byte[]>(frame.size()), {}};
    if (!frame.empty()) std::memcpy(r.memory.get(), frame.data(), frame.size());
    r.p.data = r.memory.get();
    r.p.length = uint16_t(frame.size());
    stages::parse(r.p);
    return r;
}

Frame tcp4() { return Frame().ip("198.51.100.1", "192.0.2.10").tcp(40000, 80, kSyn); }
Frame udp4() { return Frame().ip("198.51.100.1", "192.0.2.10").udp(40000, 53).payload("query"); }
Frame tcp6() { return Frame().ip("2001:db8:c::1", "2001:db8:1::10").tcp(40000, 80, kSyn); }
Frame udp6() { return Frame().ip("2001:db8:c::1", "2001:db8:1::10").udp(40000, 53); }

void set8(Bytes& b, size_t at, int v) { b[at] = std::byte(v); }
void set16(Bytes& b, size_t at, int v) { set8(b, at, v >> 8), set8(b, at + 1, v); }
// The IPv4 header checksum made right again after a change.
void fix(Bytes& b, size_t l3 = 14) {
    set16(b, l3 + 10, 0);
    uint32_t sum = 0;
    const size_t header = (size_t(b[l3]) & 15) * 4;
    for (size_t i = 0; i < header; i += 2)
        sum += uint32_t(b[l3 + i]) << 8 | uint32_t(b[l3 + i + 1]);
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    set16(b, l3 + 10, int(~sum & 0xffff));
}

TEST(Parse, FindsHeadersAndPorts) {
    const Parsed r = parse(tcp4().bytes());
    EXPECT_EQ(r.p.verdict, Verdict::open);
    EXPECT_EQ(r.p.l3, 14);
    EXPECT_EQ(r.p.l4, 34);
    EXPECT_EQ(r.p.l3_length, 40);
    EXPECT_EQ(r.p.protocol, 6);
    EXPECT_EQ(r.p.tcp_flags, kSyn);
    EXPECT_EQ(r.p.source_port.host(), 40000);
    EXPECT_EQ(r.p.destination_port.host(), 80);
    EXPECT_FALSE(r.p.ipv6);
    EXPECT_TRUE(parse(tcp6().bytes()).p.ipv6);
    EXPECT_EQ(parse(tcp6().bytes()).p.l4, 54);
}

TEST(Parse, ReadsOneOrTwoTagsAndLeavesMoreToTheKernel) {
    EXPECT_EQ(parse(tcp4().vlan(7, 3).bytes()).p.vlan, 7);
    const Parsed two = parse(tcp4().vlan(100, 0, 0x88a8).vlan(7).bytes());
    EXPECT_EQ(two.p.verdict, Verdict::open);
    EXPECT_EQ(two.p.vlan, 100);
    EXPECT_EQ(two.p.l3, 22);
    EXPECT_EQ(parse(tcp4().vlan(1).vlan(2).vlan(3).bytes()).p.verdict, Verdict::kernel_other);
}

TEST(Parse, ExcludesPadding) {
    const Parsed r = parse(tcp4().pad_to(60).bytes());
    EXPECT_EQ(r.p.verdict, Verdict::open);
    EXPECT_EQ(r.p.length, 60);
    EXPECT_EQ(r.p.l3_length, 40);
}

struct Truncated : testing::TestWithParam<int> {};
Frame shape(int n) {
    const Bytes hop = bytes_of({0, 1, 4, 0, 0, 0, 0});
    switch (n) {
        case 0:
            return tcp4();
        case 1:
            return udp4();
        case 2:
            return tcp4().options(filler(8)).vlan(5);
        case 3:
            return tcp6();
        case 4:
            return udp6().extension(0, hop).extension(60, hop).vlan(5).vlan(6);
        case 5:
            return tcp6().fragment(0, true);
        case 6:
            return Frame().ip("198.51.100.1", "192.0.2.10").icmp(3, 1).payload(tcp4().packet());
        default:
            return Frame().ip("2001:db8::1", "2001:db8:1::10").icmp(1, 4).payload(tcp6().packet());
    }
}
TEST_P(Truncated, AtEveryByteIsAVerdictAndNoOverread) {
    const Bytes whole = shape(GetParam()).bytes();
    EXPECT_EQ(parse(whole).p.verdict, Verdict::open);
    for (size_t n = 0; n < whole.size(); ++n)
        EXPECT_EQ(parse(Bytes(whole.begin(), whole.begin() + long(n))).p.verdict,
                  Verdict::drop_truncated)
            << n;
}
INSTANTIATE_TEST_SUITE_P(Shapes, Truncated, testing::Range(0, 8));

// The IP header is believed, and its end cuts the upper header at every length.
TEST(Parse, UpperHeaderCutByTheIpLength) {
    for (int total = 20; total < 40; ++total) {
        Bytes b = tcp4().bytes();
        set16(b, 16, total);
        fix(b);
        EXPECT_EQ(parse(b).p.verdict, Verdict::drop_truncated) << total;
    }
    for (int payload = 0; payload < 20; ++payload) {
        Bytes b = tcp6().bytes();
        set16(b, 18, payload);
        EXPECT_EQ(parse(b).p.verdict, Verdict::drop_truncated) << payload;
    }
}

TEST(Parse, RefusesEveryBadHeaderLength) {
    for (int ihl = 0; ihl < 5; ++ihl) {
        Bytes b = tcp4().bytes();
        set8(b, 14, 0x40 | ihl);
        EXPECT_EQ(parse(b).p.verdict, Verdict::drop_bad_header) << ihl;
    }
    for (int ihl = 6; ihl < 16; ++ihl) {  // longer than the packet, or into the TCP header
        Bytes b = tcp4().bytes();
        set8(b, 14, 0x40 | ihl);
        if (ihl <= 10) fix(b);
        EXPECT_NE(parse(b).p.verdict, Verdict::open) << ihl;
    }
    for (int version : {0, 5, 6, 15}) {
        Bytes b = tcp4().bytes();
        set8(b, 14, version << 4 | 5);
        EXPECT_EQ(parse(b).p.verdict, Verdict::drop_bad_header) << version;
    }
    Bytes six = tcp6().bytes();
    set8(six, 14, 0x40);
    EXPECT_EQ(parse(six).p.verdict, Verdict::drop_bad_header);
}

TEST(Parse, TotalLengthZeroShortAndOverlong) {
    for (int total : {0, 19}) {
        Bytes b = tcp4().bytes();
        set16(b, 16, total);
        fix(b);
        EXPECT_EQ(parse(b).p.verdict, Verdict::drop_bad_header) << total;
    }
    for (int total : {41, 1500, 65535}) {
        Bytes b = tcp4().bytes();
        set16(b, 16, total);
        fix(b);
        EXPECT_EQ(parse(b).p.verdict, Verdict::drop_truncated) << total;
    }
    Bytes six = tcp6().bytes();
    set16(six, 18, 65535);
    EXPECT_EQ(parse(six).p.verdict, Verdict::drop_truncated);
}

TEST(Parse, TcpDataOffset) {
    for (int words = 0; words < 16; ++words) {
        Bytes b = tcp4().payload(filler(8)).bytes();
        set8(b, 14 + 20 + 12, words << 4);
        const Verdict want = words >= 5 && words <= 7 ? Verdict::open : Verdict::drop_bad_header;
        EXPECT_EQ(parse(b).p.verdict, want) << words;
    }
}

TEST(Parse, UdpLength) {
    for (int length : {0, 7, 14, 1000, 65535}) {
        Bytes b = udp4().bytes();  // 8 + 5 bytes
        set16(b, 14 + 20 + 4, length);
        EXPECT_EQ(parse(b).p.verdict, Verdict::drop_bad_header) << length;
    }
    Bytes shorter = udp4().bytes();
    set16(shorter, 14 + 20 + 4, 8);
    EXPECT_EQ(parse(shorter).p.verdict, Verdict::open);
}

TEST(Parse, HeaderChecksumCoversOptions) {
    EXPECT_EQ(parse(tcp4().options(filler(40)).bytes()).p.verdict, Verdict::open);
    EXPECT_EQ(parse(tcp4().options(filler(40)).bytes()).p.l4, 74);
    for (size_t bit = 0; bit < 60 * 8; ++bit) {
        Bytes b = tcp4().options(filler(40)).bytes();
        b[14 + bit / 8] ^= std::byte(1 << (bit % 8));
        EXPECT_NE(parse(b).p.verdict, Verdict::open) << bit;
    }
}

TEST(Parse, WalksExtensionHeaders) {
    const Bytes options = bytes_of({0, 1, 4, 0, 0, 0, 0}), routed = bytes_of({0, 4, 0, 0, 0, 0, 0}),
                waypoint = bytes_of({0, 4, 1, 0, 0, 0, 0}),
                ah = bytes_of(
                    {4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
    const Parsed all = parse(tcp6()
                                 .extension(0, options)
                                 .extension(60, options)
                                 .extension(43, routed)
                                 .extension(51, ah)
                                 .bytes());
    EXPECT_EQ(all.p.verdict, Verdict::open);
    EXPECT_EQ(all.p.l4, 14 + 40 + 24 + 24);
    EXPECT_EQ(all.p.destination_port.host(), 80);
    EXPECT_EQ(parse(tcp6().extension(43, waypoint).bytes()).p.verdict, Verdict::kernel_other);
    EXPECT_EQ(parse(tcp6().protocol(59).bytes()).p.verdict, Verdict::kernel_other);
    EXPECT_EQ(parse(tcp6().protocol(50).bytes()).p.verdict, Verdict::kernel_other);
    Frame eight = tcp6(), nine = tcp6();
    for (int i = 0; i < 8; ++i) eight.extension(60, options), nine.extension(60, options);
    nine.extension(60, options);
    EXPECT_EQ(parse(eight.bytes()).p.verdict, Verdict::open);
    EXPECT_EQ(parse(nine.bytes()).p.verdict, Verdict::kernel_other);
    Bytes endless = tcp6().extension(60, options).bytes();
    set8(endless, 14 + 40 + 1, 255);
    EXPECT_EQ(parse(endless).p.verdict, Verdict::drop_truncated);
}

TEST(Parse, SeesFragments) {
    const Parsed first = parse(tcp4().fragment(0, true).bytes());
    EXPECT_EQ(first.p.verdict, Verdict::open);
    EXPECT_TRUE(first.p.is_fragment);
    EXPECT_TRUE(parse(tcp4().fragment(800, false).bytes()).p.is_fragment);
    EXPECT_FALSE(parse(tcp4().dont_fragment().bytes()).p.is_fragment);
    EXPECT_TRUE(parse(tcp6().fragment(0, true).bytes()).p.is_fragment);
    EXPECT_TRUE(parse(tcp6().fragment(800, false).bytes()).p.is_fragment);
    const Parsed atomic = parse(tcp6().fragment(0, false).bytes());  // RFC 6946
    EXPECT_FALSE(atomic.p.is_fragment);
    EXPECT_EQ(atomic.p.destination_port.host(), 80);
    const Frame ping = Frame().ip("198.51.100.1", "192.0.2.10").icmp(8, 0).payload(filler(64));
    EXPECT_EQ(parse(Frame(ping).fragment(0, true).bytes()).p.verdict, Verdict::kernel_other);
}

TEST(Parse, LeavesWhatIsNotBalancedToTheKernel) {
    EXPECT_EQ(parse(Frame().type(0x0806).payload(filler(28)).bytes()).p.verdict,
              Verdict::kernel_other);
    for (int protocol : {0, 2, 4, 41, 47, 50, 51, 58, 131, 133})
        EXPECT_EQ(parse(tcp4().protocol(uint8_t(protocol)).payload(filler(64)).bytes()).p.verdict,
                  Verdict::kernel_other)
            << protocol;
    EXPECT_EQ(parse(Frame().ip("198.51.100.1", "192.0.2.10").icmp(8, 0).bytes()).p.verdict,
              Verdict::kernel_other);
    EXPECT_EQ(parse(Frame().ip("2001:db8::1", "2001:db8:1::10").icmp(135, 0).bytes()).p.verdict,
              Verdict::kernel_other);
}

TEST(Parse, OnlyErrorsAboutConnectionsAreRelated) {
    for (int type = 0; type < 256; ++type) {
        const Parsed four =
            parse(Frame().ip("198.51.100.1", "192.0.2.10").icmp(uint8_t(type), 0).bytes());
        EXPECT_EQ(four.p.is_icmp_error, type == 3 || type == 4 || type == 11) << type;
        const Parsed six =
            parse(Frame().ip("2001:db8::1", "2001:db8:1::10").icmp(uint8_t(type), 0).bytes());
        EXPECT_EQ(six.p.is_icmp_error, type < 128) << type;
    }
}

}  // namespace
}  // namespace torii
