// Rankings against scans: the same choices, whatever happens to loads, weights and thresholds.

#include "dataplane/scheduler/ranking.h"

#include <gtest/gtest.h>

#include <random>

#include "dataplane/scheduler/locality.h"
#include "tests/unit/scheduler/rig.h"

namespace torii::scheduler {
namespace {

using Random = std::mt19937_64;

// One list with loads, ranked as a worker ranks it.
struct Ranked {
    Ranked(std::string_view name, std::vector<uint32_t> weights)
        : scheduler(*find_scheduler(name)), loads(weights.size()), full(weights.size()) {
        for (uint32_t b = 0; b < weights.size(); ++b) {
            targets.push_back({b, weights[b], 0});
            heaviest = std::max(heaviest, weights[b]);
        }
        view.targets = targets;
        const Ranking::Shape shape(targets.size(), rank_shift(heaviest));
        words.resize(shape.words());
        ranking = Ranking(words.data(), shape);
        for (uint32_t i = 0; i < targets.size(); ++i) ranking.place(i, key(i));
        ranking.build(uint32_t(targets.size()));
    }
    uint64_t key(uint32_t i) const {
        const Target& t = targets[i];
        if (t.weight == 0 || full[i]) return kOut;
        return scheduler.rank(loads[i], t.weight, rank_shift(heaviest));
    }
    Loads seen(bool ranked) const {
        Loads l;
        l.context = this;
        l.read = [](const void* c, uint32_t b) { return static_cast<const Ranked*>(c)->loads[b]; };
        l.overloaded = [](const void* c, uint32_t b) {
            return bool(static_cast<const Ranked*>(c)->full[b]);
        };
        if (ranked) l.ranking = &ranking;
        return l;
    }
    uint32_t pick(bool ranked) {
        Cursor cursor;
        return choose(scheduler, view, cursor, seen(ranked), {});
    }

    const Scheduler& scheduler;
    std::vector<Target> targets;
    std::vector<Load> loads;
    std::vector<char> full;
    uint32_t heaviest = 0;
    ServiceView view;
    std::vector<uint64_t> words;
    Ranking ranking;
};

TEST(Ranking, QuotientsAreExact) {
    for (uint64_t weight = 1; weight < 300; ++weight)
        for (int bits = 0; bits < 62; ++bits)
            for (int64_t off = -2; off <= 2; ++off) {
                // Around multiples of the weight and powers of two, where rounding would show.
                const uint64_t power = uint64_t(1) << bits;
                for (const int64_t n :
                     {int64_t(power) + off, int64_t(power / weight * weight) + off})
                    ASSERT_EQ(quotient(n, uint32_t(weight), 0), n < 0 ? 0 : uint64_t(n) / weight)
                        << n << " / " << weight;
            }
}

TEST(Ranking, ChoosesWhatAScanOfTheListChooses) {
    Random random(1);
    const std::vector<uint32_t> choices[] = {
        {1}, {0, 1, 2, 3}, {1, 7, 255, 256, 257, 65535}, {65533, 65534, 65535}, {0, 100, 200}};
    for (const Scheduler& s : schedulers()) {
        if (s.rank == nullptr) continue;
        for (int round = 0; round < 40; ++round) {
            std::vector<uint32_t> weights(1 + random() % (round == 0 ? 1500 : 40));
            const auto& some = choices[random() % std::size(choices)];
            for (uint32_t& w : weights) w = some[random() % some.size()];
            Ranked list(s.name, weights);
            for (int step = 0; step < 200; ++step) {
                const uint32_t want = list.pick(false);
                ASSERT_EQ(list.pick(true), want) << s.name << ' ' << round << ' ' << step;
                const bool chosen = want != kNoBackend && random() % 4;
                const auto i = uint32_t(chosen ? want : random() % weights.size());
                Load& load = list.loads[i];
                if (chosen || load.total == 0)
                    ++load.active, ++load.total;
                else if (load.active > 0 && random() % 2)
                    --load.active;
                else
                    --load.total, load.active = std::min(load.active, load.total);
                if (random() % 20 == 0) list.full[i] = !list.full[i];
                list.ranking.set(i, list.key(i));
            }
        }
    }
}

TEST(Ranking, ABusierTargetThanAnybodyCanBeIsStillIn) {
    for (const uint32_t weight : {1u, 65535u}) {
        Ranked list("lc", {weight, weight, weight});
        const auto set = [&](uint32_t i, int64_t active) {
            list.loads[i] = {active, active};
            list.ranking.set(i, list.key(i));
        };
        for (uint32_t i = 0; i < 3; ++i) set(i, int64_t(1) << 54);
        EXPECT_EQ(list.pick(true), 0u) << "all equal";
        set(2, 5);
        EXPECT_EQ(list.pick(true), 2u);
        list.full = {1, 0, 1};
        for (uint32_t i = 0; i < 3; ++i) list.ranking.set(i, list.key(i));
        EXPECT_EQ(list.pick(true), 1u) << "the only one";
        list.full = {1, 1, 1};
        list.ranking.set(1, list.key(1));
        EXPECT_EQ(list.pick(true), kNoBackend);
    }
}

// However the slots are dealt to lists, all of their rankings find room.
TEST(Ranking, RoomIsForEveryListThatTheSlotsCanMake) {
    Random random(3);
    for (int round = 0; round < 1000; ++round) {
        const size_t slots = 1 + random() % 300;
        size_t left = slots, words = 0;
        while (left != 0) {
            const size_t targets = 1 + random() % std::min<size_t>(left, 1 + random() % 70);
            const Ranking::Shape shape(targets, uint32_t(random() % 33));
            EXPECT_EQ(shape.words() % 2, 0u) << "aligned";
            words += shape.words();
            left -= targets;
        }
        ASSERT_LE(words, Ranking::room_for(slots));
    }
}

// Quotients by any two weights of 16 bits keep their order, and equal ones stay equal.
TEST(Ranking, KeysCompareLikeCrossMultiplication) {
    Random random(2);
    const uint32_t shift = rank_shift(65535);
    int equal = 0;
    for (int i = 0; i < 200000; ++i) {
        const uint32_t common = 1 + uint32_t(random() % 200);
        const uint32_t w1 = std::min<uint32_t>(65535, common * uint32_t(1 + random() % 400)),
                       w2 = std::min<uint32_t>(65535, common * uint32_t(1 + random() % 400));
        const int64_t o1 = int64_t(random() % (1u << 24));
        const int64_t o2 = i % 2 ? int64_t(random() % (1u << 24)) : o1 * w2 / w1 + int64_t(i % 3);
        if (o2 >> 32) continue;
        const auto k1 = quotient(o1, w1, shift), k2 = quotient(o2, w2, shift);
        ASSERT_EQ(k1 < k2, o1 * w2 < o2 * w1) << o1 << '/' << w1 << ' ' << o2 << '/' << w2;
        ASSERT_EQ(k1 == k2, o1 * w2 == o2 * w1);
        equal += k1 == k2;
    }
    EXPECT_GT(equal, 1000);
    EXPECT_LT(quotient(INT64_MAX, 1, shift), kOut) << "the busiest is still in";
    EXPECT_EQ(quotient(-5, 1, shift), 0u);
}

TEST(Twos, DrawsByWeightAndTakesTheLessLoaded) {
    Rig rig("twos");
    rig.add({1, 2, 3, 0});
    std::map<char, int> first;
    for (int i = 0; i < 60000; ++i) {
        rig.loads.clear();
        ++first[rig.connect()];
    }
    // Without load the first drawn is taken. A number from 0 to 6 is drawn, both included, so that
    // the first of the list has one chance more than its weight, as in the kernel.
    EXPECT_NEAR(first['A'], 60000 / 7, 600);
    EXPECT_NEAR(first['B'], 60000 * 2 / 7, 800);
    EXPECT_NEAR(first['C'], 60000 * 4 / 7, 1000);
    EXPECT_EQ(first['D'], 0);
    EXPECT_EQ(first['-'], 0);

    Rig busy("twos");
    busy.add({1, 1});
    busy.loads[0] = {1000, 1000};
    int chosen = 0;
    for (int i = 0; i < 1000; ++i) chosen += busy.connect() == 'A';
    EXPECT_NEAR(chosen, 111, 50) << "only when it is drawn twice";
}

struct Localized : Rig {
    explicit Localized(std::string_view name) : Rig(name) {
        cursor.service = 1;
        cursor.locality = &memory;
    }
    char to(const char* destination, uint32_t now = 100) {
        return connect({.virtual_address = *parse_address(destination), .now = now});
    }
    Locality memory = Locality::create();
};

TEST(Locality, ADestinationKeepsItsServerUntilThatIsOverloaded) {
    Localized lblc("lblc");
    lblc.add({2, 2});
    EXPECT_EQ(lblc.to("192.0.2.1"), 'B');
    EXPECT_EQ(lblc.to("192.0.2.1"), 'B');
    EXPECT_EQ(lblc.to("192.0.2.1"), 'B') << "two active are not more than its weight";
    EXPECT_EQ(lblc.to("192.0.2.1"), 'A') << "three are, and A has fewer than half of its own";
    EXPECT_EQ(lblc.to("192.0.2.1"), 'A') << "moved";
    EXPECT_EQ(lblc.to("192.0.2.2"), 'A') << "another destination: wlc";
    lblc.list.edit(0, 0);
    EXPECT_EQ(lblc.to("192.0.2.1"), 'B') << "a quiesced server keeps nobody";
}

TEST(Locality, AMemoryThatIsNotUsedEnds) {
    Localized lblc("lblc");
    lblc.add({9, 9});
    EXPECT_EQ(lblc.to("192.0.2.1", 100), 'B');
    EXPECT_EQ(lblc.to("192.0.2.1", 100 + 86399), 'B');
    EXPECT_EQ(lblc.to("192.0.2.1", 100 + 2 * 86399), 'B');
    EXPECT_EQ(lblc.to("192.0.2.1", 100 + 3 * 86399 + 1), 'A') << "forgotten: wlc";
}

TEST(Locality, ASetGrowsByOverloadAndShrinksWithTime) {
    Localized lblcr("lblcr");
    lblcr.add({1, 1});
    EXPECT_EQ(lblcr.to("192.0.2.1"), 'B');
    EXPECT_EQ(lblcr.to("192.0.2.1"), 'B');
    EXPECT_EQ(lblcr.to("192.0.2.1"), 'A') << "added";
    EXPECT_EQ(lblcr.to("192.0.2.1"), 'A') << "the least loaded of both";
    lblcr.loads.clear();
    lblcr.loads[0] = {1, 1};
    EXPECT_EQ(lblcr.to("192.0.2.1", 50000), 'B') << "the least loaded of both";
    lblcr.to("192.0.2.1", 100 + 86400);
    Local* set = lblcr.memory.find(1, *parse_address("192.0.2.1"), 100 + 86400, 86400 * 2);
    ASSERT_NE(set, nullptr);
    EXPECT_EQ(set->size, 2u) << "a day old, not more";
    lblcr.to("192.0.2.1", 101 + 86400);
    EXPECT_EQ(set->size, 1u) << "the most loaded one went";
}

TEST(Locality, ServicesAndManyDestinationsDoNotDisturbEachOther) {
    Locality memory = Locality::create();
    for (uint32_t i = 0; i < 4096; ++i)
        memory.make(1, Address::v4(be32::from_host(i)), 1)->add(i, 1);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < 4096; ++i) {
        const Address a = Address::v4(be32::from_host(i));
        EXPECT_EQ(memory.find(2, a, 1, 100), nullptr);
        const Local* l = memory.find(1, a, 1, 100);
        kept += l != nullptr && l->backends[0] == i;
    }
    EXPECT_GT(kept, 3900u);
    Local l;
    for (uint32_t b = 0; b < 20; ++b) l.add(b, 7);
    EXPECT_EQ(l.size, Local::kMost);
    EXPECT_EQ(l.backends[0], 19u);
    l.drop(0);
    EXPECT_EQ(l.backends[0], 18u);
    EXPECT_EQ(l.size, Local::kMost - 1);
}

}  // namespace
}  // namespace torii::scheduler
