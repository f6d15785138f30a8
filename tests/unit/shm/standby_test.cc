#include "dataplane/shm/standby.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/support/temporary_directory.h"

namespace torii::shm {
namespace {

using testing::HasSubstr;

Address numbered(uint32_t n) { return Address::v4(be32::from_host(0x0a000000 + n)); }

struct Table : testing::Test {
    test::TemporaryDirectory directory;
    Location location{directory.path() + "/edge1"};
    Mapping map{std::move(*open_standby(location))};
    StandbyTable& table{standby_of(map)};
};

TEST_F(Table, IsEmptyWhenMadeAndTheSameForBothDaemons) {
    Standby mine;
    mine.follow(table);
    EXPECT_FALSE(mine.any());
    EXPECT_FALSE(mine.covers(numbered(1)));
    const Mapping other = std::move(*open_standby(location));
    write(standby_of(other), Standby({numbered(3), numbered(1), numbered(3)}));
    mine.follow(table);
    EXPECT_TRUE(mine.any());
    EXPECT_TRUE(mine.covers(numbered(1)));
    EXPECT_FALSE(mine.covers(numbered(2)));
    EXPECT_TRUE(mine.covers(numbered(3)));
    write(table, Standby::of_everything());
    mine.follow(table);
    EXPECT_TRUE(mine.any());
    EXPECT_TRUE(mine.covers(numbered(2)));
    EXPECT_TRUE(mine.covers(*parse_address("2001:db8::1")));
    write(table, {});
    mine.follow(table);
    EXPECT_FALSE(mine.any());
    EXPECT_FALSE(mine.covers(numbered(1)));
}

TEST_F(Table, HasRoomForSoManyAndNoMore) {
    std::vector<Address> all;
    for (uint32_t n = 0; n < kMaxStandby + 2; ++n) all.push_back(numbered(n));
    write(table, Standby(all));
    Standby mine;
    mine.follow(table);
    EXPECT_TRUE(mine.covers(numbered(kMaxStandby - 1)));
    EXPECT_FALSE(mine.covers(numbered(kMaxStandby)));
    table.count = ~0u;  // whatever a stranger wrote
    table.version += 2;
    mine.follow(table);
    EXPECT_TRUE(mine.covers(numbered(kMaxStandby - 1)));
    EXPECT_FALSE(mine.covers(numbered(kMaxStandby)));
}

TEST_F(Table, AWriterThatDiedHalfWayChangesNothingUntilTheNextOne) {
    write(table, Standby({numbered(1)}));
    Standby mine;
    mine.follow(table);
    ++table.version;
    table.count = 0;
    mine.follow(table);
    EXPECT_TRUE(mine.covers(numbered(1)));
    write(table, Standby({numbered(2)}));
    mine.follow(table);
    EXPECT_TRUE(mine.covers(numbered(2)));
    EXPECT_FALSE(mine.covers(numbered(1)));
}

TEST_F(Table, TruncatedAndForeignOnesAreRefusedBySentence) {
    const std::string path = location.path("standby");
    std::filesystem::resize_file(path, 4096);
    EXPECT_THAT(open_standby(location).error().message, HasSubstr("truncated: 4096 bytes"));
    std::filesystem::resize_file(path, 0);
    std::ofstream(path) << std::string(100'000, 'x');
    EXPECT_THAT(open_standby(location).error().message, HasSubstr("not a torii object"));
}

// Written lists are runs of one length each: 1, or 2 and 2, ... so that a torn one is seen.
TEST_F(Table, NobodySeesHalfOfIt) {
    constexpr uint32_t kLists = 20'000, kLongest = 16;
    std::atomic<bool> done = false;
    uint64_t torn = 0, changes = 0;
    std::thread reader([&] {
        Standby mine;
        uint32_t last = 0;
        while (!done) {
            mine.follow(table);
            uint32_t length = 0;
            for (uint32_t n = 1; n <= kLongest; ++n)
                if (mine.covers(numbered(n * 100))) length = n;
            for (uint32_t i = 0; i < length; ++i) torn += !mine.covers(numbered(length * 100 + i));
            torn += mine.any() && (length == 0 || mine.covers(numbered(length * 100 + length)));
            changes += length != last;
            last = length;
            std::this_thread::yield();
        }
    });
    for (uint32_t n = 0; n < kLists; ++n) {
        const uint32_t length = 1 + n % kLongest;
        std::vector<Address> list;
        for (uint32_t i = 0; i < length; ++i) list.push_back(numbered(length * 100 + i));
        write(table, Standby(list));
        if (n % 8 == 0) std::this_thread::yield();
    }
    done = true;
    reader.join();
    EXPECT_EQ(torn, 0u);
    EXPECT_GT(changes, 10u) << "the reader has to have seen some";
}

}  // namespace
}  // namespace torii::shm
