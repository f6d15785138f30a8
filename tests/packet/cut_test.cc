// Cutting IPv4 packets: every piece fits, says what it is, and the pieces put together are the
// packet again.

#include "dataplane/stages/cut.h"

#include <gtest/gtest.h>

#include "tests/support/pieces.h"

namespace torii::stages {
namespace {

using test::Bytes;
using test::Frame;

constexpr uint32_t kId = 0x01234567;

struct Whole {
    Bytes frame;
    Packet p;
    explicit Whole(Bytes b, uint16_t mtu, uint16_t link = 14) : frame(std::move(b)) {
        p.data = frame.data();
        p.length = uint16_t(frame.size());
        p.l3 = link;
        p.l3_length = uint16_t(frame.size() - link);
        p.cut_to = mtu;
    }
};

std::vector<Bytes> cut(const Whole& w) {
    std::vector<Bytes> pieces;
    const CutPlan plan = plan_cut(w.p, kId);
    for (uint16_t i = 0; i < plan.count; ++i) {
        pieces.emplace_back(piece_length(plan, i));
        write_piece(w.p, plan, i, pieces.back().data());
    }
    return pieces;
}

uint16_t word(const Bytes& b, size_t at) {
    return uint16_t(uint16_t(b[at]) << 8 | uint16_t(b[at + 1]));
}

// The data of all pieces in their places; empty when they do not fit together.
Bytes together(const std::vector<Bytes>& pieces, uint16_t mtu, size_t link, bool last_has_more,
               size_t base = 0) {
    Bytes data;
    for (size_t i = 0; i < pieces.size(); ++i) {
        const Bytes& b = pieces[i];
        EXPECT_EQ(test::wrong_checksums(b), "") << i;
        const size_t header = size_t(uint8_t(b[link]) & 15) * 4;
        const uint16_t field = word(b, link + 6);
        EXPECT_LE(b.size() - link, mtu);
        EXPECT_EQ(word(b, link + 2), b.size() - link);
        EXPECT_EQ((field & 0x1fff) * 8u, base + data.size()) << i;
        EXPECT_EQ((field & 0x2000) != 0, i + 1 < pieces.size() || last_has_more) << i;
        EXPECT_EQ(field & 0xc000, 0);
        if (i + 1 < pieces.size()) {
            EXPECT_EQ((b.size() - link - header) % 8, 0u);
        }
        data.insert(data.end(), b.begin() + std::ptrdiff_t(link + header), b.end());
    }
    return data;
}

Bytes data_of(const Bytes& frame, size_t link) {
    return {frame.begin() + std::ptrdiff_t(link + size_t(uint8_t(frame[link]) & 15) * 4),
            frame.end()};
}

TEST(Cut, EverySizeAndMtu) {
    for (uint16_t mtu : {28, 35, 68, 576, 1400, 1499})
        for (size_t n : {1u, 8u, 9u, 500u, 1472u, 8000u}) {
            const Bytes frame =
                Frame().ip("10.0.0.1", "10.0.0.2").udp(1, 2).payload(test::filler(n)).bytes();
            if (frame.size() - 14 <= mtu) continue;
            const Whole w(frame, mtu);
            const auto pieces = cut(w);
            ASSERT_GE(pieces.size(), 2u);
            EXPECT_EQ(together(pieces, mtu, 14, false), data_of(frame, 14)) << mtu << " " << n;
            for (const Bytes& b : pieces) EXPECT_EQ(word(b, 14 + 4), word(frame, 14 + 4)) << "id";
        }
}

TEST(Cut, AFragmentIsCutAgain) {
    const Bytes frame = Frame()
                            .ip("10.0.0.1", "10.0.0.2")
                            .udp(1, 2)
                            .fragment(2960, true)
                            .payload(test::filler(1472))
                            .bytes();
    const auto pieces = cut(Whole(frame, 600));
    EXPECT_EQ(pieces.size(), 3u);
    EXPECT_EQ(together(pieces, 600, 14, true, 2960), data_of(frame, 14));
}

TEST(Cut, KeepsTheTag) {
    const Bytes frame =
        Frame().vlan(30).ip("10.0.0.1", "10.0.0.2").udp(1, 2).payload(test::filler(1472)).bytes();
    const auto pieces = cut(Whole(frame, 1000, 18));
    ASSERT_EQ(pieces.size(), 2u);
    EXPECT_EQ(together(pieces, 1000, 18, false), data_of(frame, 18));
    for (const Bytes& b : pieces) EXPECT_TRUE(std::equal(b.begin(), b.begin() + 18, frame.begin()));
}

// RFC 791: timestamp (68) is not copied, strict source route (137) and router alert (148) are.
TEST(Cut, OptionsThatAreCopied) {
    const Bytes options = test::bytes_of({68, 8, 5, 0, 0, 0, 0, 0, 148, 4, 0, 0, 1, 137, 3, 4});
    const Bytes frame = Frame()
                            .ip("10.0.0.1", "10.0.0.2")
                            .options(options)
                            .udp(1, 2)
                            .payload(test::filler(1400))
                            .bytes();
    const auto pieces = cut(Whole(frame, 500));
    ASSERT_EQ(pieces.size(), 3u);
    EXPECT_EQ(together(pieces, 500, 14, false), data_of(frame, 14));
    EXPECT_EQ(uint8_t(pieces[0][14]), 0x49);
    EXPECT_TRUE(std::equal(options.begin(), options.end(), pieces[0].begin() + 34));
    const Bytes copied = test::bytes_of({148, 4, 0, 0, 137, 3, 4, 0});
    for (size_t i : {1u, 2u}) {
        EXPECT_EQ(uint8_t(pieces[i][14]), 0x47);
        EXPECT_TRUE(std::equal(copied.begin(), copied.end(), pieces[i].begin() + 34));
    }
}

TEST(Cut, AnOptionListThatLiesEndsThere) {
    for (int length : {0, 1, 9, 255}) {
        const Bytes options = test::bytes_of({148, 4, 0, 0, 137, length, 1, 1});
        const Bytes frame = Frame()
                                .ip("10.0.0.1", "10.0.0.2")
                                .options(options)
                                .udp(1, 2)
                                .payload(test::filler(1400))
                                .bytes();
        const auto pieces = cut(Whole(frame, 1000));
        ASSERT_EQ(pieces.size(), 2u);
        EXPECT_EQ(uint8_t(pieces[1][14]), 0x46) << length;
    }
}

TEST(Cut, DontFragmentIsNotPassedOn) {
    const Bytes frame = Frame()
                            .ip("10.0.0.1", "10.0.0.2")
                            .dont_fragment()
                            .icmp(3, 4)
                            .payload(test::filler(1472))
                            .bytes();
    EXPECT_EQ(together(cut(Whole(frame, 1000)), 1000, 14, false), data_of(frame, 14));
}

// What torii has put a tunnel's header in front of: it is that packet's sender.
TEST(Cut, IPv6PiecesHaveAFragmentHeader) {
    for (uint16_t mtu : {56, 1280, 1499})
        for (size_t n : {1460u, 8000u}) {
            const Bytes frame = Frame()
                                    .ip("2001:db8::1", "2001:db8::2")
                                    .protocol(4)
                                    .payload(test::filler(n))
                                    .bytes();
            Whole w(frame, mtu);
            w.p.ipv6 = true;
            const auto pieces = cut(w);
            ASSERT_GE(pieces.size(), 2u);
            for (const Bytes& b : pieces) {
                EXPECT_LE(b.size() - 14, mtu);
                EXPECT_EQ(unsigned(b[14 + 6]), 44u);
                EXPECT_EQ(word(b, 14 + 44) << 16 | word(b, 14 + 46), int(kId));
            }
            EXPECT_EQ(test::diff(test::together(pieces), Bytes(frame.begin() + 14, frame.end())),
                      "");
            w.p.cut_to = 55;
            EXPECT_EQ(plan_cut(w.p, 1).count, 0);
        }
}

TEST(Cut, ALinkTooSmallForEightBytes) {
    const Bytes frame =
        Frame().ip("10.0.0.1", "10.0.0.2").udp(1, 2).payload(test::filler(100)).bytes();
    EXPECT_EQ(plan_cut(Whole(frame, 27).p, kId).count, 0);
    EXPECT_EQ(plan_cut(Whole(frame, 28).p, kId).count, 14);
}

}  // namespace
}  // namespace torii::stages
