// The connection table against a model that is a map: random operations, random time.

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <tuple>

#include "tests/unit/flow/fixture.h"

namespace torii::flow::test {
namespace {

struct Shape {
    const char* name;
    uint32_t capacity;
    bool constant_hash;
    uint32_t clients;  ///< tuples in play
    uint32_t workers;
    bool reopen;
};
void PrintTo(const Shape& s, std::ostream* out) { *out << s.name; }

using Key = std::tuple<bool, uint32_t, uint32_t>;  // family, client, service

class FlowModel : public testing::TestWithParam<Shape> {
protected:
    static Tuple tuple_of(const Key& k) {
        const auto [six, client, service] = k;
        Tuple t = six ? tuple6(client) : tuple4(client, 40000, service);
        if (six) t.virtual_address.bytes[15] = uint8_t(service);
        t.backend_address.bytes[15] = uint8_t(service + 1);
        t.backend_address.bytes[14] = uint8_t(client);
        t.backend_address.bytes[13] = uint8_t(client >> 8);
        return t;
    }
};

TEST_P(FlowModel, AgreesWithAMap) {
    const Shape shape = GetParam();
    Options o;
    o.capacity = shape.capacity;
    o.constant_hash = shape.constant_hash;
    o.workers = shape.workers;
    Flows f(o);
    std::mt19937 random(7);
    std::map<Key, Word> model;
    Tick now = 1000;
    uint64_t full = 0, recycled = 0, expired = 0, removed = 0, found = 0;
    // After a recycling the model looks which one went; it must be a half-open one.
    const auto forget_recycled = [&] {
        uint32_t gone = 0;
        for (auto i = model.begin(); i != model.end();) {
            if (f.find(tuple_of(i->first)) != kNone) {
                ++i;
                continue;
            }
            EXPECT_EQ(i->second.state, uint8_t(TcpState::syn_recv));
            i = model.erase(i);
            ++gone;
        }
        return gone;
    };
    for (int n = 0; n < 40000 && !HasFailure(); ++n) {
        const uint32_t w = random() % shape.workers;
        const Key key{random() % 3 == 0, random() % shape.clients, random() % 3};
        const Tuple t = tuple_of(key);
        const auto known = model.find(key);
        const uint32_t entry = f.find(t, w);
        ASSERT_EQ(entry != kNone, known != model.end()) << "operation " << n;
        if (entry != kNone) {
            ++found;
            ASSERT_EQ(f.word(entry), known->second);
            ASSERT_TRUE(f[w].tuple(entry) == t);
            ASSERT_EQ(f.find_reply(t, w), entry);
        }
        switch (random() % 8) {
            case 0:
            case 1:
            case 2: {
                const auto state = random() % 4 == 0 ? TcpState::syn_recv : TcpState::established;
                const uint16_t flags = random() % 2 ? kInactive : 0;
                const auto made =
                    f.insert(Flows::entry(t, now + 1 + random() % 600, state, flags), now, w);
                ASSERT_EQ(made.created, known == model.end() && made.entry != kFull);
                if (made.recycled) {
                    ++recycled;
                    ASSERT_EQ(forget_recycled(), 1u);
                    ASSERT_EQ(model.erase(key), 0u);
                }
                if (made.entry == kFull) ++full;
                if (made.created) model[key] = f.word(made.entry);
                break;
            }
            case 3:
                if (entry == kNone) break;
                ASSERT_TRUE(f[w].remove(entry));
                model.erase(known);
                ++removed;
                break;
            case 4:
            case 5: {
                if (entry == kNone) break;
                Word next = known->second;
                next.expiry = now + 1 + random() % (random() % 2 ? 4 : 900);
                next.state = uint8_t(random() % 2 ? TcpState::established : TcpState::fin_wait);
                if (random() % 2) next.flags ^= kInactive;
                ASSERT_TRUE(f[w].update(entry, known->second, next, now));
                known->second = next;
                break;
            }
            case 6:
                now += random() % 3;
                for (uint32_t v = 0; v < shape.workers; ++v) {
                    f[v].expire(now, 10000);
                    f[v].quiescent();
                }
                for (uint32_t v = 0; v < shape.workers; ++v) f[v].expire(now, 10000);
                for (auto i = model.begin(); i != model.end();) {
                    // On time or one tick late.
                    const bool there = f.find(tuple_of(i->first)) != kNone;
                    ASSERT_TRUE(there || i->second.expiry <= now);
                    ASSERT_TRUE(!there || i->second.expiry + 1 >= now);
                    expired += !there;
                    i = there ? std::next(i) : model.erase(i);
                }
                break;
            case 7:
                f[w].quiescent();
                if (random() % 8 == 0) f.table->housekeeping();
                if (shape.reopen && random() % 100 == 0) {
                    ASSERT_TRUE(f.open(now));
                    for (auto i = model.begin(); i != model.end();)
                        i = i->second.expiry <= now ? model.erase(i) : std::next(i);
                    ASSERT_EQ(f.recovery.kept, model.size());
                    ASSERT_EQ(f.recovery.orphaned + f.recovery.half_written, 0u);
                }
                break;
        }
        if (n % 1000 == 0) {
            int64_t active = 0, inactive = 0;
            uint64_t cells = 0;
            for (const auto& [k, word] : model) {
                ++(word.flags & kInactive ? inactive : active);
                cells += std::get<0>(k) ? 2 : 1;
            }
            ASSERT_EQ(f.sum(&shm::Row::active), active);
            ASSERT_EQ(f.sum(&shm::Row::inactive), inactive);
            ASSERT_EQ(f.table->used(), cells);
            ASSERT_EQ(f.listed(), model.size());
            ASSERT_EQ(f.table->count_free() + cells, f.table->capacity());
        }
    }
    EXPECT_GT(expired, 100u);
    EXPECT_GT(removed, 100u);
    EXPECT_GT(found, 1000u);
    const bool tight =
        shape.clients * 6 > std::min(shape.capacity, shape.constant_hash ? 256 : ~0u);
    EXPECT_EQ(full + recycled != 0, tight);
}

INSTANTIATE_TEST_SUITE_P(Shapes, FlowModel,
                         testing::Values(Shape{"roomy", 4096, false, 200, 2, false},
                                         Shape{"tiny", 64, false, 100, 1, false},
                                         Shape{"two_share_tiny", 128, false, 100, 2, false},
                                         Shape{"constant_hash", 4096, true, 30, 2, false},
                                         Shape{"constant_hash_full", 4096, true, 200, 2, false},
                                         Shape{"reopened", 4096, false, 200, 3, true},
                                         Shape{"reopened_constant", 1024, true, 40, 2, true}),
                         [](const auto& shape) { return std::string(shape.param.name); });

}  // namespace
}  // namespace torii::flow::test
