// The table after a dataplane was killed: nothing half-written survives, nothing whole is lost.

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "tests/unit/flow/fixture.h"

namespace torii::flow::test {
namespace {

Options small(uint32_t workers = 1) {
    Options o;
    o.capacity = 256;
    o.workers = workers;
    return o;
}

/// What a table must satisfy after any attach.
void expect_sound(Flows& f, Tick now = 1000) {
    const uint64_t listed = f.listed();
    EXPECT_EQ(f.recovery.kept, listed);
    EXPECT_EQ(f.table->count_free() + f.table->used(), f.table->capacity());
    EXPECT_EQ(Reader::open(f.path())->used(), f.table->used());
    uint32_t timers = 0;
    for (uint32_t w = 0; w < f.options.workers; ++w) timers += f[w].timers();
    EXPECT_EQ(timers, listed);
    auto reader = Reader::open(f.path());
    reader->each([&](const Listed& l) {
        const uint32_t e =
            l.persistent ? f[0].find_template(l.tuple, f.hash(l.tuple)) : f.find(l.tuple);
        EXPECT_NE(e, kNone);
        EXPECT_TRUE(e == kNone || f[0].tuple(e) == l.tuple);
        EXPECT_GT(l.word.expiry, now);
        return true;
    });
}

/// Ends what is there: every cell must come home and no overflow count stay behind.
void expect_all_ends(Flows& f) {
    auto reader = Reader::open(f.path());
    reader->each([&](const Listed& l) {
        EXPECT_TRUE(f[0].remove(f.find(l)));
        return true;
    });
    f.quiesce();
    EXPECT_EQ(f.table->used(), 0u);
    EXPECT_EQ(f.table->count_free(), f.table->capacity());
    Raw raw(f.path());
    for (uint32_t b = 0; b < raw.header->buckets; ++b)
        for (auto& slot : raw.buckets[b].slots) EXPECT_EQ(slot, 0u);
}

TEST(Recovery, KeepsEveryEntryAndItsCounts) {
    Flows f(small(2));
    EXPECT_FALSE(f.recovery.attached);
    for (uint32_t i = 0; i < 30; ++i) {
        f.insert(Flows::entry(tuple4(i), 5000, TcpState::established, i % 3 ? 0 : kInactive), 1000,
                 i % 2);
        f.insert(Flows::entry(tuple6(i), 5000 + i), 1000, i % 2);
    }
    f.insert(Flows::entry(tuple4(99, 0), 6000, TcpState::none, kTemplate));
    const auto entry = f.find(tuple6(7));
    ASSERT_TRUE(f.open(1100));
    EXPECT_TRUE(f.recovery.attached);
    EXPECT_TRUE(f.recovery.clean);
    EXPECT_EQ(f.recovery.kept, 61u);
    EXPECT_EQ(f.recovery.orphaned + f.recovery.half_written + f.recovery.duplicates, 0u);
    EXPECT_EQ(f.find(tuple6(7)), entry) << "an entry keeps its place";
    EXPECT_EQ(f.word(entry).expiry, 5007u);
    EXPECT_EQ(f.sum(&shm::Row::active), 50);
    EXPECT_EQ(f.sum(&shm::Row::inactive), 10);
    EXPECT_EQ(f.sum(&shm::Row::persistent), 1);
    EXPECT_EQ(f.counters.backends(1)[3].active.get(), 0u);
    expect_sound(f, 1100);
    // Timers are there again.
    uint32_t freed = 0;
    for (Tick now = 1100; now < 6001; ++now)
        for (uint32_t w : {0u, 1u}) {
            freed += f[w].expire(now, 1000);
            EXPECT_TRUE(now >= 5007 || f.find(tuple6(7)) != kNone);
            EXPECT_TRUE(now <= 5007 || f.find(tuple6(7)) == kNone);
        }
    EXPECT_EQ(freed, 61u);
    EXPECT_EQ(f.sum(&shm::Row::active), 0);
}

TEST(Recovery, WithAnotherNumberOfWorkers) {
    Flows f(small(2));
    for (uint32_t i = 0; i < 30; ++i) f.insert(tuple4(i));
    f.options.workers = 1;
    ASSERT_TRUE(f.open());
    EXPECT_EQ(f.recovery.kept, 30u);
    expect_sound(f);
    expect_all_ends(f);
}

TEST(Recovery, DropsWhatHasExpired) {
    Flows f(small());
    f.insert(tuple4(1), 2000);
    f.insert(tuple4(2), 2001);
    f.insert(tuple6(3), 1500);
    ASSERT_TRUE(f.open(2000));
    EXPECT_EQ(f.recovery.expired, 2u);
    EXPECT_EQ(f.recovery.kept, 1u);
    EXPECT_EQ(f.recovery.orphaned + f.recovery.half_written, 0u);
    expect_sound(f, 2000);
    expect_all_ends(f);
}

TEST(Recovery, AKilledWriterLeavesHalfWrittenEntries) {
    // The process died at each step of an insertion or of an end; `victim` is what it was at.
    using Kill = void (*)(Raw&, uint32_t victim);
    const std::pair<const char*, Kill> kills[] = {
        {"cell written, no slot yet",
         [](Raw& r, uint32_t v) {
             r.slot_of(v)->store(0);
             r.cells[v].head.word = Word{Phase::tentative, 1, 0, 5000}.pack();
         }},
        {"tentative, with a slot",
         [](Raw& r, uint32_t v) {
             r.cells[v].head.word = Word{Phase::tentative, 1, 0, 5000}.pack();
         }},
        {"dying, slot not yet cleared",
         [](Raw& r, uint32_t v) {
             r.cells[v].head.word = Word{Phase::dying, 1, 0, 5000}.pack();
         }},
        {"dying, slot cleared",
         [](Raw& r, uint32_t v) {
             r.slot_of(v)->store(0);
             r.cells[v].head.word = Word{Phase::dying, 1, 0, 5000}.pack();
         }},
        {"live, without a slot", [](Raw& r, uint32_t v) { r.slot_of(v)->store(0); }},
        {"slot of a free cell", [](Raw& r, uint32_t v) { r.cells[v].head.word = 0; }},
        {"slot beyond the cells",
         [](Raw& r, uint32_t v) {
             auto* s = r.slot_of(v);
             s->store(slot_word(r.header->capacity + 5, slot_tag(*s)));
         }},
        {"slot with another tag", [](Raw& r, uint32_t v) { *r.slot_of(v) ^= 0x10; }},
        {"client changed", [](Raw& r, uint32_t v) { r.cells[v].client ^= 1; }},
        {"protocol nobody speaks", [](Raw& r, uint32_t v) { r.cells[v].head.protocol = 99; }},
        {"forward out of range", [](Raw& r, uint32_t v) { r.cells[v].head.forward = 6; }},
        {"state out of range",
         [](Raw& r, uint32_t v) {
             r.cells[v].head.word = Word{Phase::live, 11, 0, 5000}.pack();
         }},
        {"template with a client port",
         [](Raw& r, uint32_t v) {
             r.cells[v].head.word = Word{Phase::live, 0, kTemplate, 5000}.pack();
         }},
        {"expiry in the next century",
         [](Raw& r, uint32_t v) {
             r.cells[v].head.word = Word{Phase::live, 1, 0, 0xfffffff0u}.pack();
         }},
        {"word with a bit of no field", [](Raw& r, uint32_t v) { r.cells[v].head.word |= 0x10; }},
        {"an IPv4 entry that says it is IPv6",
         [](Raw& r, uint32_t v) { r.cells[v].head.ipv6 = 1; }},
    };
    for (const auto& [name, kill] : kills) {
        SCOPED_TRACE(name);
        Flows f(small());
        for (uint32_t i = 0; i < 40; ++i) f.insert(tuple4(i));
        for (uint32_t i = 0; i < 20; ++i) f.insert(tuple6(i));
        const uint32_t victim = f.find(tuple4(17));
        f.table.reset();
        {
            Raw raw(f.path());
            kill(raw, victim);
            raw.header->clean = 0;
        }
        ASSERT_TRUE(f.open());
        EXPECT_FALSE(f.recovery.clean);
        EXPECT_EQ(f.recovery.kept, 59u);
        EXPECT_EQ(f.recovery.half_written + f.recovery.orphaned >= 1,
                  name != std::string_view("dying, slot cleared"));
        EXPECT_EQ(f.find(tuple4(17)), kNone);
        expect_sound(f);
        EXPECT_TRUE(f.insert(tuple4(17)).created);
        expect_all_ends(f);
    }
}

TEST(Recovery, TwoSlotsOfOneCellAndTwoCellsOfOneTuple) {
    Options o = small();
    o.constant_hash = true;
    Flows f(o);
    std::vector<uint32_t> entries;
    for (uint32_t i = 0; i < 20; ++i) entries.push_back(f.insert(tuple4(i)).entry);
    f.table.reset();
    {
        Raw raw(f.path());
        raw.empty_slot(3)->store(slot_word(entries[4], tag_of(0)));    // a second slot
        raw.cells[entries[15]].client = raw.cells[entries[2]].client;  // a second cell
    }
    ASSERT_TRUE(f.open());
    EXPECT_EQ(f.recovery.duplicates, 2u);
    EXPECT_EQ(f.recovery.kept, 19u);
    EXPECT_EQ(f.find(tuple4(2)), entries[2]) << "the one that lookups find first stays";
    EXPECT_EQ(f.find(tuple4(4)), entries[4]);
    expect_sound(f);
    expect_all_ends(f);
}

TEST(Recovery, AnOddCellIsNoPairAndAPairOwnsItsSecondCell) {
    Options o = small();
    o.constant_hash = true;
    Flows f(o);
    const uint32_t pair = f.insert(tuple6(1)).entry;
    const uint32_t single = f.insert(tuple4(2)).entry;
    f.table.reset();
    {
        Raw raw(f.path());
        // Somebody claims the pair's second cell as an IPv4 entry of its own.
        std::memcpy(static_cast<void*>(&raw.cells[pair + 1]), &raw.cells[single], 64);
        raw.cells[pair + 1].client ^= 0x01000000;
        raw.empty_slot(2)->store(slot_word(pair + 1, tag_of(0)));
        // And an IPv6 entry at an odd cell.
        std::memcpy(static_cast<void*>(&raw.cells[101]), &raw.cells[pair], 64);
        raw.empty_slot(2)->store(slot_word(101, tag_of(0)));
    }
    ASSERT_TRUE(f.open());
    EXPECT_EQ(f.find(tuple4(2)), single);
    expect_sound(f);
    expect_all_ends(f);
}

TEST(Recovery, OverflowCountsAreCountedAgain) {
    Options o = small();
    o.constant_hash = true;
    Flows f(o);
    for (uint32_t i = 0; i < 30; ++i) f.insert(tuple4(i));
    f.table.reset();
    {
        Raw raw(f.path());
        for (uint32_t b = 0; b < raw.header->buckets; ++b)
            for (auto& s : raw.buckets[b].slots) s ^= uint64_t(0x5a) << 24;
    }
    ASSERT_TRUE(f.open());
    EXPECT_EQ(f.recovery.kept, 30u);
    Raw raw(f.path());
    EXPECT_EQ(slot_spare(raw.buckets[0].slots[0]), 22u);
    EXPECT_EQ(slot_spare(raw.buckets[3].slots[0]), 0u);
    expect_sound(f);
    expect_all_ends(f);
}

TEST(Recovery, SurvivesAnyBytesAnywhereBehindTheHeader) {
    Flows f(small(2));
    std::mt19937 random(20240601);
    uint64_t kept = 0, lost = 0;
    for (int round = 0; round < 300; ++round) {
        for (uint32_t i = 0; i < 40; ++i) {
            f.insert(Flows::entry(tuple4(random() % 1000), 5000, TcpState::syn_recv), 1000, i % 2);
            f.insert(Flows::entry(tuple6(random() % 1000)), 1000, i % 2);
        }
        f.table.reset();
        {
            Raw raw(f.path());
            const uint64_t from = sizeof(shm::ObjectHeader) + sizeof(Seed) + 8 + 16;
            const uint64_t size = raw.map.size();
            for (int n = random() % 40; n >= 0; --n) {
                // Runs of garbage, of zeros, and copies of other parts.
                uint64_t at = from + random() % (size - from);
                if (random() % 2) at = kTableHeaderSize + random() % (256 * 16);
                const uint64_t length = std::min<uint64_t>(size - at, 1 + random() % 200);
                const uint64_t other = from + random() % (size - from - length);
                const auto kind = random() % 4;
                for (uint64_t k = 0; k < length; ++k)
                    raw.map.data()[at + k] = kind == 0   ? std::byte(0)
                                             : kind == 1 ? raw.map.data()[other + k]
                                                         : std::byte(random());
            }
        }
        ASSERT_TRUE(f.open());
        kept += f.recovery.kept;
        lost += f.recovery.orphaned + f.recovery.half_written + f.recovery.duplicates;
        expect_sound(f);
        ASSERT_FALSE(HasFailure()) << "round " << round;
        if (round % 8 == 0) expect_all_ends(f);
    }
    EXPECT_GT(kept, 1000u);
    EXPECT_GT(lost, 1000u);
}

}  // namespace
}  // namespace torii::flow::test
