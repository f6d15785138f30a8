// Two and more threads on one table. Each test says how often they met, and fails if they did not.

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "tests/unit/flow/fixture.h"

namespace torii::flow::test {
namespace {

/// All threads leave wait() together.
class Barrier {
public:
    explicit Barrier(uint32_t n) : n_(n) {}
    void wait() {
        const uint32_t round = round_.load();
        if (come_.fetch_add(1) + 1 == n_) {
            come_.store(0);
            round_.fetch_add(1);
            return;
        }
        for (uint32_t spins = 0; round_.load() == round;)
            if (++spins % 256 == 0) std::this_thread::yield();
    }

private:
    const uint32_t n_;
    std::atomic<uint32_t> come_{0}, round_{0};
};

/// Live entries of a tuple in its window.
uint32_t live_of(Raw& raw, uint64_t hash, const Tuple& t) {
    uint32_t found = 0, b = home_of(hash, raw.header->buckets);
    for (uint32_t n = 0; n < kMaxProbe; ++n, b = (b + 1) % raw.header->buckets)
        for (auto& s : raw.buckets[b].slots) {
            const uint64_t slot = s.load();
            if (slot_empty(slot)) continue;
            const Cell4& c = raw.cells[slot_index(slot)];
            found += c.client == t.client.as_v4().raw() &&
                     c.head.client_port == t.client_port.raw() &&
                     Word::unpack(c.head.word).phase == Phase::live;
        }
    return found;
}

/// Insertions that found another one of their tuple half-way. Only between barriers.
uint64_t meetings(Flows& f) {
    uint64_t n = 0;
    for (uint32_t w = 0; w < f.options.workers; ++w) {
        const Conflicts& c = f[w].conflicts();
        n += c.found_live + c.killed + c.lost;
    }
    return n;
}

void run(uint32_t threads, const std::function<void(uint32_t)>& body) {
    std::vector<std::thread> all;
    for (uint32_t t = 0; t < threads; ++t) all.emplace_back(body, t);
    for (auto& t : all) t.join();
}

class RaceOf : public testing::TestWithParam<std::tuple<uint32_t, bool>> {};

TEST_P(RaceOf, InsertingTheSameTuplesMakesOneEntryOfEach) {
    const auto [threads, constant_hash] = GetParam();
    constexpr uint32_t kRounds = 4000;
    Options o;
    o.capacity = 4096;
    o.workers = threads;
    o.constant_hash = constant_hash;
    // An insertion takes a tenth of a microsecond: stretched, so that others find it half-way.
    o.between = [](uint32_t worker, InsertStep s) {
        thread_local uint64_t random = worker + 1;
        random = random * 6364136223846793005u + 1442695040888963407u;
        if (s == InsertStep::placed && random >> 61 == 0) std::this_thread::yield();
        for (uint64_t n = random >> 56; n != 0; --n) __builtin_ia32_pause();
    };
    Flows f(o);
    Raw raw(f.path());
    Barrier barrier(threads);
    std::vector<Table::Worker::Inserted> got(threads);
    std::atomic<uint64_t> created{0}, wrong{0};
    run(threads, [&](uint32_t me) {
        Table::Worker& w = f[me];
        for (uint32_t round = 0; round < kRounds; ++round) {
            const Tuple t = tuple4(round % 1000, uint16_t(round));
            barrier.wait();
            got[me] = f.insert(Flows::entry(t), 1000, me);
            created += got[me].created;
            wrong += f.find(t, me) != got[me].entry;  // whoever is told of an entry finds it
            barrier.wait();
            if (me == round % threads) {
                const auto found = live_of(raw, f.hash(t) & (constant_hash ? 0 : ~0ull), t);
                uint32_t made = 0;
                for (const auto& g : got) {
                    wrong += g.entry != got[0].entry;
                    made += g.created;
                }
                wrong += found != 1 || made != 1 || !w.remove(got[0].entry);
            }
            w.quiescent();
            barrier.wait();
        }
    });
    EXPECT_EQ(wrong, 0u);
    EXPECT_EQ(created, kRounds);
    EXPECT_EQ(f.table->used(), 0u);
    EXPECT_EQ(f.sum(&shm::Row::active), 0);
    EXPECT_EQ(f.sum(&shm::Row::connections), int64_t(created));
    f.quiesce();
    EXPECT_EQ(f.table->count_free(), f.table->capacity());
    for (uint32_t b = 0; b < raw.header->buckets; ++b)
        for (auto& slot : raw.buckets[b].slots) EXPECT_EQ(slot, 0u);
    RecordProperty("met", int(meetings(f)));
    EXPECT_GT(meetings(f), 100u) << "the threads hardly ever met inside an insertion";
}
INSTANTIATE_TEST_SUITE_P(Threads, RaceOf,
                         testing::Combine(testing::Values(2u, 4u), testing::Bool()));

// Every way in which two or three insertions of one tuple can lie inside each other: a worker's
// insertion is interrupted at a step by the whole insertion of the next worker.
TEST(Race, EveryNestingOfInsertionsMakesOneEntry) {
    using enum InsertStep;
    for (const bool earlier_slot_appears : {false, true})
        for (const InsertStep outer : {written, placed, settled})
            for (const InsertStep inner : {written, placed, settled}) {
                Options o;
                o.capacity = 256;
                o.workers = 3;
                o.constant_hash = true;
                uint32_t depth = 0;
                Flows* flows = nullptr;
                std::vector<Table::Worker::Inserted> got(3);
                uint32_t filler = kNone;
                o.between = [&](uint32_t worker, InsertStep s) {
                    if (worker != depth || s != (worker == 0 ? outer : inner) || depth == 2) return;
                    // The next worker's slot may come to lie before ours.
                    if (earlier_slot_appears && depth == 0) flows->table->worker(0).remove(filler);
                    const uint32_t next = ++depth;
                    got[next] = flows->insert(Flows::entry(tuple4(1)), 1000, next);
                };
                depth = 3;  // not yet
                Flows f(o);
                flows = &f;
                filler = f.insert(tuple4(2)).entry;
                depth = 0;
                got[0] = f.insert(Flows::entry(tuple4(1)), 1000, 0);
                ASSERT_EQ(depth, 2u);
                Raw raw(f.path());
                EXPECT_EQ(live_of(raw, 0, tuple4(1)), 1u);
                uint32_t made = 0;
                for (const auto& g : got) made += g.created;
                EXPECT_EQ(made, 1u) << int(outer) << int(inner);
                for (const auto& g : got) EXPECT_EQ(g.entry, f.find(tuple4(1)));
                EXPECT_GE(meetings(f), 2u);
                EXPECT_EQ(f.sum(&shm::Row::connections), 2);
                for (uint32_t n = 0; n < 3; ++n) f[n].remove(got[n].entry);
                f[0].remove(filler);
                f.quiesce();
                EXPECT_EQ(f.table->count_free(), f.table->capacity());
            }
}

TEST(Race, EveryOperationOnAFewTuplesLosesNoCell) {
    constexpr uint32_t kThreads = 3, kOperations = 30000, kTuples = 16;
    Options o;
    o.capacity = 512;
    o.workers = kThreads;
    Flows f(o);
    std::atomic<uint64_t> created{0}, ended{0}, torn{0}, both{0};
    std::atomic<uint32_t> clock{1000};
    Barrier barrier(kThreads);
    run(kThreads, [&](uint32_t me) {
        Table::Worker& w = f[me];
        uint64_t random = me + 1;
        barrier.wait();
        for (uint32_t n = 0; n < kOperations; ++n) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            const uint32_t dice = uint32_t(random >> 33);
            const uint32_t i = dice % kTuples;
            const Tuple t = i % 2 ? tuple4(i) : tuple6(i);
            const Tick now = clock.load(std::memory_order_relaxed);
            const uint32_t entry = f.find(t, me);
            if (entry != kNone) torn += !(w.tuple(entry) == t);
            switch (dice / kTuples % 8) {
                case 0:
                case 1:
                case 2:
                    created += f.insert(Flows::entry(t, now + 3 + i), now, me).created;
                    break;
                case 3:
                    if (entry != kNone) ended += w.remove(entry);
                    break;
                case 4:
                case 5:
                    if (entry != kNone) {
                        const Word seen = Word::unpack(w.head(entry).word.load());
                        if (seen.phase != Phase::live) {
                            ++both;  // ended by another worker since we found it
                            break;
                        }
                        Word next = seen;
                        next.expiry = now + (dice & 64 ? 200 : 2);
                        next.flags ^= kInactive;
                        w.update(entry, seen, next, now);
                    }
                    break;
                case 6:
                    if (me == 0 && n % 16 == 0) ++clock;
                    break;
                case 7:
                    if (me == 0) f.table->housekeeping();
                    break;
            }
            ended += w.expire(now, 8);
            if (n % 4 == 0) w.quiescent();
        }
        w.offline();
    });
    for (uint32_t w = 0; w < kThreads; ++w) f[w].online();
    EXPECT_EQ(torn, 0u);
    EXPECT_GT(ended, 100u);
    EXPECT_EQ(f.table->used() == 0, created == ended);
    const auto sum = [&] { return f.sum(&shm::Row::active) + f.sum(&shm::Row::inactive); };
    EXPECT_EQ(uint64_t(sum()), created - ended);
    // Whatever is left ends by its timer, and every cell comes home.
    for (Tick now = clock; now < clock + 600; ++now)
        for (uint32_t w = 0; w < kThreads; ++w) ended += f[w].expire(now, 1000);
    f.quiesce();
    EXPECT_EQ(created, ended);
    EXPECT_EQ(f.sum(&shm::Row::active), 0);
    EXPECT_EQ(f.sum(&shm::Row::inactive), 0);
    EXPECT_EQ(f.table->count_free(), f.table->capacity());
}

TEST(Race, WorkersOfAFullTableShareItsCells) {
    constexpr uint32_t kThreads = 2, kRounds = 20000;
    Options o;
    o.capacity = 512;
    o.workers = kThreads;
    Flows f(o);
    std::atomic<uint64_t> created{0}, ended{0}, full{0}, recycled{0};
    Barrier barrier(kThreads);
    run(kThreads, [&](uint32_t me) {
        Table::Worker& w = f[me];
        barrier.wait();
        for (uint32_t n = 0; n < kRounds; ++n) {
            const bool six = n % 5 == 0;
            Tuple t = six ? tuple6(n, uint16_t(me + 1)) : tuple4(n, uint16_t(me + 1));
            const auto made =
                f.insert(Flows::entry(t, 5000, n % 3 ? TcpState::syn_recv : TcpState::established),
                         1000, me);
            created += made.created;
            full += made.entry == kFull;
            recycled += made.recycled;
            const uint32_t old = f.find(tuple4(n - 100, uint16_t(2 - me)), me);
            if (old != kNone) ended += w.remove(old);
            if (n % 8 == 0) w.quiescent();
            if (me == 0 && n % 64 == 0) f.table->housekeeping();
        }
        w.offline();
    });
    EXPECT_GT(recycled, 0u);
    EXPECT_GT(ended, 0u);
    for (uint32_t w = 0; w < kThreads; ++w) f[w].online();
    Raw raw(f.path());
    for (uint32_t b = 0; b < raw.header->buckets; ++b)
        for (auto& s : raw.buckets[b].slots)
            if (!slot_empty(s)) f[0].remove(slot_index(s));
    f.quiesce();
    EXPECT_EQ(f.table->used(), 0u);
    EXPECT_EQ(f.table->count_free(), f.table->capacity());
    for (uint32_t b = 0; b < raw.header->buckets; ++b) EXPECT_EQ(raw.buckets[b].slots[0], 0u);
}

TEST(Race, AReaderNeverSeesAMixOfTwoEntries) {
    constexpr uint32_t kPasses = 300;
    Options o;
    o.capacity = 64;
    Flows f(o);
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> inserted{0};
    std::thread writer([&] {
        for (uint32_t n = 1; !stop; ++n) {
            // Every part of an entry says the same number.
            Tuple t = n % 2 ? tuple4(n % 50000, uint16_t(n % 50000))
                            : tuple6(n % 50000, uint16_t(n % 50000));
            NewEntry e = Flows::entry(t);
            e.backend = e.service_slot = e.backend_generation = n % 50000;
            const auto made = f.insert(e);
            if (made.created) f[0].remove(made.entry);
            inserted += made.created;
            f[0].quiescent();
        }
    });
    auto reader = Reader::open(f.path());
    ASSERT_TRUE(reader);
    uint64_t seen = 0, torn = 0;
    for (uint32_t pass = 0; pass < kPasses || seen < 20 || inserted < 2000; ++pass)
        reader->each([&](const Listed& l) {
            const uint32_t n = l.backend;
            const Tuple t =
                l.tuple.client.is_v4() ? tuple4(n, uint16_t(n)) : tuple6(n, uint16_t(n));
            torn += !(l.tuple == t) || l.service_slot != n || l.backend_generation != n;
            ++seen;
            return true;
        });
    stop = true;
    writer.join();
    EXPECT_EQ(torn, 0u);
    EXPECT_GE(seen, 20u);
}

}  // namespace
}  // namespace torii::flow::test
