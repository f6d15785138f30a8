// The resolver against a real kernel: two namespaces joined by a veth, no traffic but the kernel's
// own.

#include "control/kernel/resolver.h"

#include <gmock/gmock.h>

#include "tests/unit/kernel/netns.h"

namespace torii::kernel::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ResolverTest : public InNamespace {
protected:
    void SetUp() override {
        InNamespace::SetUp();
        join();
        mirror_ = open_mirror();
        ASSERT_NE(mirror_, nullptr);
        v0_ = find_link(mirror_->snapshot(), "v0")->ifindex;
        auto resolver = Resolver::open();
        ASSERT_TRUE(resolver) << resolver.error().message;
        resolver_ = std::move(*resolver);
        // The IPv6 address of the other side answers only once its link is up.
        ASSERT_TRUE(eventually(*mirror_, [&](const Snapshot& s) { return find_link(s, v0_)->up; }));
    }
    Resolver::Target at(std::string_view address) const { return {v0_, addr(address)}; }
    bool resolved(std::string_view address) {
        return eventually(*mirror_, [&](const Snapshot& s) {
            const auto* n = find_neighbour(s, v0_, addr(address));
            return n && n->usable;
        });
    }
    /// What `ip neigh` prints of an entry.
    static std::string entry(const std::string& address) {
        FILE* pipe = popen(("ip neigh show " + address).c_str(), "r");
        char line[512] = "";
        const size_t size = fread(line, 1, sizeof line, pipe);
        pclose(pipe);
        return {line, size};
    }
    Resolver::Outcome set(std::vector<Resolver::Target> targets) {
        auto outcome = resolver_->set(std::move(targets));
        EXPECT_TRUE(outcome) << outcome.error().message;
        return outcome ? *outcome : Resolver::Outcome{};
    }

    uint32_t v0_ = 0;
    std::unique_ptr<Mirror> mirror_;
    std::unique_ptr<Resolver> resolver_;
};

TEST_F(ResolverTest, ManagedNeighboursGetResolvedWithoutTraffic) {
    const auto outcome = set({at("10.1.0.2"), at("2001:db8:1::2"), at("10.1.0.2")});
    EXPECT_EQ(outcome.requested, 2u);
    EXPECT_THAT(outcome.refused, IsEmpty());
    EXPECT_TRUE(resolved("10.1.0.2"));
    EXPECT_TRUE(resolved("2001:db8:1::2"));
    EXPECT_THAT(entry("10.1.0.2"), HasSubstr("managed"));
    EXPECT_THAT(entry("2001:db8:1::2"), HasSubstr("managed"));
}

TEST_F(ResolverTest, OnlyTheDifferenceIsAsked) {
    set({at("10.1.0.2"), at("10.1.0.3")});
    ASSERT_TRUE(resolved("10.1.0.2"));
    const auto outcome = set({at("10.1.0.2"), at("10.1.0.4")});
    EXPECT_EQ(outcome.requested, 1u);
    EXPECT_EQ(outcome.released, 1u);
    EXPECT_THAT(entry("10.1.0.2"), HasSubstr("managed"));
    EXPECT_THAT(entry("10.1.0.3"), Not(HasSubstr("managed")));
    EXPECT_THAT(entry("10.1.0.4"), HasSubstr("managed"));
    EXPECT_EQ(set({at("10.1.0.4"), at("10.1.0.2")}).requested, 0u);
}

TEST_F(ResolverTest, ReleasedEntriesKeepTheirAddress) {
    set({at("10.1.0.2")});
    ASSERT_TRUE(resolved("10.1.0.2"));
    EXPECT_EQ(set({}).released, 1u);
    EXPECT_THAT(entry("10.1.0.2"), HasSubstr("lladdr"));
    EXPECT_THAT(entry("10.1.0.2"), Not(HasSubstr("managed")));
}

TEST_F(ResolverTest, PermanentEntriesAreLeftAlone) {
    run("ip neigh add 10.1.0.2 lladdr 02:00:00:00:00:99 dev v0 nud permanent");
    run("ip neigh add 10.1.0.3 lladdr 02:00:00:00:00:98 dev v0 nud noarp");
    const auto before = entry("10.1.0.2") + entry("10.1.0.3");
    EXPECT_EQ(set({at("10.1.0.2"), at("10.1.0.3")}).requested, 0u);
    ASSERT_TRUE(resolver_->poke(at("10.1.0.2")));
    ASSERT_TRUE(resolver_->refresh());
    EXPECT_EQ(set({}).released, 0u);
    EXPECT_EQ(entry("10.1.0.2") + entry("10.1.0.3"), before);

    // Made permanent while it was ours.
    set({at("10.1.0.4")});
    run("ip neigh replace 10.1.0.4 lladdr 02:00:00:00:00:97 dev v0 nud permanent");
    EXPECT_EQ(set({}).released, 0u);
    EXPECT_THAT(entry("10.1.0.4"), HasSubstr("PERMANENT"));
}

TEST_F(ResolverTest, WhatOthersManageStaysManaged) {
    run("ip neigh add 10.1.0.2 dev v0 managed");
    set({at("10.1.0.2")});
    ASSERT_TRUE(resolver_->poke(at("10.1.0.2")));
    EXPECT_EQ(set({}).released, 0u);
    ASSERT_TRUE(resolver_->poke(at("10.1.0.2")));
    EXPECT_THAT(entry("10.1.0.2"), HasSubstr("managed"));
}

TEST_F(ResolverTest, RefreshBringsBackWhatALinkThatWentDownLost) {
    set({at("10.1.0.2")});
    ASSERT_TRUE(resolved("10.1.0.2"));
    EXPECT_EQ(resolver_->refresh()->requested, 0u);
    run("ip link set v0 down");
    ASSERT_TRUE(eventually(
        *mirror_, [&](const Snapshot& s) { return !find_neighbour(s, v0_, addr("10.1.0.2")); }));
    run("ip link set v0 up");
    EXPECT_EQ(resolver_->refresh()->requested, 1u);
    EXPECT_TRUE(resolved("10.1.0.2"));
    EXPECT_THAT(entry("10.1.0.2"), HasSubstr("managed"));
}

TEST_F(ResolverTest, ARestartAdoptsWhatACrashLeft) {
    set({at("10.1.0.2")});
    resolver_ = std::move(*Resolver::open());
    EXPECT_EQ(set({at("10.1.0.2")}).requested, 0u) << "the kernel manages it already";
    EXPECT_EQ(set({}).released, 1u);
    EXPECT_THAT(entry("10.1.0.2"), Not(HasSubstr("managed")));
}

TEST_F(ResolverTest, APokeResolvesOnceAndKeepsManagement) {
    ASSERT_TRUE(resolver_->poke(at("10.1.0.2")));
    EXPECT_TRUE(resolved("10.1.0.2"));
    EXPECT_THAT(entry("10.1.0.2"), Not(HasSubstr("managed")));
    set({at("10.1.0.2")});
    ASSERT_TRUE(resolver_->poke(at("10.1.0.2")));
    EXPECT_THAT(entry("10.1.0.2"), HasSubstr("managed"));
}

TEST_F(ResolverTest, RefusalsAreNamedAndTriedAgain) {
    const auto outcome = set({{4711, addr("10.1.0.2")}, at("10.1.0.2")});
    EXPECT_EQ(outcome.requested, 1u);
    ASSERT_THAT(outcome.refused, SizeIs(1));
    EXPECT_EQ(outcome.refused[0].target.ifindex, 4711u);
    EXPECT_THAT(outcome.refused[0].reason, HasSubstr("10.1.0.2"));
    EXPECT_THAT(resolver_->refresh()->refused, SizeIs(1));
    EXPECT_FALSE(resolver_->poke({4711, addr("10.1.0.2")}));
}

TEST_F(ResolverTest, MoreThanABatch) {
    std::vector<Resolver::Target> many;
    for (int i = 3; i < 253; ++i) many.push_back(at("10.1.0." + std::to_string(i)));
    const auto outcome = set(many);
    EXPECT_EQ(outcome.requested, many.size());
    EXPECT_EQ(set({}).released, many.size());
}

}  // namespace
}  // namespace torii::kernel::testing
