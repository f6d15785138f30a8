#include "dataplane/shm/object.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "dataplane/shm/control_block.h"
#include "dataplane/shm/counters.h"
#include "dataplane/shm/events.h"
#include "tests/support/temporary_directory.h"

namespace torii::shm {
namespace {

using testing::HasSubstr;

struct Objects : testing::Test {
    test::TemporaryDirectory directory;
    Location location{directory.path() + "/shm/edge1"};

    void overwrite(const std::string& path, size_t offset, const std::string& bytes) {
        std::fstream f(path, std::ios::in | std::ios::out | std::ios::binary);
        f.seekp(std::streamoff(offset));
        f.write(bytes.data(), std::streamsize(bytes.size()));
        ASSERT_TRUE(f.good());
    }
};

TEST_F(Objects, ControlBlockIsCreatedOnceAndShared) {
    auto first = open_control(location);
    ASSERT_TRUE(first) << first.error().message;
    auto second = open_control(location);
    ASSERT_TRUE(second);
    control_of(*first).services_generation = 42;
    EXPECT_EQ(control_of(*second).services_generation, 42u);
}

TEST_F(Objects, TruncatedForeignAndCorruptControlBlocksAreRefusedBySentence) {
    const std::string path = location.path("control");
    ASSERT_TRUE(open_control(location));
    std::filesystem::resize_file(path, 10);
    EXPECT_THAT(open_control(location).error().message, HasSubstr("too short"));
    overwrite(path, 0, std::string(2048, 'x'));
    EXPECT_THAT(open_control(location).error().message, HasSubstr("not a torii object"));

    std::filesystem::remove(path);
    ASSERT_TRUE(open_control(location));
    std::filesystem::resize_file(path, 2048);
    EXPECT_THAT(open_control(location).error().message, HasSubstr("truncated: 2048 bytes"));
    std::filesystem::resize_file(path, 4096);
    overwrite(path, offsetof(ObjectHeader, layout_hash), "x");
    EXPECT_THAT(open_control(location).error().message, HasSubstr("another layout"));
    overwrite(path, offsetof(ObjectHeader, layout_version), "\x09");
    EXPECT_THAT(open_control(location).error().message, HasSubstr("layout version 9"));
    overwrite(path, offsetof(ObjectHeader, kind), "\x02");
    EXPECT_THAT(open_control(location).error().message,
                HasSubstr("holds a services generation, not a control block"));
}

TEST_F(Objects, ImmutableObjectsAreReplacedWholeAndNoticeOneFlippedBit) {
    ASSERT_TRUE(location.create());
    const std::string path = location.generation("services", 7);
    std::vector<std::byte> content(1000, std::byte{5});
    ASSERT_TRUE(write_immutable(path, Kind::services, 1, content));
    auto m = Mapping::open(path, Mapping::Access::read_only);
    ASSERT_TRUE(m);
    EXPECT_TRUE(verify(*m, Kind::services, 1, path, true));
    overwrite(path, 999, "\x04");
    EXPECT_THAT(verify(*m, Kind::services, 1, path, true).error().message, HasSubstr("checksum"));
    EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
}

TEST_F(Objects, CountersKeepTheirValuesOnlyWithTheSameDimensions) {
    auto a = Counters::create(location, 2, 8, 16);
    ASSERT_TRUE(a) << a.error().message;
    Counters counters(a->data());
    counters.worker(1).received.add(5);
    counters.backends(1)[15].in_packets.add(9);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(counters.backends(1)) % 64, 0u);
    auto again = Counters::create(location, 2, 8, 16);
    EXPECT_EQ(Counters(again->data()).worker(1).received.get(), 5u);
    EXPECT_EQ(Counters(again->data()).backends(1)[15].in_packets.get(), 9u);
    EXPECT_EQ(Counters(Counters::open(location)->data()).workers(), 2u);
    auto other = Counters::create(location, 3, 8, 16);
    EXPECT_EQ(Counters(other->data()).worker(1).received.get(), 0u);
}

TEST_F(Objects, LastRowOfTheLastWorkerEndsWithTheObject) {
    auto m = Counters::create(location, 3, 5, 7);
    Counters c(m->data());
    EXPECT_EQ(reinterpret_cast<std::byte*>(c.backends(2) + 7), m->data() + m->size());
}

TEST_F(Objects, EventRingRefusesWhenFullAndKeepsOrder) {
    auto m = create_events(location, 2);
    ASSERT_TRUE(m) << m.error().message;
    EventRing& ring = ring_of(*m, 1);
    Event e{EventKind::neighbour_wanted, 0, {}, {}};
    for (uint32_t i = 0; i < kEventSlots; ++i) {
        e.ifindex = i;
        ASSERT_TRUE(ring.push(e));
    }
    EXPECT_FALSE(ring.push(e));
    auto reader = open_events(location);
    ASSERT_TRUE(reader);
    for (uint32_t i = 0; i < kEventSlots; ++i) {
        ASSERT_TRUE(ring_of(*reader, 1).pop(e));
        EXPECT_EQ(e.ifindex, i);
    }
    EXPECT_FALSE(ring_of(*reader, 1).pop(e));
    EXPECT_TRUE(ring.push(e));
}

TEST_F(Objects, LockTellsWhetherItsHolderLives) {
    EXPECT_FALSE(Lock::held(location, "toriid"));
    {
        auto lock = Lock::acquire(location, "toriid");
        ASSERT_TRUE(lock);
        EXPECT_TRUE(Lock::held(location, "toriid"));
        EXPECT_THAT(Lock::acquire(location, "toriid").error().message,
                    HasSubstr("another toriid runs"));
    }
    EXPECT_FALSE(Lock::held(location, "toriid"));
}

TEST_F(Objects, LockWaitsForAHolderThatIsAboutToGo) {
    auto lock = Lock::acquire(location, "toriid");
    ASSERT_TRUE(lock);
    std::thread goes([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        Lock ended = std::move(*lock);
    });
    EXPECT_TRUE(Lock::acquire(location, "toriid", std::chrono::seconds(20)));
    goes.join();
}

TEST_F(Objects, AnImpossibleSizeIsAnErrorAndLeavesNoFile) {
    ASSERT_TRUE(location.create());
    const std::string path = location.path("counters");
    EXPECT_FALSE(Mapping::create(path, uint64_t(1) << 50));
    EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace torii::shm
