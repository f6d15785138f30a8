// FragmentTable: which fragments it refuses, what it holds and for how long, and who gives way.

#include "dataplane/stages/fragment_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace torii::stages {
namespace {

using testing::ElementsAre;
using Kind = Decision::Kind;

constexpr flow::Seed kSeed{0x1234567890abcdef, 0xfedcba0987654321};

Fragment piece(uint32_t id, uint32_t offset, uint32_t length, bool more, uint32_t source = 1) {
    Fragment f;
    f.key = {Address::v4(be32::from_host(0xc6336400 + source)),
             Address::v4(be32::from_host(0xc000020a)), id, 17};
    f.offset = offset;
    f.length = length;
    f.more = more;
    f.header = 20;
    return f;
}

Packet numbered(uint16_t n) {
    Packet p;
    p.length = n;
    return p;
}

Decision connection(uint32_t entry) {
    Decision d;
    d.kind = Kind::connection;
    d.entry = entry;
    return d;
}

struct Rig {
    explicit Rig(uint32_t datagrams = 1024) : table(kSeed, datagrams) {}
    FragmentTable::Placed place(const Fragment& f) {
        return table.place(f, hash_of(kSeed, f.key), now);
    }
    /// Places it and holds it as packet `n`.
    Verdict hold(const Fragment& f, uint16_t n) {
        const auto at = place(f);
        if (at.verdict != Verdict::open) return at.verdict;
        return table.hold(at.datagram, numbered(n)) ? Verdict::aside : Verdict::drop_fragment_full;
    }
    /// "number:verdict" or "number>entry" of what was released.
    std::vector<std::string> released() {
        std::vector<std::string> out;
        while (const auto* r = table.take()) {
            const std::string n = std::to_string(r->packet.length);
            out.push_back(r->decision.kind == Kind::ended
                              ? n + ":" + std::string(info(r->decision.verdict).name)
                              : n + ">" + std::to_string(r->decision.entry));
        }
        return out;
    }
    FragmentTable table;
    uint64_t now = 1'000'000'000;
};

TEST(FragmentTable, LaterFragmentsFollowTheFirst) {
    Rig r;
    const auto first = r.place(piece(1, 0, 800, true));
    EXPECT_EQ(first.verdict, Verdict::open);
    EXPECT_EQ(first.decision.kind, Kind::pending);
    EXPECT_EQ(r.hold(piece(1, 800, 800, true), 2), Verdict::aside);  // in the same burst
    r.table.settle(first.datagram, connection(7), r.now);
    EXPECT_THAT(r.released(), ElementsAre("2>7"));
    const auto last = r.place(piece(1, 1600, 3, false));
    EXPECT_EQ(last.verdict, Verdict::open);
    EXPECT_EQ(last.decision.kind, Kind::connection);
    EXPECT_EQ(last.decision.entry, 7u);
    EXPECT_EQ(r.table.datagrams(), 0u) << "it is whole";
    EXPECT_EQ(r.table.held(), 0u);
}

TEST(FragmentTable, AFirstOneThatWaitsComesBackWithTheLast) {
    Rig r;
    const auto first = r.place(piece(1, 0, 800, true));
    EXPECT_EQ(r.table.end_of(first.datagram), 0u);
    EXPECT_TRUE(r.table.hold_first(first.datagram, numbered(1)));
    EXPECT_EQ(r.hold(piece(1, 800, 800, true), 2), Verdict::aside);
    EXPECT_EQ(r.table.resume(), nullptr);
    EXPECT_EQ(r.hold(piece(1, 1600, 9, false), 3), Verdict::aside);
    EXPECT_EQ(r.table.end_of(first.datagram), 1609u);
    EXPECT_THAT(r.released(), ElementsAre());
    const Packet* resumed = r.table.resume();
    ASSERT_NE(resumed, nullptr);
    EXPECT_EQ(resumed->length, 1);
    EXPECT_EQ(r.table.resume(), nullptr);
    r.table.settle(first.datagram, connection(4), r.now);
    EXPECT_THAT(r.released(), ElementsAre("2>4", "3>4"));
    EXPECT_EQ(r.table.datagrams(), 0u);
    EXPECT_EQ(r.table.held(), 0u);
    EXPECT_EQ(r.table.end_of(first.datagram), 0u);
}

// One source has a quarter of the room with them as well, and the oldest gives way.
TEST(FragmentTable, FirstOnesThatWaitAreLimited) {
    Rig r(4096);
    const auto wait = [&](uint32_t id, uint32_t source) {
        const auto at = r.place(piece(id, 0, 800, true, source));
        return r.table.hold_first(at.datagram, numbered(uint16_t(id)));
    };
    for (uint32_t id = 1; id <= FragmentTable::kHeld / 4; ++id) EXPECT_TRUE(wait(id, 1));
    EXPECT_FALSE(wait(999, 1));
    for (uint32_t id = 1001; id < 1000 + 2 * FragmentTable::kHeld; ++id) {
        EXPECT_TRUE(wait(id, id));
        r.released();
        ASSERT_LE(r.table.held(), FragmentTable::kHeld - FragmentTable::kMargin);
    }
    EXPECT_TRUE(wait(7, 1)) << "its own have given way";
    r.released();
    r.now += FragmentTable::kPatienceUs;
    r.table.expire(r.now, ~0u);
    EXPECT_EQ(r.released().size(), FragmentTable::kHeld - FragmentTable::kMargin);
    EXPECT_EQ(r.table.held(), 0u);
}

TEST(FragmentTable, HeldOnesComeBackInTheirOrder) {
    Rig r;
    EXPECT_EQ(r.hold(piece(1, 1600, 9, false), 3), Verdict::aside);
    EXPECT_EQ(r.hold(piece(1, 800, 800, true), 2), Verdict::aside);
    EXPECT_EQ(r.hold(piece(2, 800, 800, true), 9), Verdict::aside);
    EXPECT_THAT(r.released(), ElementsAre());
    r.table.settle(r.place(piece(1, 0, 800, true)).datagram, connection(4), r.now);
    EXPECT_THAT(r.released(), ElementsAre("3>4", "2>4"));
    EXPECT_EQ(r.table.datagrams(), 1u);
    EXPECT_EQ(r.table.held(), 1u);
}

TEST(FragmentTable, WhatIsWrongByItselfIsRefused) {
    Rig r;
    const auto refused = Verdict::drop_fragment_length;
    EXPECT_EQ(r.place(piece(1, 0, 0, true)).verdict, refused);
    EXPECT_EQ(r.place(piece(1, 0, 9, true)).verdict, refused);
    EXPECT_EQ(r.place(piece(1, 65528, 8, false)).verdict, refused) << "with a header of 20";
    EXPECT_EQ(r.place(piece(1, 65512, 4, false)).verdict, refused);
    EXPECT_EQ(r.table.datagrams(), 0u);
    EXPECT_EQ(r.place(piece(1, 65512, 3, false)).verdict, Verdict::open);
}

TEST(FragmentTable, SixtyFourKilobytesInTheLeastPiecesAnyOrder) {
    Rig r;
    for (uint32_t at = 65504; at >= 8; at -= 8)
        ASSERT_EQ(r.place(piece(1, at, at == 65504 ? 11 : 8, at != 65504)).verdict, Verdict::open);
    r.table.settle(r.place(piece(1, 0, 8, true)).datagram, connection(1), r.now);
    EXPECT_EQ(r.table.datagrams(), 0u);
}

TEST(FragmentTable, DuplicatesAreDroppedAndTheDatagramLives) {
    Rig r;
    const auto first = r.place(piece(1, 0, 800, true));
    r.table.settle(first.datagram, connection(7), r.now);
    EXPECT_EQ(r.place(piece(1, 0, 800, true)).verdict, Verdict::drop_fragment_duplicate);
    EXPECT_EQ(r.place(piece(1, 80, 160, true)).verdict, Verdict::drop_fragment_duplicate);
    EXPECT_EQ(r.place(piece(1, 800, 5, false)).verdict, Verdict::open);
    EXPECT_EQ(r.table.datagrams(), 0u);
}

TEST(FragmentTable, OverlapsAndContradictionsEndTheDatagram) {
    const std::vector<std::pair<Fragment, Fragment>> pairs = {
        {piece(1, 0, 800, true), piece(1, 792, 800, true)},      // by a unit, at the end
        {piece(1, 800, 800, true), piece(1, 0, 808, true)},      // at the beginning
        {piece(1, 800, 8, true), piece(1, 0, 1600, true)},       // around
        {piece(1, 800, 8, false), piece(1, 1600, 8, true)},      // behind the end
        {piece(1, 800, 8, false), piece(1, 1600, 8, false)},     // another end
        {piece(1, 1600, 8, true), piece(1, 800, 8, false)},      // an end before what was there
        {piece(1, 448, 8, true), piece(1, 0, 4096 + 8, true)}};  // over several words
    for (size_t i = 0; i < pairs.size(); ++i) {
        Rig r;
        EXPECT_EQ(r.hold(pairs[i].first, 1), Verdict::aside);
        EXPECT_EQ(r.place(pairs[i].second).verdict, Verdict::drop_fragment_overlap) << i;
        EXPECT_THAT(r.released(), ElementsAre("1:drop_fragment_refused")) << i;
        const auto next = r.place(piece(1, 8000, 8, true));
        EXPECT_TRUE(next.verdict != Verdict::open || next.decision.kind == Kind::ended) << i;
    }
}

TEST(FragmentTable, AnOverlapAfterTheDecisionEndsItToo) {
    Rig r;
    r.table.settle(r.place(piece(1, 0, 800, true)).datagram, connection(7), r.now);
    EXPECT_EQ(r.place(piece(1, 792, 16, true)).verdict, Verdict::drop_fragment_overlap);
    const auto next = r.place(piece(1, 800, 8, true));
    EXPECT_EQ(next.decision.kind, Kind::ended);
    EXPECT_EQ(next.decision.verdict, Verdict::drop_fragment_refused);
}

TEST(FragmentTable, TimeoutsForTheFirstAndForTheRest) {
    Rig r;
    EXPECT_EQ(r.hold(piece(1, 800, 8, true), 1), Verdict::aside);
    r.table.settle(r.place(piece(2, 0, 800, true)).datagram, connection(7), r.now);
    r.now += FragmentTable::kPatienceUs - 1;
    r.table.expire(r.now, 64);
    EXPECT_EQ(r.table.datagrams(), 2u);
    r.table.expire(++r.now, 64);
    EXPECT_THAT(r.released(), ElementsAre("1:drop_fragment_timeout"));
    EXPECT_EQ(r.table.datagrams(), 1u);
    r.now += FragmentTable::kTimeoutUs - FragmentTable::kPatienceUs - 1;
    r.table.expire(r.now, 64);
    EXPECT_EQ(r.table.datagrams(), 1u);
    r.table.expire(++r.now, 64);
    EXPECT_EQ(r.table.datagrams(), 0u);
    EXPECT_THAT(r.released(), ElementsAre());
}

TEST(FragmentTable, ASourceHasItsShareOfDatagramsAndItsOldestGivesWay) {
    Rig r(1024);
    r.table.settle(r.place(piece(5, 0, 800, true, 2)).datagram, connection(7), r.now);
    for (uint32_t id = 0; id < 5000; ++id) {
        ++r.now;
        r.table.settle(r.place(piece(id, 0, 800, true)).datagram, connection(id), r.now);
    }
    EXPECT_EQ(r.table.datagrams(), 1024u / 8 + 1);
    EXPECT_EQ(r.place(piece(4999, 800, 8, true)).decision.entry, 4999u);
    EXPECT_EQ(r.place(piece(4872, 800, 8, true)).decision.entry, 4872u);
    EXPECT_EQ(r.place(piece(4871, 800, 8, true)).decision.kind, Kind::pending);
    EXPECT_EQ(r.place(piece(5, 800, 8, true, 2)).decision.entry, 7u) << "of another source";
}

TEST(FragmentTable, TheOldestOfAllGivesWayToSpoofedSources) {
    Rig r(256);
    for (uint32_t s = 10; s < 5000; ++s) {
        ++r.now;
        r.table.settle(r.place(piece(1, 0, 800, true, s)).datagram, connection(s), r.now);
        // An honest datagram of another source, whole after a hundred of the flood.
        if (s % 200 == 0)
            r.table.settle(r.place(piece(s, 0, 800, true, 1)).datagram, connection(1), r.now);
        if (s % 200 == 100 && s > 200) {
            const auto at = r.place(piece(s - 100, 800, 8, false, 1));
            EXPECT_EQ(at.decision.kind, Kind::connection) << s;
        }
    }
    EXPECT_EQ(r.table.datagrams(), 256u);
}

TEST(FragmentTable, HeldPacketsAreBoundedBySourceAndInAll) {
    Rig r(8192);
    constexpr uint32_t share = FragmentTable::kHeld / 4;
    for (uint32_t i = 0; i < share; ++i)
        ASSERT_EQ(r.hold(piece(i, 800, 8, true), uint16_t(i)), Verdict::aside);
    EXPECT_EQ(r.hold(piece(9999, 800, 8, true), 1), Verdict::drop_fragment_full);
    EXPECT_EQ(r.place(piece(9999, 808, 8, true)).decision.kind, Kind::ended);
    EXPECT_EQ(r.released().size(), 0u);
    uint32_t given_way = 0, refused = 0;
    for (uint32_t s = 100; s < 2000; ++s) {
        // One of a thousand sources falls into the same place as the greedy one.
        refused += r.hold(piece(1, 800, 8, true, s), 1) != Verdict::aside;
        for (const auto& what : r.released()) {
            EXPECT_THAT(what, testing::EndsWith(":drop_fragment_full"));
            ++given_way;
        }
        ASSERT_LE(r.table.held(), FragmentTable::kHeld - FragmentTable::kMargin);
    }
    EXPECT_LT(refused, 10u);
    EXPECT_EQ(r.table.held() + given_way + refused, share + 1900);
}

// The first one's fellows of the same burst, although their source has its share of others.
TEST(FragmentTable, AFirstFragmentOfTheBurstKeepsItsFellows) {
    Rig r(8192);
    for (uint32_t i = 0; i < FragmentTable::kHeld / 4; ++i)
        ASSERT_EQ(r.hold(piece(i, 800, 8, true), 1), Verdict::aside);
    const auto first = r.place(piece(5000, 0, 800, true));
    EXPECT_EQ(r.hold(piece(5000, 800, 8, false), 2), Verdict::aside);
    r.table.settle(first.datagram, connection(3), r.now);
    EXPECT_THAT(r.released(), ElementsAre("2>3"));
}

TEST(FragmentTable, AStaleHandleSaysNothing) {
    Rig r;
    const auto first = r.place(piece(1, 0, 800, true));
    r.table.settle(first.datagram, connection(1), r.now);
    r.place(piece(1, 800, 8, false));  // whole: forgotten
    const auto other = r.place(piece(2, 0, 800, true));
    r.table.settle(first.datagram, connection(9), r.now);
    EXPECT_FALSE(r.table.hold(first.datagram, numbered(1)));
    EXPECT_EQ(r.place(piece(2, 800, 8, true)).decision.kind, Kind::pending);
    r.table.settle(other.datagram, connection(2), r.now);
}

TEST(FragmentTable, OneIPv6NetworkIsOneSource) {
    Rig r(512);
    for (uint32_t i = 0; i < 1000; ++i) {
        Fragment f = piece(1, 0, 800, true);
        f.key.source = *parse_address("2001:db8::" + std::to_string(i % 10000));
        f.key.destination = *parse_address("2001:db8:1::10");
        f.key.protocol = 0;
        r.place(f);
    }
    EXPECT_EQ(r.table.datagrams(), 512u / 8);
}

TEST(FragmentTable, WorkersShareDatagramsEvenly) {
    std::vector<uint32_t> of(4);
    for (uint32_t id = 0; id < 4000; ++id)
        ++of[owner_of(hash_of(kSeed, piece(id, 0, 8, true).key), 4)];
    for (uint32_t n : of) EXPECT_NEAR(n, 1000, 150);
}

}  // namespace
}  // namespace torii::stages
