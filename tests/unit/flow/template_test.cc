// Persistence templates in the table, and the counts that schedulers follow.

#include <gtest/gtest.h>

#include "tests/unit/flow/fixture.h"

namespace torii::flow::test {
namespace {

constexpr Tick kSecond = kTicksPerSecond;

Tuple template_of(uint32_t client) { return tuple4(client, 0); }

NewEntry template_entry(const Tuple& t, uint32_t timeout, Tick now = 1000) {
    NewEntry e = Flows::entry(t, now + timeout * kSecond, TcpState::none, kTemplate);
    e.timeout = timeout;
    return e;
}

struct Templates : Flows {
    Templates() : Flows() {
        made = insert(template_entry(template_of(1), 10));
        EXPECT_TRUE(made.created);
    }
    Table::Worker& worker() { return (*this)[0]; }
    uint32_t find_template(uint32_t client = 1) {
        const Tuple t = template_of(client);
        return worker().find_template(t, hash(t));
    }
    Table::Worker::Inserted child(uint16_t port, Tick now, Tick expiry) {
        EXPECT_TRUE(worker().hold(made.entry, now));
        NewEntry e = entry(tuple4(1, port), expiry);
        e.control = made.entry;
        return insert(e, now);
    }
    Word word() { return Word::unpack(worker().head(made.entry).word.load()); }
    void pass(Tick now) {
        worker().expire(now, 1000);
        worker().quiescent();
    }
    Table::Worker::Inserted made;
};

TEST(Template, IsFoundAsOneAndNeverByAPacket) {
    Templates f;
    EXPECT_EQ(f.find_template(), f.made.entry);
    EXPECT_EQ(f.find_template(2), kNone);
    EXPECT_EQ(f.find(template_of(1)), kNone) << "a packet from port 0 is another matter";
    const auto packet = f.insert(template_of(1));
    EXPECT_TRUE(packet.created);
    EXPECT_EQ(f.find(template_of(1)), packet.entry);
    EXPECT_EQ(f.find_template(), f.made.entry);
    EXPECT_FALSE(f.insert(template_entry(template_of(1), 10)).created) << "there is one";
    EXPECT_EQ(f.counters.backends(0)[3].persistent.get(), 1u);
    EXPECT_EQ(f.counters.backends(0)[3].connections.get(), 1u) << "templates do not count there";
}

TEST(Template, EndsWhenItsTimeHasComeAndAConnectionStartsThatAnew) {
    Templates f;
    EXPECT_TRUE(f.worker().hold(f.made.entry, 1020));
    EXPECT_EQ(f.word().expiry, 1020 + 10 * kSecond);
    f.worker().release(f.made.entry);
    f.pass(1020 + 10 * kSecond - 1);
    EXPECT_EQ(f.find_template(), f.made.entry);
    f.pass(1020 + 10 * kSecond);
    EXPECT_EQ(f.find_template(), kNone);
    EXPECT_FALSE(f.worker().hold(f.made.entry, 1100)) << "it has ended";
    EXPECT_EQ(f.counters.backends(0)[3].persistent.get(), 0u);
}

TEST(Template, WithConnectionsItGetsAnotherMinute) {
    Templates f;
    const Tick end = 1000 + 10 * kSecond, child_ends = end + 70 * kSecond;
    ASSERT_TRUE(f.child(5000, 1000, child_ends).created);
    f.pass(end);
    ASSERT_EQ(f.find_template(), f.made.entry);
    EXPECT_EQ(f.word().expiry, end + 60 * kSecond);
    f.pass(end + 60 * kSecond);
    EXPECT_EQ(f.word().expiry, end + 120 * kSecond) << "once more";
    f.pass(child_ends);
    EXPECT_EQ(f.find(tuple4(1, 5000)), kNone);
    ASSERT_TRUE(f.worker().hold(f.made.entry, child_ends));
    EXPECT_EQ(f.word().expiry, child_ends + 60 * kSecond) << "the shorter time stays, as in LVS";
    f.worker().release(f.made.entry);
    f.pass(child_ends + 60 * kSecond);
    EXPECT_EQ(f.find_template(), kNone);
}

TEST(Template, MadeVoidItLetsAnotherTakeItsPlace) {
    Templates f;
    ASSERT_TRUE(f.child(5000, 1000, 9000).created);
    f.worker().make_void(f.made.entry, 1000);
    EXPECT_EQ(f.find_template(), kNone);
    EXPECT_FALSE(f.worker().hold(f.made.entry, 1000));
    const auto other = f.insert(template_entry(template_of(1), 10));
    EXPECT_TRUE(other.created);
    EXPECT_EQ(f.find_template(), other.entry);
    std::vector<uint16_t> ports;
    const auto reader = Reader::open(f.path());
    ASSERT_TRUE(reader);
    reader->each([&](const Listed& l) {
        if (l.persistent) ports.push_back(l.tuple.virtual_port.host());
        return true;
    });
    std::ranges::sort(ports);
    EXPECT_EQ(ports, (std::vector<uint16_t>{80, 65535})) << "listed as LVS lists it";
}

TEST(Template, IsAssuredByOneOfItsConnections) {
    Templates f;
    const auto child = f.child(5000, 1000, 9000);
    EXPECT_EQ(f.word().state, 0);
    f.worker().assure(child.entry, 1000);
    EXPECT_EQ(f.word().state, 1);
    const auto alone = f.insert(tuple4(1, 6000));
    f.worker().assure(alone.entry, 1000);  // of no template: nothing to do
}

TEST(Template, RecoveryCountsItsConnectionsAgain) {
    Templates f;
    ASSERT_TRUE(f.child(5000, 1000, 9000).created);
    ASSERT_TRUE(f.worker().hold(f.made.entry, 1000));  // of a worker that is killed now
    ASSERT_TRUE(f.open(1000 + 20 * kSecond));
    const uint32_t entry = f.find_template();
    ASSERT_NE(entry, kNone) << "its time is over, but it has a connection";
    EXPECT_EQ(f.worker().cell4(entry).control.load(), 1u);
    EXPECT_EQ(f.counters.backends(0)[3].persistent.get(), 1u);
    ASSERT_TRUE(f.open(9000));
    EXPECT_EQ(f.find_template(), entry) << "not known to be alone before it is counted";
    EXPECT_EQ(f.worker().cell4(entry).control.load(), 0u);
    f.pass(9000 + 60 * kSecond + 1);
    EXPECT_EQ(f.find_template(), kNone);
}

TEST(Template, OfIPv6) {
    Flows f;
    const Tuple t = tuple6(1, 0);
    const auto made = f.insert(template_entry(t, 10));
    ASSERT_TRUE(made.created);
    EXPECT_EQ(f[0].find_template(t, f.hash(t)), made.entry);
    ASSERT_TRUE(f[0].hold(made.entry, 1000));
    EXPECT_EQ(f[0].cell6(made.entry).control.load(), 1u);
}

TEST(Touched, WatchedBackendsAreNamedOnceWhateverHappensToThem) {
    Flows f;
    std::vector<uint32_t> seen;
    const auto take = [&] {
        seen.clear();
        f[0].take_touched([&](uint32_t b) { seen.push_back(b); });
        return seen;
    };
    f.insert(tuple4(1));
    EXPECT_TRUE(take().empty()) << "nobody asked";
    f[0].watch(3);
    const auto a = f.insert(tuple4(2));
    f.insert(tuple4(3));
    EXPECT_EQ(take(), std::vector<uint32_t>{3});
    EXPECT_TRUE(take().empty());
    const Word live = Word::unpack(f[0].head(a.entry).word.load());
    Word later = live;
    later.expiry += 40;
    f[0].update(a.entry, live, later, 1000);
    EXPECT_TRUE(take().empty()) << "no count has changed";
    Word inactive = later;
    inactive.flags |= kInactive;
    f[0].update(a.entry, later, inactive, 1000);
    EXPECT_EQ(take(), std::vector<uint32_t>{3});
    f[0].remove(a.entry);
    EXPECT_EQ(take(), std::vector<uint32_t>{3});
    f[0].touch(3);
    f[0].touch(99);  // no slot
    EXPECT_EQ(take(), std::vector<uint32_t>{3});
}

}  // namespace
}  // namespace torii::flow::test
