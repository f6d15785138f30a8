// Where the table lies, and what is refused.

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "dataplane/flow/impl.h"
#include "tests/unit/flow/fixture.h"

namespace torii::flow::test {
namespace {

using testing::HasSubstr;

Options small() {
    Options o;
    o.capacity = 256;
    return o;
}

void expect_refused(Flows& f, const std::string& words) {
    const auto refused = f.open();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::layout) << refused.error().message;
    EXPECT_THAT(refused.error().message, HasSubstr(words));
    EXPECT_THAT(refused.error().message, HasSubstr(f.path()));
    f.options.fresh = true;
    EXPECT_TRUE(f.open()) << "--fresh-table starts all the same";
    EXPECT_FALSE(f.recovery.attached);
    EXPECT_TRUE(f.insert(tuple4(1)).created);
}

TEST(Storage, IsSixteenAndSixtyFourBytesAConnection) {
    EXPECT_NEAR(double(Table::bytes_for(1 << 20)) / (1 << 20), 80.0, 0.1);
    Flows f(small());
    EXPECT_EQ(std::filesystem::file_size(f.path()) / 4096, (Table::bytes_for(256) + 4095) / 4096);
    EXPECT_EQ(f.recovery.path, f.path());
    EXPECT_FALSE(f.recovery.huge_pages);
    EXPECT_FALSE(f.recovery.attached);
}

TEST(Storage, OddAndTinyCapacitiesAreRounded) {
    Options o = small();
    for (uint32_t capacity : {0u, 1u, 63u, 65u, 101u, 1000u, 1001u}) {
        o.capacity = capacity;
        Flows f(o);
        EXPECT_GE(f.table->capacity() + 1, capacity);
        EXPECT_EQ(f.table->count_free(), f.table->capacity());
        EXPECT_TRUE(f.open()) << "and the same configuration attaches again";
        EXPECT_TRUE(f.recovery.attached);
        uint32_t n = 0;
        while (f.insert(tuple4(n)).created) ++n;
        EXPECT_GE(n, f.table->capacity() * 9 / 10);
    }
}

TEST(Storage, RefusesATruncatedFile) {
    for (uint64_t size : {0u, 63u, 64u, 100u, 8191u, 20000u}) {
        Flows f(small());
        f.table.reset();
        std::filesystem::resize_file(f.path(), size);
        expect_refused(f, size < 64 ? "too short" : "truncated");
    }
}

TEST(Storage, RefusesAForeignFile) {
    Flows f(small());
    f.table.reset();
    std::filesystem::remove(f.path());
    std::ofstream(f.path()) << std::string(100000, 'x');
    expect_refused(f, "not a torii object");
}

TEST(Storage, RefusesAnotherKindAndAnotherLayout) {
    for (int which : {0, 1, 2}) {
        Flows f(small());
        f.table.reset();
        {
            Raw raw(f.path());
            if (which == 0) raw.header->header.kind = shm::Kind::events;
            if (which == 1) ++raw.header->header.layout_hash;
            if (which == 2) ++raw.header->header.layout_version;
        }
        expect_refused(f, which == 0 ? "holds a" : "layout");
    }
}

TEST(Storage, RefusesDimensionsThatDoNotFit) {
    for (int which : {0, 1, 2, 3, 4}) {
        Flows f(small());
        f.table.reset();
        {
            Raw raw(f.path());
            if (which == 0) raw.header->capacity = 0xfffffff0u;
            if (which == 1) raw.header->buckets += 1;
            if (which == 2) raw.header->cells_offset += 64;
            if (which == 3) raw.header->buckets_offset = 0;
            if (which == 4) raw.header->capacity = 3;
        }
        EXPECT_FALSE(Reader::open(f.path()) && which != 3 && which != 1);
        expect_refused(f, "do not fit");
    }
}

TEST(Storage, RefusesAnotherCapacityInWordsThatHelp) {
    Flows f(small());
    f.insert(tuple4(1));
    f.options.capacity = 512;
    expect_refused(f,
                   "the table has 256 entries, the configuration says 512: start with "
                   "--fresh-table or restore the key");
}

TEST(Storage, AKilledCreationLeavesNothingInTheWay) {
    Flows f(small());
    f.table.reset();
    std::filesystem::rename(f.path(), f.path() + ".new");
    std::filesystem::resize_file(f.path() + ".new", 5000);
    EXPECT_TRUE(f.open());
    EXPECT_FALSE(f.recovery.attached);
    EXPECT_FALSE(std::filesystem::exists(f.path() + ".new"));
}

TEST(Storage, TooLargeForMemoryIsAnErrorThatLeavesNothingBehind) {
    Flows f(small());
    f.table.reset();
    std::filesystem::remove(f.path());
    f.options.capacity = 0xf0000000u;
    const auto refused = f.open();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::full);
    EXPECT_THAT(refused.error().message, HasSubstr("lower dataplane.connections"));
    EXPECT_FALSE(std::filesystem::exists(f.path()));
    EXPECT_FALSE(std::filesystem::exists(f.path() + ".new"));
}

TEST(Storage, NeedsCountersForEveryWorker) {
    Flows f(small());
    f.table.reset();
    for (uint32_t workers : {0u, 2u, 65u}) {
        Options o = f.options;
        o.workers = workers;
        const auto refused = Table::open(f.where, o, f.counters, 1000, f.recovery);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::invalid);
    }
}

TEST(Storage, FindsTheMountOfHugePages) {
    torii::test::TemporaryDirectory d;
    const std::string mounts = d.path() + "/mounts";
    EXPECT_EQ(find_hugetlbfs(mounts), "");
    std::ofstream(mounts) << "tmpfs /dev/shm tmpfs rw 0 0\n"
                             "hugetlbfs /dev/giant hugetlbfs rw,relatime,pagesize=1024M 0 0\n"
                             "hugetlbfs /dev/hugepages hugetlbfs rw,relatime,pagesize=2M 0 0\n";
    EXPECT_EQ(find_hugetlbfs(mounts), "/dev/hugepages");
}

TEST(Storage, HugePagesAreUsedRequiredOrAvoided) {
    Flows f(small());
    f.table.reset();
    std::filesystem::remove(f.path());
    f.options.mounts = f.directory.path() + "/mounts";
    std::ofstream(f.options.mounts) << "";

    f.options.huge_pages = HugePages::require;
    auto refused = f.open();
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("no hugetlbfs with 2M pages is mounted"));
    EXPECT_FALSE(std::filesystem::exists(f.path()));

    f.options.huge_pages = HugePages::automatic;
    ASSERT_TRUE(f.open());
    EXPECT_FALSE(f.recovery.huge_pages);
    EXPECT_EQ(f.recovery.path, f.path());
}

TEST(Storage, ATableOnTheOtherKindOfPagesIsFoundFirst) {
    // An ordinary directory stands for the hugetlbfs: what is tested is which file is taken.
    Flows f(small());
    f.insert(tuple4(1));
    f.table.reset();
    const std::string mount = f.directory.path() + "/huge";
    std::filesystem::create_directory(mount);
    f.options.mounts = f.directory.path() + "/mounts";
    std::ofstream(f.options.mounts) << "hugetlbfs " << mount << " hugetlbfs rw,pagesize=2M 0 0\n";

    for (HugePages h : {HugePages::automatic, HugePages::require}) {
        f.options.huge_pages = h;
        ASSERT_TRUE(f.open());
        EXPECT_TRUE(f.recovery.attached);
        EXPECT_FALSE(f.recovery.huge_pages);
        EXPECT_NE(f.find(tuple4(1)), kNone);
        f.table.reset();
    }
    // Its name there says the instance, and where it comes from.
    std::string there;
    for (const char* name : {"torii-test-connections"}) there = mount + "/" + name;
    char hash[16];
    uint64_t h = 0xcbf29ce484222325u;
    for (const char c : f.directory.path()) h = (h ^ uint8_t(c)) * 0x100000001b3u;
    std::snprintf(hash, sizeof hash, "%08x", uint32_t(h ^ (h >> 32)));
    there = mount + "/torii-test-" + hash + "-connections";
    std::filesystem::rename(f.path(), there);
    f.options.huge_pages = HugePages::never;
    ASSERT_TRUE(f.open());
    EXPECT_TRUE(f.recovery.attached);
    EXPECT_TRUE(f.recovery.huge_pages);
    EXPECT_EQ(f.recovery.path, there);
    EXPECT_NE(f.find(tuple4(1)), kNone);
    f.options.fresh = true;
    ASSERT_TRUE(f.open());
    EXPECT_FALSE(std::filesystem::exists(there));
    EXPECT_EQ(f.recovery.path, f.path());
}

TEST(Reader, ListsInPiecesAndStopsWhenTold) {
    Flows f(small());
    for (uint32_t i = 0; i < 20; ++i) {
        f.insert(tuple4(i));
        f.insert(tuple6(i));
    }
    auto reader = Reader::open(f.path());
    ASSERT_TRUE(reader);
    EXPECT_EQ(reader->capacity(), 256u);
    EXPECT_EQ(reader->buckets(), 64u);
    EXPECT_EQ(reader->used(), 60u);
    uint32_t seen = 0, pieces = 0;
    for (uint32_t at = 0; at < reader->capacity(); ++pieces)
        at = reader->some(at, 7, [&](const Listed& l) {
            EXPECT_EQ(l.backend, 3u);
            EXPECT_EQ(l.service_slot, 2u);
            EXPECT_EQ(l.word.expiry, 5000u);
            return ++seen != 0;
        });
    EXPECT_EQ(seen, 40u);
    EXPECT_EQ(pieces, (256 + 6) / 7);
    EXPECT_EQ(reader->some(1000, 5, [](const Listed&) { return true; }), 256u);
    seen = 0;
    reader->each([&](const Listed&) { return ++seen != 5; });
    EXPECT_EQ(seen, 5u);
    EXPECT_EQ(Reader::open("/nonexistent").error().code, Errc::not_found);
}

TEST(Reader, TheClockRuns) {
    const Tick a = tick_now();
    EXPECT_GT(a, 0u);
    EXPECT_LE(a, tick_now());
}

}  // namespace
}  // namespace torii::flow::test
