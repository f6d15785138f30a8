// What is decided before the start: command line, names, memory, and who polls which queue.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "dataplane/io/eal.h"
#include "dataplane/io/log.h"
#include "dataplane/io/options.h"
#include "dataplane/io/tap.h"
#include "dataplane/io/worker.h"
#include "tests/support/temporary_directory.h"

namespace torii::io {
namespace {

using testing::HasSubstr;

Result<Options> parse(std::vector<const char*> words) {
    words.insert(words.begin(), "torii-dataplane");
    return parse_command_line(int(words.size()), words.data());
}

TEST(CommandLine, InstanceComesFromTheOptionThenTheEnvironment) {
    ::setenv("TORII_INSTANCE", "from-environment", 1);
    EXPECT_EQ(parse({"-c", "x.yaml"})->instance, "from-environment");
    EXPECT_EQ(parse({"-c", "x.yaml", "-i", "given"})->instance, "given");
    ::unsetenv("TORII_INSTANCE");
    EXPECT_EQ(parse({"-c", "x.yaml"})->instance, "");
}

TEST(CommandLine, MistakesAreSentences) {
    EXPECT_THAT(parse({}).error().message, HasSubstr("-c FILE"));
    EXPECT_THAT(parse({"-c", "x", "--frsh-table"}).error().message, HasSubstr("frsh-table"));
    EXPECT_FALSE(parse({"-c", "x.yaml", "stray"}));
    EXPECT_TRUE(parse({"--help"})->help);
    EXPECT_TRUE(parse({"-c", "x.yaml", "--fresh-table"})->fresh_table);
}

TEST(HugePages, AreTakenRequiredOrLeft) {
    using config::Hugepages;
    constexpr uint64_t kPackets = 32u << 20, kPlenty = 1u << 30;
    EXPECT_TRUE(*check_huge_pages(Hugepages::automatic, kPackets, kPlenty));
    EXPECT_FALSE(*check_huge_pages(Hugepages::automatic, kPackets, 0));
    EXPECT_FALSE(*check_huge_pages(Hugepages::never, kPackets, kPlenty));
    EXPECT_TRUE(*check_huge_pages(Hugepages::require, kPackets, kPlenty));
    const auto lack = check_huge_pages(Hugepages::require, kPackets, 4u << 20);
    ASSERT_FALSE(lack);
    EXPECT_THAT(lack.error().message, HasSubstr("4 MiB can be had"));
    EXPECT_THAT(lack.error().message, HasSubstr("sysctl vm.nr_hugepages="));
}

TEST(HugePages, PromisedToOthersAreNotFree) {
    const test::TemporaryDirectory directory;
    const auto pool = [&](const char* name, int free, int reserved) {
        const std::filesystem::path p = std::filesystem::path(directory.path()) / name;
        std::filesystem::create_directory(p);
        std::ofstream(p / "free_hugepages") << free << "\n";
        std::ofstream(p / "resv_hugepages") << reserved << "\n";
    };
    pool("hugepages-1048576kB", 3, 1);
    pool("hugepages-2048kB", 10, 12);
    pool("hugepages-64kB", 7, 0);
    EXPECT_EQ(free_huge_page_bytes(directory.path()), (2u << 30) + 7 * 65536ull);
    const auto pools = huge_pools(directory.path());
    ASSERT_EQ(pools.size(), 3u);
    EXPECT_EQ(pools[0].page, 65536u);
    EXPECT_EQ(pools[1].pages, 0u);
    EXPECT_TRUE(huge_pools("/nowhere").empty());
}

TEST(HugePages, SaidToBeFreeButRefusedAreNotCountedOn) {
    const HugePool boast{2u << 20, uint64_t(1) << 24};  // 32 TiB
    EXPECT_FALSE(huge_pages_obtainable(uint64_t(1) << 45, {&boast, 1}));
    EXPECT_FALSE(huge_pages_obtainable(1, {}));
    EXPECT_TRUE(huge_pages_obtainable(0, {&boast, 1}));
}

TEST(InstanceTap, NamesFitAndStayApart) {
    EXPECT_EQ(instance_tap_name("edge1"), "torii-edge1");
    EXPECT_EQ(instance_tap_name("ninechars"), "torii-ninechars");
    const std::string a = instance_tap_name("datacenter-east-1");
    const std::string b = instance_tap_name("datacenter-east-2");
    EXPECT_EQ(a.size(), 15u);
    EXPECT_NE(a, b);
}

TEST(Log, ValuesAreQuotedWhereTheyMustBe) {
    EXPECT_EQ(in_quotes("plain"), "plain");
    EXPECT_EQ(in_quotes(""), "\"\"");
    EXPECT_EQ(in_quotes("two words"), "\"two words\"");
    EXPECT_EQ(in_quotes("say \"x\"\nnext"), "\"say \\\"x\\\" next\"");
}

PortFacts port_with(uint16_t device, uint16_t receive, uint16_t transmit) {
    PortFacts f;
    for (uint16_t q = 0; q < receive; ++q) f.receive.push_back({device, q, -1});
    for (uint16_t q = 0; q < transmit; ++q) f.transmit.push_back({device, q, -1});
    return f;
}

class Queues : public testing::TestWithParam<unsigned> {};

TEST_P(Queues, EachReceiveQueueHasOneWorkerAndSharedTransmitQueuesALock) {
    const unsigned workers = GetParam();
    const PortFacts a = port_with(0, 3, 2), b = port_with(1, 2, 8);
    const PortFacts* ports[] = {&a, &b};
    QueuePlan plan(ports, workers);
    std::multiset<std::pair<int, int>> polled;
    std::map<std::pair<int, int>, std::set<rte_spinlock_t*>> locks;
    std::map<std::pair<int, int>, int> senders;
    for (unsigned w = 0; w < workers; ++w) {
        for (const ReceiveQueue& q : plan.receive_of(w)) polled.insert({q.port, q.at.queue});
        const auto transmit = plan.transmit_of(w);
        ASSERT_EQ(transmit.size(), 2u);
        for (const TransmitQueue& q : transmit) {
            locks[{q.at.device, q.at.queue}].insert(q.lock);
            ++senders[{q.at.device, q.at.queue}];
        }
    }
    EXPECT_EQ(polled, (std::multiset<std::pair<int, int>>{{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}}));
    for (const auto& [queue, count] : senders) {
        EXPECT_EQ(locks[queue].size(), 1u);
        if (count > 1) {
            EXPECT_NE(*locks[queue].begin(), nullptr);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Workers, Queues, testing::Values(1, 2, 3, 5, 8));

TEST(PacketMemory, CountsEveryQueueAndFitsTheLargestFrame) {
    PortPlan small, jumbo;
    jumbo.mtu = 3400;
    jumbo.spare_room = 256;
    jumbo.queues = 4;
    jumbo.descriptors = 2048;
    const PortPlan one[] = {small}, both[] = {small, jumbo};
    const PacketMemory a = packet_memory(one, 1), b = packet_memory(both, 1);
    EXPECT_GE(b.packets - a.packets, 2u * 4 * 2048);
    EXPECT_GE(b.room, 128u + 256 + 3400 + 22);
    EXPECT_GT(b.bytes(), uint64_t(b.packets) * b.room);
}

}  // namespace
}  // namespace torii::io
