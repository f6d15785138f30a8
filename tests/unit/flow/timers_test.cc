#include <gtest/gtest.h>

#include "dataplane/flow/wheel.h"
#include "tests/unit/flow/fixture.h"

namespace torii::flow::test {
namespace {

Options small(uint32_t workers = 1) {
    Options o;
    o.capacity = 1024;
    o.workers = workers;
    return o;
}

/// The tick in which the entry of `t` ends, when every worker runs its timers at every tick.
Tick ends_at(Flows& f, const Tuple& t, Tick from, Tick until) {
    for (Tick now = from; now <= until; ++now) {
        for (uint32_t w = 0; w < f.options.workers; ++w) {
            f[w].expire(now, 100);
            f[w].quiescent();
        }
        if (f.find(t) == kNone) return now;
    }
    return 0;
}

TEST(Timers, AnEntryEndsAtItsExpiry) {
    for (Tick life : {0u, 1u, 5u, 32u, 33u, 255u, 256u, 257u, 511u, 512u, 513u, 3600u}) {
        Flows f(small());
        f.insert(tuple4(1), 1000 + life);
        EXPECT_EQ(ends_at(f, tuple4(1), 1000, 6000), 1000 + life);
        EXPECT_EQ(f[0].timers(), 0u);
    }
}

TEST(Timers, AnExtendedEntryLivesLonger) {
    Flows f(small());
    const auto made = f.insert(tuple4(1), 1010);
    Word next = f.word(made.entry);
    next.expiry = 2000;
    EXPECT_TRUE(f[0].update(made.entry, f.word(made.entry), next, 1005));
    EXPECT_EQ(ends_at(f, tuple4(1), 1005, 6000), 2000u);
}

TEST(Timers, AShortenedEntryEndsWithinOneTick) {
    // Of whichever age, however far away its timer is, by whichever worker.
    for (uint32_t by : {0u, 1u})
        for (Tick age : {0u, 31u, 32u, 33u, 100u, 288u, 289u, 700u})
            for (Tick life : {1u, 40u, 100u, 255u, 300u}) {
                Flows f(small(2));
                const auto made = f.insert(tuple4(1), 1000 + 3600);
                EXPECT_EQ(ends_at(f, tuple4(1), 1000, 1000 + age), 0u);
                Word next = f.word(made.entry);
                next.expiry = 1000 + age + life;
                ASSERT_TRUE(f[by].update(made.entry, f.word(made.entry), next, 1000 + age));
                const Tick end = ends_at(f, tuple4(1), 1000 + age, 6000);
                EXPECT_GE(end, next.expiry);
                EXPECT_LE(end, next.expiry + 1) << "age " << age << " life " << life;
            }
}

TEST(Timers, EveryEntryHasOneValidTimer) {
    Flows f(small());
    const auto made = f.insert(tuple4(1), 1000 + 3600);
    for (Tick now = 1000; now < 4000; ++now) {
        // Up and down, many times: outdated timers must not multiply.
        Word next = f.word(made.entry);
        next.expiry = now + (now % 50 == 0 ? 60 : 3600);
        ASSERT_TRUE(f[0].update(made.entry, f.word(made.entry), next, now));
        f[0].expire(now, 100);
        f[0].quiescent();
        ASSERT_LE(f[0].timers(), 12u);
    }
    EXPECT_NE(f.find(tuple4(1)), kNone);
}

TEST(Timers, TheBudgetIsKeptAndTheRestIsDoneLater) {
    Flows f(small());
    for (uint32_t i = 0; i < 500; ++i) ASSERT_TRUE(f.insert(tuple4(i), 1010 + i % 3).created);
    EXPECT_EQ(f[0].expire(1009, 1000), 0u);
    uint32_t freed = 0, calls = 0;
    while (freed < 500 && ++calls < 1000) {
        const uint32_t n = f[0].expire(1020, 7);
        EXPECT_LE(n, 7u);
        freed += n;
    }
    EXPECT_EQ(freed, 500u);
    EXPECT_GE(calls, 500u / 7);
    EXPECT_EQ(f.table->used(), 0u);
}

TEST(Timers, AWorkerThatSleptForHoursCatchesUp) {
    Flows f(small());
    for (uint32_t i = 0; i < 300; ++i) f.insert(tuple4(i), 1010 + i * 7);
    uint32_t freed = 0;
    // New ones come while it has not caught up.
    f.insert(tuple4(5000), 100050, 100000);
    for (int n = 0; n < 1000; ++n) freed += f[0].expire(100000, 20);
    EXPECT_EQ(freed, 300u);
    EXPECT_NE(f.find(tuple4(5000)), kNone);
    EXPECT_EQ(ends_at(f, tuple4(5000), 100000, 100100), 100050u);
}

TEST(Timers, OutdatedTimersOfAReusedCellEndNothing) {
    Flows f(small());
    for (uint32_t i = 0; i < 3000; ++i) {
        const auto made = f.insert(tuple4(i), 1020);
        ASSERT_TRUE(made.created);
        f[0].remove(made.entry);
        f[0].quiescent();
    }
    EXPECT_GT(f[0].timers(), 1000u);
    const auto made = f.insert(tuple4(9), 1400);
    ASSERT_TRUE(made.created);
    for (int n = 0; n < 300; ++n) EXPECT_EQ(f[0].expire(1100, 100), 0u);
    EXPECT_EQ(f.find(tuple4(9)), made.entry);
}

TEST(Timers, WithoutRoomForATimerTheSweepEndsTheEntry) {
    Flows f(small());
    // 2304 timers fit. Outdated ones use them up.
    const auto early = f.insert(tuple4(6666), 4000);
    for (uint32_t i = 0; i < 4000; ++i) {
        const auto made = f.insert(tuple4(i), 1020);
        ASSERT_TRUE(made.created);
        f[0].remove(made.entry);
        f[0].quiescent();
    }
    EXPECT_EQ(f[0].timers(), 2304u);
    const auto made = f.insert(tuple4(7777), 1003);
    const auto longer = f.insert(tuple4(8888), 4000);
    ASSERT_TRUE(made.created && longer.created);
    EXPECT_EQ(f[0].timers(), 2304u);
    uint32_t freed = 0;
    // Nor is there room for an earlier timer of one that has its own.
    Word next = f.word(early.entry);
    next.expiry = 1003;
    ASSERT_TRUE(f[0].update(early.entry, f.word(early.entry), next, 1000));
    for (int n = 0; n < 40; ++n) freed += f[0].expire(1003, 0);
    EXPECT_EQ(freed, 2u);
    EXPECT_EQ(f.find(tuple4(6666)), kNone);
    EXPECT_EQ(f.find(tuple4(7777)), kNone);
    EXPECT_EQ(ends_at(f, tuple4(8888), 1004, 5000), 4000u);
    EXPECT_EQ(f[0].timers(), 0u);
}

TEST(Wheel, HoldsAsManyTimersAsItWasMadeFor) {
    auto wheel = Wheel::create(5000, 100);
    ASSERT_TRUE(wheel);
    wheel->prepare();
    EXPECT_GT(wheel->bytes(), 5000 * sizeof(Wheel::Timer));
    // Thinly over all slots first: every slot has a chunk that is part full.
    uint32_t n = 0;
    for (; wheel->room(); ++n)
        wheel->push(wheel->plan(100 + n % kWheelSlots, 100, kWheelSlots), {n, n});
    EXPECT_EQ(n, 5000u);
    uint64_t sum = 0;
    Wheel::Timer out[15];
    Tick at;
    for (Tick now = 100; now < 100 + kWheelSlots; ++now)
        while (uint32_t got = wheel->take(now, out, 15, at))
            for (uint32_t i = 0; i < got; ++i) {
                EXPECT_EQ(at, now);
                const uint32_t first = out[i].cell % kWheelSlots;
                EXPECT_EQ(now - 100, first == 0 && now != 100 ? kRearm : first);
                sum += out[i].cell;
                // Fires early: goes round again, also when the wheel is full.
                if (now == 100) wheel->push(wheel->plan(now + 300, now, kRearm), out[i]);
            }
    EXPECT_EQ(
        sum, 5000ull * 4999 / 2 + [] {
            uint64_t again = 0;
            for (uint32_t i = 0; i < 5000; i += kWheelSlots) again += i;
            return again;
        }());
    EXPECT_EQ(wheel->timers(), 0u);
}

}  // namespace
}  // namespace torii::flow::test
