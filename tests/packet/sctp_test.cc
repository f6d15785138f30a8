// SCTP: the state table of LVS row by row, what chunks say, and the checksum.

#include "dataplane/stages/sctp.h"

#include <gmock/gmock.h>

#include "tests/support/world/sctp.h"

namespace torii::test {
namespace {

using flow::SctpEvent;
using flow::SctpState;
using flow::TcpSide;

constexpr uint8_t kStates = uint8_t(SctpState::kCount);

// One letter a state, in their order: none, init1, init, cookie sent (q), cookie replied, cookie
// wait, cookie, cookie echoed, established, shutdown sent, shutdown received, shutdown-ack sent,
// rejected, closed. A row says where an event leads from each; '.' is "it stays".
constexpr std::string_view kLetters = "N1IqrwceESRAJC";
struct Row {
    SctpEvent event;
    TcpSide side;
    std::string_view next;
};
// clang-format off
constexpr Row kRows[] = {
    {SctpEvent::data, TcpSide::input, "E............."},
    {SctpEvent::init, TcpSide::input, "1I..........II"},
    {SctpEvent::init_ack, TcpSide::input, "www..c........"},
    {SctpEvent::cookie_echo, TcpSide::input, "rI.r.........."},
    {SctpEvent::cookie_ack, TcpSide::input, "E......E......"},
    {SctpEvent::shutdown, TcpSide::input, "R.......R....."},
    {SctpEvent::shutdown_ack, TcpSide::input, "CI.......C.C.."},
    {SctpEvent::shutdown_complete, TcpSide::input, "CCC........C.."},
    {SctpEvent::error, TcpSide::input, "C......C......"},
    {SctpEvent::abort, TcpSide::input, "CCCCCJCCCCCCC."},
    {SctpEvent::data, TcpSide::output, "E............."},
    {SctpEvent::init, TcpSide::output, "wwwww.ww.wwwww"},
    {SctpEvent::init_ack, TcpSide::output, "qqq..........."},
    {SctpEvent::cookie_echo, TcpSide::output, "eeeeeee......."},
    {SctpEvent::cookie_ack, TcpSide::output, "EEEEEEEE......"},
    {SctpEvent::shutdown, TcpSide::output, "SSSSSSSSS....."},
    {SctpEvent::shutdown_ack, TcpSide::output, "AAAAA....AA..."},
    {SctpEvent::shutdown_complete, TcpSide::output, "C............."},
    {SctpEvent::error, TcpSide::output, "CCCCC........."},
    {SctpEvent::abort, TcpSide::output, "CJCCCCCCCCCCC."},
    {SctpEvent::data, TcpSide::input_only, "E....E........"},
    {SctpEvent::init, TcpSide::input_only, "1I.III......II"},
    {SctpEvent::init_ack, TcpSide::input_only, "eeeeee........"},
    {SctpEvent::cookie_echo, TcpSide::input_only, "EEEEEE........"},
    {SctpEvent::cookie_ack, TcpSide::input_only, "E..EE.EE......"},
    {SctpEvent::shutdown, TcpSide::input_only, "R.......R....."},
    {SctpEvent::shutdown_ack, TcpSide::input_only, "CI......CC.C.."},
    {SctpEvent::shutdown_complete, TcpSide::input_only, "CCCCC.....CC.."},
    {SctpEvent::error, TcpSide::input_only, "C............."},
    {SctpEvent::abort, TcpSide::input_only, "CCCCCJCCCCCCC."},
};
// clang-format on

TEST(SctpStates, EveryRow) {
    ASSERT_EQ(std::size(kRows), 3u * unsigned(SctpEvent::kCount));
    for (const Row& row : kRows) {
        for (uint8_t s = 0; s < kStates; ++s) {
            const char letter = row.next[s] == '.' ? kLetters[s] : row.next[s];
            const auto want = SctpState(kLetters.find(letter));
            EXPECT_EQ(sctp_next(SctpState(s), row.side, row.event), want)
                << int(row.event) << " on side " << int(row.side) << " in "
                << flow::kSctpStateNames[s];
        }
    }
    EXPECT_EQ(sctp_next(SctpState(99), TcpSide::input, SctpEvent::data), SctpState::closed);
}

TEST(SctpStates, OnlyEstablishedIsActiveAndLong) {
    using flow::Word;
    for (uint8_t s = 0; s < kStates; ++s) {
        Word w{flow::Phase::live, s, flow::kNoOutput, 0};
        if (SctpState(s) != SctpState::established) w.flags |= flow::kInactive;
        const Word same = Word::unpack(flow::sctp_step(w.pack(), false, SctpEvent::data, 400));
        const bool active = SctpState(same.state) == SctpState::established;
        EXPECT_EQ(bool(same.flags & flow::kInactive), !active) << int(s);
        EXPECT_EQ(same.expiry, 400u + flow::kSctpTimeouts[same.state] * flow::kTicksPerSecond);
        EXPECT_TRUE(same.flags & flow::kNoOutput);
    }
    // The first packet of the server ends "input only".
    const Word w{flow::Phase::live, uint8_t(SctpState::cookie_replied),
                 flow::kNoOutput | flow::kInactive, 0};
    const Word after = Word::unpack(flow::sctp_step(w.pack(), true, SctpEvent::cookie_ack, 0));
    EXPECT_EQ(after.flags, 0);
    EXPECT_EQ(after.state, uint8_t(SctpState::established));
}

TEST(SctpChunks, SayWhatHappens) {
    const SctpEvent want[] = {
        SctpEvent::data,  SctpEvent::init,        SctpEvent::init_ack,
        SctpEvent::data,  SctpEvent::data,        SctpEvent::data,
        SctpEvent::abort, SctpEvent::shutdown,    SctpEvent::shutdown_ack,
        SctpEvent::error, SctpEvent::cookie_echo, SctpEvent::cookie_ack,
        SctpEvent::data,  SctpEvent::data,        SctpEvent::shutdown_complete};
    for (unsigned type = 0; type < 256; ++type) {
        Bytes b = bytes_of({0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, int(type), 0, 0, 4});
        EXPECT_EQ(stages::sctp_event(b.data(), b.size()),
                  type < std::size(want) ? want[type] : SctpEvent::data)
            << type;
        // Without a whole chunk header nothing is said.
        for (size_t n = 12; n < 16; ++n)
            EXPECT_EQ(stages::sctp_event(b.data(), n), SctpEvent::data);
    }
}

TEST(SctpChunks, StandForTcpsFlags) {
    for (uint8_t e = 0; e < uint8_t(SctpEvent::kCount); ++e) {
        const auto event = SctpEvent(e);
        const uint8_t flags = stages::sctp_flags(event);
        EXPECT_EQ(stages::sctp_event_in(flags), event);
        EXPECT_EQ(bool(flags & kSyn), event == SctpEvent::init);
        EXPECT_EQ(bool(flags & kRst), event == SctpEvent::abort);
    }
}

TEST(SctpChunks, AnAbortBehindACookieCounts) {
    for (int cookie : {10, 11}) {
        for (int length = 0; length <= 9; ++length) {
            Bytes b = bytes_of({0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, cookie, 0, 0, length});
            b.resize(12 + size_t((std::max(length, 4) + 3) / 4 * 4));
            const Bytes abort = bytes_of({6, 0, 0, 4});
            b.insert(b.end(), abort.begin(), abort.end());
            const SctpEvent plain = cookie == 10 ? SctpEvent::cookie_echo : SctpEvent::cookie_ack;
            EXPECT_EQ(stages::sctp_event(b.data(), b.size()), length < 4 ? plain : SctpEvent::abort)
                << length;
            EXPECT_EQ(stages::sctp_event(b.data(), b.size() - 1), plain);  // cut off
        }
    }
    // Not behind anything else, and a length that points outside is nobody's next chunk.
    Bytes data = bytes_of({0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 4, 6, 0, 0, 4});
    EXPECT_EQ(stages::sctp_event(data.data(), data.size()), SctpEvent::data);
    Bytes far = bytes_of({0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 10, 0, 255, 255, 6, 0, 0, 4});
    EXPECT_EQ(stages::sctp_event(far.data(), far.size()), SctpEvent::cookie_echo);
}

TEST(Crc32c, KnownValues) {
    const auto crc = [](const Bytes& b) {
        const uint32_t state = stages::crc32c(stages::kCrc32cStart, b.data(), b.size());
        EXPECT_EQ(state, stages::crc32c_by_table(stages::kCrc32cStart, b.data(), b.size()));
        return stages::crc32c_end(state);
    };
    EXPECT_EQ(crc({}), 0u);
    EXPECT_EQ(crc(bytes_of("123456789")), 0xe3069283u);
    EXPECT_EQ(crc(Bytes(32)), 0x8a9136aau);                   // RFC 3720 B.4
    EXPECT_EQ(crc(Bytes(32, std::byte(0xff))), 0x62a8ab43u);  // RFC 3720 B.4
    for (size_t n = 0; n < 40; ++n) crc(filler(n));
}

TEST(Crc32c, OverZeros) {
    for (size_t n : {0u, 1u, 7u, 8u, 255u, 4096u, 65'535u})
        for (uint32_t state : {0u, 1u, 0x80000000u, 0xdeadbeefu})
            EXPECT_EQ(stages::crc32c_over_zeros(state, n),
                      stages::crc32c_by_table(state, Bytes(n).data(), n))
                << n;
}

TEST(SctpPorts, AreReplacedWithTheChecksum) {
    for (size_t n : {0, 1, 4, 7, 8, 100, 1452}) {
        Bytes b = bytes_of({0x9c, 0x40, 0x0b, 0x59, 1, 2, 3, 4, 0, 0, 0, 0});
        const Bytes chunks = filler(n);
        b.insert(b.end(), chunks.begin(), chunks.end());
        seal_sctp(b);
        Bytes want = b;
        want[0] = std::byte(1), want[1] = std::byte(2), want[2] = std::byte(3),
        want[3] = std::byte(4);
        seal_sctp(want);
        Bytes got = b;
        const uint16_t source = stages::wire::net16(0x0102),
                       destination = stages::wire::net16(0x0304);
        EXPECT_TRUE(stages::sctp_set_ports(got.data(), got.size(), source, destination));
        EXPECT_EQ(diff(got, want), "");
        // With nothing but the header at hand.
        Bytes changed = b;
        stages::sctp_change_ports(changed.data(), changed.size(), source, destination);
        EXPECT_EQ(diff(changed, want), "");
        // One wrong bit anywhere, and nothing is touched.
        for (size_t at = 0; at < b.size(); at += 5) {
            Bytes bad = b;
            bad[at] ^= std::byte(0x10);
            const Bytes before = bad;
            EXPECT_FALSE(stages::sctp_set_ports(bad.data(), bad.size(), source, destination)) << at;
            EXPECT_EQ(bad, before);
        }
    }
}

}  // namespace
}  // namespace torii::test
