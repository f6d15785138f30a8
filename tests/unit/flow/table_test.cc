#include "dataplane/flow/table.h"

#include <gmock/gmock.h>

#include "tests/unit/flow/fixture.h"

namespace torii::flow::test {
namespace {

Options small(uint32_t capacity = 256, uint32_t workers = 1) {
    Options o;
    o.capacity = capacity;
    o.workers = workers;
    return o;
}

TEST(Table, FindsAnEntryFromEitherSide) {
    Flows f(small());
    for (const Tuple& t : {tuple4(1), tuple6(1)}) {
        EXPECT_EQ(f.find(t), kNone);
        const auto made = f.insert(t);
        EXPECT_TRUE(made.created);
        EXPECT_EQ(f.find(t), made.entry);
        EXPECT_EQ(f.find_reply(t), made.entry);
        EXPECT_EQ(f[0].tuple(made.entry), t);
        EXPECT_EQ(f[0].head(made.entry).backend_generation, 7u);
    }
}

TEST(Table, ComparesEveryPartOfTheTuple) {
    Options o = small();
    o.constant_hash = true;
    Flows f(o);
    for (const Tuple& t : {tuple4(1), tuple6(1)}) {
        f.insert(t);
        Tuple x = t;
        x.client.bytes[15] ^= 1;
        EXPECT_EQ(f.find(x), kNone);
        EXPECT_EQ(f.find_reply(x), kNone);
        x = t;
        x.virtual_address.bytes[15] ^= 1;
        EXPECT_EQ(f.find(x), kNone);
        EXPECT_NE(f.find_reply(x), kNone);
        x = t;
        x.backend_address.bytes[15] ^= 1;
        EXPECT_NE(f.find(x), kNone);
        EXPECT_EQ(f.find_reply(x), kNone);
        for (be16 Tuple::*port :
             {&Tuple::client_port, &Tuple::virtual_port, &Tuple::backend_port}) {
            x = t;
            x.*port = be16::from_host(1);
            EXPECT_EQ(f.find(x) == kNone, port != &Tuple::backend_port);
            EXPECT_EQ(f.find_reply(x) == kNone, port != &Tuple::virtual_port);
        }
        x = t;
        x.protocol = Protocol::udp;
        EXPECT_EQ(f.find(x), kNone);
        EXPECT_EQ(f.find_reply(x), kNone);
    }
}

TEST(Table, RepliesBelongToNatEntriesOnly) {
    Flows f(small());
    for (shm::Forward forward : {shm::Forward::dr, shm::Forward::tunnel, shm::Forward::local})
        for (Tuple t : {tuple4(1), tuple6(1)}) {
            t.client_port = be16::from_host(uint16_t(forward));
            NewEntry e = Flows::entry(t);
            e.forward = forward;
            EXPECT_TRUE(f.insert(e).created);
            EXPECT_NE(f.find(t), kNone);
            EXPECT_EQ(f.find_reply(t), kNone);
        }
}

TEST(Table, AnIpv4EntryLeavesTheAddressOfAnIpv6ServerToItsSlot) {
    Flows f(small());
    Tuple t = tuple4(1);
    t.backend_address = tuple6(1).backend_address;
    NewEntry e = Flows::entry(t);
    e.forward = shm::Forward::tunnel;
    const auto made = f.insert(e);
    ASSERT_TRUE(made.created);
    EXPECT_EQ(f.find(t), made.entry);
    t.backend_address = Address::v4({});
    EXPECT_EQ(f[0].tuple(made.entry), t);
    EXPECT_EQ(f[0].head(made.entry).backend, 3u);
}

TEST(Table, GivesBackTheEntryThatIsThere) {
    Flows f(small());
    const auto first = f.insert(tuple4(1));
    const auto second = f.insert(tuple4(1));
    EXPECT_FALSE(second.created);
    EXPECT_EQ(second.entry, first.entry);
    EXPECT_EQ(f.table->used(), 1u);
}

TEST(Table, RemovesOnceAndReusesTheCellOnlyAfterAGracePeriod) {
    Flows f(small(64, 2));
    const auto made = f.insert(tuple4(1));
    const uint32_t generation = f[0].head(made.entry).generation;
    EXPECT_TRUE(f[0].remove(made.entry));
    EXPECT_FALSE(f[1].remove(made.entry));
    EXPECT_EQ(f.find(tuple4(1)), kNone);
    const auto reused = [&] {
        bool found = false;
        std::vector<uint32_t> entries;
        for (uint32_t i = 100;; ++i) {
            const auto x = f.insert(tuple4(i));
            if (x.entry == kFull) break;
            entries.push_back(x.entry);
            found |= x.entry == made.entry;
        }
        for (uint32_t e : entries)
            if (e != made.entry) f[0].remove(e);
        return found;
    };
    f[0].quiescent();
    EXPECT_FALSE(reused()) << "worker 1 may still look at it";
    f.quiesce();
    EXPECT_TRUE(reused());
    EXPECT_GT(f[0].head(made.entry).generation, generation);
}

TEST(Table, AnOfflineWorkerIsNotWaitedFor) {
    Flows f(small(64, 2));
    f[1].offline();
    const auto made = f.insert(tuple4(1));
    f[0].remove(made.entry);
    f[0].quiescent();
    f[0].quiescent();
    bool found = false;
    for (uint32_t i = 100;; ++i) {
        const auto x = f.insert(tuple4(i));
        if (x.entry == kFull) break;
        found |= x.entry == made.entry;
    }
    EXPECT_TRUE(found);
}

TEST(Table, UpdatesOnlyWhatWasSeen) {
    Flows f(small());
    const auto made = f.insert(tuple4(1));
    const Word seen = f.word(made.entry);
    Word next = seen;
    next.expiry = 6000;
    EXPECT_TRUE(f[0].update(made.entry, seen, next, 1000));
    EXPECT_FALSE(f[0].update(made.entry, seen, Word{Phase::live, 2, 0, 7000}, 1000));
    EXPECT_EQ(f.word(made.entry), next);
    EXPECT_TRUE(f[0].update(made.entry, next, next, 1000));
    f[0].remove(made.entry);
    EXPECT_FALSE(f[0].update(made.entry, next, seen, 1000));
}

TEST(Table, CountsConnectionsOfBackendAndService) {
    Flows f(small(256, 2));
    const auto a = f.insert(Flows::entry(tuple4(1)), 1000, 0);
    const auto b = f.insert(Flows::entry(tuple4(2), 5000, TcpState::syn_recv, kInactive), 1000, 1);
    Tuple template_tuple = tuple4(3, 0);
    const auto c = f.insert(Flows::entry(template_tuple, 5000, TcpState::none, kTemplate), 1000, 0);
    EXPECT_EQ(f.sum(&shm::Row::active), 1);
    EXPECT_EQ(f.sum(&shm::Row::inactive), 1);
    EXPECT_EQ(f.sum(&shm::Row::persistent), 1);
    EXPECT_EQ(f.sum(&shm::Row::connections), 2);
    EXPECT_EQ(f.counters.services(0)[2].connections.get(), 1u);
    EXPECT_EQ(f.counters.services(1)[2].connections.get(), 1u);

    Word seen = f.word(b.entry), next = seen;
    next.flags = 0;
    EXPECT_TRUE(f[0].update(b.entry, seen, next, 1000));
    EXPECT_EQ(f.sum(&shm::Row::active), 2);
    EXPECT_EQ(f.sum(&shm::Row::inactive), 0);
    for (uint32_t e : {a.entry, b.entry, c.entry}) EXPECT_TRUE(f[1].remove(e));
    EXPECT_EQ(f.sum(&shm::Row::active), 0);
    EXPECT_EQ(f.sum(&shm::Row::inactive), 0);
    EXPECT_EQ(f.sum(&shm::Row::persistent), 0);
    EXPECT_EQ(f.sum(&shm::Row::connections), 2);
}

TEST(Table, AConstantHashHoldsOneWindowAndIsLeftAsItWas) {
    Options o = small(1024);
    o.constant_hash = true;
    Flows f(o);
    const uint64_t free = f.table->count_free();
    std::vector<uint32_t> entries;
    for (uint32_t i = 0;; ++i) {
        const auto made = f.insert(tuple4(i));
        if (made.entry == kFull) break;
        entries.push_back(made.entry);
    }
    EXPECT_EQ(entries.size(), kMaxProbe * kSlots);
    for (uint32_t i = 0; i < entries.size(); ++i) EXPECT_EQ(f.find(tuple4(i)), entries[i]);
    EXPECT_EQ(f.find(tuple4(5000)), kNone);
    for (uint32_t e : entries) EXPECT_TRUE(f[0].remove(e));
    f.quiesce();
    EXPECT_EQ(f.table->count_free(), free);
    EXPECT_EQ(f.table->used(), 0u);
}

TEST(Table, OverflowCountsAreTakenBack) {
    Options o = small(256);
    o.constant_hash = true;
    Flows f(o);
    std::vector<uint32_t> entries;
    for (uint32_t i = 0; i < 30; ++i) entries.push_back(f.insert(tuple4(i)).entry);
    Raw raw(f.path());
    EXPECT_EQ(slot_spare(raw.buckets[0].slots[0]), 22u);
    EXPECT_EQ(slot_spare(raw.buckets[2].slots[0]), 6u);
    // The first to go lie in the first bucket: what is behind it must still be found.
    for (uint32_t i = 0; i < 30; ++i) {
        f[0].remove(entries[i]);
        for (uint32_t k = i + 1; k < 30; ++k) ASSERT_EQ(f.find(tuple4(k)), entries[k]);
    }
    for (uint32_t b = 0; b < raw.header->buckets; ++b) EXPECT_EQ(raw.buckets[b].slots[0], 0u);
}

TEST(Table, WhenFullAHalfOpenEntryGoesFirst) {
    Flows f(small(256));
    std::vector<Tuple> kept;
    for (uint32_t i = 0;; ++i) {
        const bool half_open = i % 2 == 0;
        const auto made = f.insert(
            Flows::entry(tuple4(i), 5000, half_open ? TcpState::syn_recv : TcpState::established));
        ASSERT_NE(made.entry, kFull);
        if (made.recycled) {
            EXPECT_TRUE(made.created);
            if (!half_open) kept.push_back(tuple4(i));
            break;
        }
        if (!half_open) kept.push_back(tuple4(i));
    }
    EXPECT_GE(f.table->used(), 250u);
    uint32_t recycled = 0;
    for (uint32_t i = 1000; i < 1060; ++i) {
        const auto made = f.insert(tuple4(i));
        ASSERT_NE(made.entry, kFull) << i;
        recycled += made.recycled;
        kept.push_back(tuple4(i));
        f.quiesce();
    }
    EXPECT_GT(recycled, 50u);
    for (const Tuple& t : kept) EXPECT_NE(f.find(t), kNone);
}

TEST(Table, WhenFullOfEstablishedEntriesItSaysSo) {
    Flows f(small(256));
    uint32_t n = 0;
    while (f.insert(tuple4(n)).created) ++n;
    EXPECT_GE(n, 250u);
    EXPECT_LT(n, 256u);
    const auto more = f.insert(tuple4(9999));
    EXPECT_EQ(more.entry, kFull);
    EXPECT_FALSE(more.recycled);
    EXPECT_EQ(f.insert(tuple6(9999)).entry, kFull);
    EXPECT_EQ(f.insert(tuple4(0)).entry, f.find(tuple4(0))) << "an existing one is still found";
    // UDP has no half-open state, whatever its state byte says.
    Flows g(small(256));
    n = 0;
    while (g.insert(Flows::entry(tuple4(n, 1, 0, Protocol::udp), 5000, TcpState::syn_recv)).created)
        ++n;
    EXPECT_LT(n, 256u);
}

TEST(Table, FullWindowRecyclesInsideIt) {
    Options o = small(2048);
    o.constant_hash = true;
    Flows f(o);
    for (uint32_t i = 0; i < kMaxProbe * kSlots; ++i)
        f.insert(
            Flows::entry(tuple4(i), 5000, i == 77 ? TcpState::syn_recv : TcpState::established));
    const auto made = f.insert(tuple4(5000));
    EXPECT_TRUE(made.created);
    EXPECT_TRUE(made.recycled);
    EXPECT_EQ(f.find(tuple4(77)), kNone);
    EXPECT_EQ(f.insert(tuple4(5001)).entry, kFull);
}

TEST(Table, PairsAreMadeOfSinglesAgain) {
    Flows f(small(256));
    std::vector<uint32_t> entries;
    for (uint32_t i = 0;; ++i) {
        const auto made = f.insert(tuple4(i));
        if (!made.created) break;
        entries.push_back(made.entry);
    }
    for (uint32_t e : entries) f[0].remove(e);
    f.quiesce();
    uint32_t pairs = 0;
    for (uint32_t i = 0; i < 1000 && pairs < 100; ++i) {
        if (f.insert(tuple6(i)).created)
            ++pairs;
        else {
            f.quiesce();
            f.table->housekeeping();
        }
    }
    EXPECT_EQ(pairs, 100u);
    for (uint32_t i = 0; i < 1000; ++i)
        if (const uint32_t e = f.find(tuple6(i)); e != kNone) f[0].remove(e);
    f.quiesce();
    EXPECT_EQ(f.table->count_free(), f.table->capacity());
}

TEST(Table, SixAndFourLiveTogether) {
    Flows f(small(512));
    for (uint32_t i = 0; i < 60; ++i) {
        ASSERT_TRUE(f.insert(tuple4(i)).created);
        ASSERT_TRUE(f.insert(tuple6(i)).created);
    }
    EXPECT_EQ(f.table->used(), 180u);
    for (uint32_t i = 0; i < 60; ++i) {
        EXPECT_NE(f.find(tuple4(i)), kNone);
        EXPECT_NE(f.find(tuple6(i)), kNone);
        EXPECT_NE(f.find_reply(tuple6(i)), kNone);
    }
    EXPECT_EQ(f.listed(), 120u);
}

TEST(Table, PrefetchNamesACandidate) {
    Flows f(small());
    const Tuple t = tuple4(1);
    f[0].prefetch_bucket(f.hash(t));
    EXPECT_LT(f[0].prefetch_cell(f.hash(t)), f.table->capacity());  // any
    const auto made = f.insert(t);
    EXPECT_EQ(f[0].prefetch_cell(f.hash(t)), made.entry);
}

TEST(Table, AMixedPairOfFamiliesIsKept) {
    Flows f(small());
    Tuple t = tuple6(1);
    t.backend_address = Address::v4(be32::from_host(0x0a010001u));
    const auto made = f.insert(t);
    EXPECT_EQ(f[0].tuple(made.entry), t);
    EXPECT_EQ(f.find_reply(t), made.entry);
}

}  // namespace
}  // namespace torii::flow::test
