// The TCP states of LVS, row by row, and what a step does to an entry's word.

#include "dataplane/flow/tcp_state.h"

#include <gmock/gmock.h>

#include <map>
#include <sstream>

namespace torii::flow {
namespace {

constexpr const char* kColumns = "NO ES SS SR FW TW CL CW LA LI SA";
constexpr uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;

std::vector<std::string> words(const std::string& text) {
    std::istringstream in(text);
    return {std::istream_iterator<std::string>(in), {}};
}
TcpState named(const std::string& name) {
    const auto all = words(kColumns);
    return TcpState(std::find(all.begin(), all.end(), name) - all.begin());
}

struct Row {
    const char* name;
    TcpSide side;
    uint8_t flags;
    const char* next;
};
// As the kernel's source has them (net/netfilter/ipvs/ip_vs_proto_tcp.c, tcp_states).
const Row kRows[] = {
    {"input_syn", TcpSide::input, kSyn, "SR ES ES SR SR SR SR SR SR SR SR"},
    {"input_fin", TcpSide::input, kFin, "CL CW SS TW TW TW CL CW LA LI TW"},
    {"input_ack", TcpSide::input, kAck, "ES ES SS ES FW TW CL CW CL LI ES"},
    {"input_rst", TcpSide::input, kRst, "CL CL CL SR CL CL CL CL LA LI SR"},
    {"output_syn", TcpSide::output, kSyn, "SS ES SS SR SS SS SS SS SS LI SR"},
    {"output_fin", TcpSide::output, kFin, "TW FW SS TW FW TW CL TW LA LI TW"},
    {"output_ack", TcpSide::output, kAck, "ES ES SS ES FW TW CL CW LA ES ES"},
    {"output_rst", TcpSide::output, kRst, "CL CL SS CL CL TW CL CL CL CL CL"},
    {"input_only_syn", TcpSide::input_only, kSyn, "SR ES ES SR SR SR SR SR SR SR SR"},
    {"input_only_fin", TcpSide::input_only, kFin, "CL FW SS TW FW TW CL CW LA LI TW"},
    {"input_only_ack", TcpSide::input_only, kAck, "ES ES SS ES FW TW CL CW CL LI ES"},
    {"input_only_rst", TcpSide::input_only, kRst, "CL CL CL SR CL CL CL CL LA LI CL"},
};

struct States : testing::TestWithParam<Row> {};
TEST_P(States, FollowLvs) {
    const Row& row = GetParam();
    const auto next = words(row.next), columns = words(kColumns);
    ASSERT_EQ(next.size(), size_t(TcpState::kCount));
    const shm::Timeouts timeouts;
    for (size_t s = 0; s < next.size(); ++s) {
        EXPECT_EQ(tcp_next(TcpState(s), row.side, tcp_event(row.flags)), named(next[s]))
            << "from " << columns[s];
        // The same through tcp_step: state, timeout, and active or not.
        Word w{Phase::live, uint8_t(s), tcp_active(TcpState(s)) ? uint16_t(0) : kInactive, 5};
        if (row.side == TcpSide::input_only) w.flags |= kNoOutput;
        const Word after = tcp_step(w, row.side == TcpSide::output, row.flags, timeouts, 1000);
        EXPECT_EQ(after.state, uint8_t(named(next[s])));
        EXPECT_EQ(after.expiry, 1000 + timeouts.tcp[after.state] * kTicksPerSecond);
        EXPECT_EQ((after.flags & kInactive) == 0, tcp_active(named(next[s])));
        EXPECT_EQ((after.flags & kNoOutput) != 0, row.side == TcpSide::input_only);
        EXPECT_EQ(after.phase, Phase::live);
    }
}
INSTANTIATE_TEST_SUITE_P(Lvs, States, testing::ValuesIn(kRows),
                         [](const auto& i) { return i.param.name; });

TEST(TcpEvents, ResetThenSynThenFinThenAck) {
    for (int flags = 0; flags < 256; ++flags) {
        const TcpEvent want = flags & kRst   ? TcpEvent::rst
                              : flags & kSyn ? TcpEvent::syn
                              : flags & kFin ? TcpEvent::fin
                              : flags & kAck ? TcpEvent::ack
                                             : TcpEvent::none;
        EXPECT_EQ(tcp_event(uint8_t(flags)), want) << flags;
    }
    EXPECT_EQ(tcp_next(TcpState::established, TcpSide::input, TcpEvent::none), TcpState::close);
}

TEST(TcpSteps, TheServersFirstPacketEndsInputOnly) {
    const shm::Timeouts timeouts;
    Word w{Phase::live, uint8_t(TcpState::established), kNoOutput, 0};
    EXPECT_EQ(tcp_step(w, false, kFin, timeouts, 0).state, uint8_t(TcpState::fin_wait));
    w = tcp_step(w, true, kAck, timeouts, 0);
    EXPECT_EQ(w.flags & kNoOutput, 0);
    EXPECT_EQ(tcp_step(w, false, kFin, timeouts, 0).state, uint8_t(TcpState::close_wait));
}

TEST(UdpSteps, AlwaysInactive) {
    const shm::Timeouts timeouts;
    const Word w = udp_step({Phase::live, 0, kNoOutput, 0}, false, timeouts, 40);
    EXPECT_EQ(w.flags, kNoOutput | kInactive);
    EXPECT_EQ(w.expiry, 40 + 300 * kTicksPerSecond);
    EXPECT_EQ(udp_step(w, true, timeouts, 40).flags, kInactive);
}

}  // namespace
}  // namespace torii::flow
