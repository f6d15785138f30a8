// Sequences and tables measured on a running Linux 6.1.176. Servers A, B, C are added in that
// order; connections are never answered, so each stays active.

#include <gtest/gtest.h>

#include "tests/unit/scheduler/rig.h"

namespace torii::scheduler {
namespace {

struct Sequence {
    const char* scheduler;
    std::initializer_list<uint32_t> weights;
    const char* want;
};

TEST(Vectors, SequencesOfTheKernel) {
    const Sequence rows[] = {
        {"wrr", {3, 1}, "BAAABAAABAAABAAABAAA"},
        {"wrr", {4, 3, 2}, "CBAABACBACBAABACBACB"},
        {"wrr", {2, 2}, "BABABABABA"},
        {"wrr", {0, 2, 4}, "CBCCBCCBCCBC"},
        {"rr", {1, 1, 1}, "CBACBACBA"},
        {"rr", {7, 1, 3}, "CBACBACBA"},
        {"rr", {1, 0, 1}, "CACACA"},
        {"lc", {1, 2, 3}, "CBACBACBACBACBACBA"},
        {"lc", {3, 1, 2}, "CBACBACBACBACBACBA"},
        {"lc", {5, 0, 1}, "CACACACACACACACACA"},
        {"wlc", {1, 2, 3}, "CBACBCCBACBCCBACBC"},
        {"wlc", {3, 1, 2}, "CBAACACBAACACBAACA"},
        {"sed", {1, 2, 3}, "CBCCBACBCCBACBCCBA"},
        {"nq", {1, 2, 3}, "CBACCBCBCCBACBCCBA"},
        {"fo", {1, 2, 3}, "CCCCCC"},
        {"fo", {3, 1, 2}, "AAAAAA"},
        {"fo", {5, 0, 1}, "AAAAAA"},
        {"ovf", {1, 2, 3}, "CCCCBBBAA---------"},
        {"none", {1, 2, 3}, "---"},
    };
    for (const Sequence& r : rows) {
        Rig rig(r.scheduler);
        rig.add(r.weights);
        EXPECT_EQ(rig.connect_times(int(std::string_view(r.want).size())), r.want) << r.scheduler;
    }
}

TEST(Vectors, ThresholdTakesAServerOutWhileItIsFull) {
    Rig rig("rr");
    rig.add({1, 1});
    rig.upper[0] = 4;
    EXPECT_EQ(rig.connect_times(12), "BABABABABBBB");
}

struct HashRow {
    const char* address;
    char sh, sh_port, dh, mh, mh_port;
};
constexpr HashRow kHashRows[] = {{"192.168.1.1", 'C', 'C', 'B', 'C', 'C'},
                                 {"192.168.1.2", 'B', 'B', 'C', 'B', 'B'},
                                 {"192.168.1.3", 'C', 'C', 'B', 'B', 'C'},
                                 {"10.0.0.2", 'C', 'C', 'A', 'C', 'A'},
                                 {"10.0.0.5", 'B', 'B', 'C', 'A', 'A'}};

TEST(Vectors, HashesOfTheKernel) {
    for (const HashRow& r : kHashRows) {
        const Address a = *parse_address(r.address);
        Rig sh("sh"), sh_port("sh", kPort), dh("dh"), mh("mh"), mh_port("mh", kPort);
        for (Rig* rig : {&sh, &sh_port, &dh, &mh, &mh_port}) rig->add({1, 1, 2});
        EXPECT_EQ(mh.connect({.client = a}), r.mh) << r.address;
        EXPECT_EQ(mh_port.connect({.client = a, .client_port = 40000}), r.mh_port) << r.address;
        EXPECT_EQ(sh.connect({.client = a}), r.sh) << r.address;
        EXPECT_EQ(sh_port.connect({.client = a, .client_port = 40000}), r.sh_port) << r.address;
        EXPECT_EQ(dh.connect({.virtual_address = a}), r.dh) << r.address;
    }
}

TEST(Vectors, TablesOfTheKernel) {
    ListState list;
    for (uint32_t b = 0; b < 3; ++b) list.add(b, b == 2 ? 2 : 1);
    const auto targets = list.targets();
    const auto ends = Published::ends_of(targets);
    const auto sh = build_table(*find_scheduler("sh"), targets, ends);
    const auto dh = build_table(*find_scheduler("dh"), targets, ends);
    ASSERT_EQ(sh.size(), 256u);
    ASSERT_EQ(dh.size(), 256u);
    for (uint32_t i = 0; i < 256; ++i) {
        EXPECT_EQ('A' + targets[sh[i]].backend, uint32_t("CCBA"[i % 4])) << i;
        EXPECT_EQ('A' + targets[dh[i]].backend, uint32_t("CBA"[i % 3])) << i;
    }
}

// Shares as measured, and what a quiesced server leaves to whom.
TEST(Vectors, MaglevTableOfTheKernel) {
    Rig rig("mh", kFallback);
    rig.add({1, 1, 2});
    const Published all(rig.scheduler, rig.list);
    ASSERT_EQ(all.table.size(), 4093u);
    std::map<uint32_t, int> slots;
    for (uint32_t t : all.table) ++slots[all.targets[t].backend];
    EXPECT_EQ(slots[2], 2047);
    EXPECT_EQ(slots[1], 1023);
    EXPECT_EQ(slots[0], 1023);
    rig.list.edit(2, 0);
    EXPECT_EQ(Published(rig.scheduler, rig.list).table, all.table) << "the last weight counts";
    EXPECT_NE(rig.connect({.client = *parse_address("192.168.1.1")}), 'C');
    rig.flags = 0;
    EXPECT_EQ(rig.connect({.client = *parse_address("192.168.1.1")}), '-');
    rig.list.edit(2, 2);
    EXPECT_EQ(rig.connect({.client = *parse_address("192.168.1.1")}), 'C');
    Rig never("mh");
    never.add({0, 0});
    EXPECT_EQ(never.connect(), '-');
}

// Buckets of sh as the kernel reckons them: 192.168.1.1 is 136 without and 44 with port 40000.
// One target a bucket makes the bucket visible.
TEST(Vectors, BucketsOfTheKernel) {
    struct Row {
        const char* address;
        uint32_t plain, with_port;
    };
    for (const Row& r :
         {Row{"192.168.1.1", 136, 44}, Row{"192.168.1.2", 234, 142}, Row{"192.168.1.3", 76, 240},
          Row{"10.0.0.2", 137, 45}, Row{"10.0.0.5", 174, 82}}) {
        const Key key{.client = *parse_address(r.address), .client_port = 40000};
        for (const bool port : {false, true}) {
            const Scheduler& s = *find_scheduler("sh");
            ListState list;
            for (uint32_t b = 256; b-- > 0;) list.add(b, 1);
            const Published now(s, list, port ? kPort : 0);
            Cursor cursor;
            EXPECT_EQ(choose(s, now.view, cursor, {}, key), port ? r.with_port : r.plain);
        }
    }
}

TEST(Vectors, IPv6IsFoldedIntoOneWord) {
    const Scheduler& s = *find_scheduler("sh");
    ListState list;
    for (uint32_t b = 256; b-- > 0;) list.add(b, 1);
    const Published now(s, list);
    Cursor cursor;
    // The exclusive or of the four words is 0xc0a80101: the bucket of 192.168.1.1.
    static_assert((0x20010db8u ^ 0xe0a90cb9u) == 0xc0a80101u);
    const Key key{.client = *parse_address("2001:db8::e0a9:cb9")};
    EXPECT_EQ(choose(s, now.view, cursor, {}, key), 136u);
}

}  // namespace
}  // namespace torii::scheduler
