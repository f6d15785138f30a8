// Slots stay with their owners over reloads and restarts, and are given on only when nobody can
// still mean the owner of before.
#include "control/slots.h"

#include <gtest/gtest.h>

namespace torii::control {
namespace {

Endpoint at(std::string_view text) { return *parse_endpoint(text); }

Service service(std::string_view endpoint, std::vector<std::string_view> backends) {
    const Endpoint e = at(endpoint);
    Service s;
    s.key = {e.address, e.port, Protocol::tcp};
    s.name = "s";
    s.scheduler = "rr";
    for (const auto b : backends) s.destinations.push_back({.key = at(b), .name = ""});
    return s;
}

constexpr std::string_view kVip = "192.0.2.1:80", kA = "10.0.0.1:80", kB = "10.0.0.2:80",
                           kC = "10.0.0.3:80";

Desired of(std::vector<Service> services) {
    Desired d;
    d.services = std::move(services);
    return d;
}
Desired with(std::vector<std::string_view> backends) {
    return of({service(kVip, std::move(backends))});
}

struct Slotted : testing::Test {
    Slots step(const Slots& from, const Desired& d) {
        ++facts.generation;
        auto next = assign(from, d, facts);
        EXPECT_TRUE(next) << next.error().message;
        return next ? *next : Slots{};
    }
    uint32_t slot(const Slots& s, std::string_view backend) {
        return SlotIndex(s).of(service(kVip, {}).key, at(backend));
    }
    SlotFacts facts;
};

TEST_F(Slotted, AreGivenInOrderAndKeptWhenOthersComeAndGo) {
    const Slots one = step({}, with({kA, kB}));
    EXPECT_EQ(slot(one, kA), 0u);
    EXPECT_EQ(slot(one, kB), 1u);
    EXPECT_EQ(one.backends[0].generation, 1u);
    const Slots two = step(one, with({kC, kB}));
    EXPECT_EQ(slot(two, kB), 1u);
    EXPECT_EQ(two.backends[1], one.backends[1]);
    EXPECT_FALSE(two.backends[0].present);
}

TEST_F(Slotted, OfARemovedBackendWaitUntilEveryWorkerKnowsAndNoConnectionIsLeft) {
    std::vector<Usage> used(2);
    facts.backends = used;
    const Slots both = step({}, with({kA, kB}));  // generation 1
    Slots one = step(both, with({kB}));           // generation 2
    facts.in_force = 1;                           // a worker may still choose A
    Slots three = step(one, with({kB, kC}));
    EXPECT_EQ(slot(three, kC), 2u);
    facts.in_force = 2;
    used[0].references = 1;  // a connection to A lives on
    three = step(one, with({kB, kC}));
    EXPECT_EQ(slot(three, kC), 2u);
    used[0].references = 0;
    used[0].counted.connections = 7;
    three = step(one, with({kB, kC}));
    EXPECT_EQ(slot(three, kC), 0u);
    EXPECT_EQ(three.backends[0].generation, 2u);
    EXPECT_EQ(three.backends[0].base.connections, 7u);
}

TEST_F(Slotted, ABackendThatComesBackToItsConnectionsGetsSlotAndGenerationBack) {
    std::vector<Usage> used(2);
    used[0].references = 3;
    used[0].counted.connections = 9;
    facts.backends = used;
    const Slots both = step({}, with({kA, kB}));
    const Slots one = step(both, with({kB}));
    facts.in_force = 2;
    const Slots again = step(one, with({kB, kA}));
    EXPECT_EQ(slot(again, kA), 0u);
    EXPECT_EQ(again.backends[0].generation, 1u);
    EXPECT_EQ(again.backends[0].base, both.backends[0].base);
    used[0].references = 0;  // without connections it is a new one
    const Slots fresh = step(one, with({kB, kA}));
    EXPECT_EQ(fresh.backends[slot(fresh, kA)].generation, 2u);
}

TEST_F(Slotted, ARemovedBackendRemembersItsForwardingAndAnEditedOneHasTheNewOne) {
    Desired d = with({kA, kB});
    d.services[0].destinations[0].forward = shm::Forward::dr;
    const Slots first = step({}, d);
    EXPECT_EQ(first.backends[0].forward, shm::Forward::dr);
    EXPECT_EQ(first.backends[1].forward, shm::Forward::nat);
    d.services[0].destinations[1].forward = shm::Forward::tunnel;
    const Slots edited = step(first, d);
    EXPECT_EQ(edited.backends[1].forward, shm::Forward::tunnel);
    const Slots none = step(edited, {});
    EXPECT_FALSE(none.backends[0].present);
    EXPECT_EQ(none.backends[0].forward, shm::Forward::dr);
    EXPECT_EQ(none.backends[1].forward, shm::Forward::tunnel);
}

TEST_F(Slotted, AServiceThatComesBackToItsConnectionsKeepsItsSlotButIsANewOne) {
    std::vector<Usage> used(1);
    used[0].references = 1;
    std::vector<Usage> services(1);
    facts.backends = used;
    facts.services = services;
    const Slots first = step({}, with({kA}));
    const Slots none = step(first, {});
    facts.in_force = 2;
    services[0].counted.in_packets = 5;
    const Desired other = of({service("192.0.2.9:80", {kB}), service(kVip, {kA})});
    const Slots both = step(none, other);
    EXPECT_EQ(SlotIndex(both).of(other.services[1].key), 0u);
    EXPECT_EQ(SlotIndex(both).of(other.services[0].key), 1u);
    EXPECT_NE(both.services[0].generation, first.services[0].generation);
    EXPECT_EQ(both.services[0].base.in_packets, 5u);
    EXPECT_EQ(both.backends[0].generation, first.backends[0].generation);
}

TEST_F(Slotted, FullIsAnErrorThatSaysWhatToDo) {
    facts.max_backends = 1;
    const auto refused = assign({}, with({kA, kB}), facts);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::full);
    EXPECT_NE(refused.error().message.find("dataplane.backends"), std::string::npos);
    facts.max_services = 0;
    EXPECT_EQ(assign({}, with({kA}), facts).error().code, Errc::full);
}

TEST_F(Slotted, RebaseClearsOnlyBasesAboveTheCounters) {
    Slots s = step({}, with({kA, kB}));
    s.backends[0].base.in_bytes = 10;
    s.backends[1].base.in_bytes = 2;
    std::vector<Usage> used(2);
    used[0].counted.in_bytes = used[1].counted.in_bytes = 5;
    facts.backends = used;
    EXPECT_TRUE(rebase(s, facts));
    EXPECT_EQ(s.backends[0].base.in_bytes, 0u);
    EXPECT_EQ(s.backends[1].base.in_bytes, 2u);
    EXPECT_FALSE(rebase(s, facts));
}

TEST_F(Slotted, ALeavingBackendHasItsServicesTimeFromTheFirstStep) {
    const auto drained = [](std::vector<std::string_view> backends, uint16_t weight) {
        Desired d = with(std::move(backends));
        d.services[0].drain = 60;
        d.services[0].destinations[0].weight = weight;
        return d;
    };
    facts.now = 4000;
    Slots s = step({}, drained({kA, kB}, 1));
    EXPECT_EQ(s.backends[0].drain_until, 0u);
    s = step(s, drained({kA, kB}, 0));
    EXPECT_EQ(s.backends[0].drain_until, 4000u + 60 * 4);
    facts.now = 4100;
    s = step(s, drained({kB}, 1));
    EXPECT_EQ(s.backends[0].drain_until, 4000u + 60 * 4) << "removed later: no more time";
    EXPECT_EQ(s.backends[1].drain_until, 0u);
    std::vector<Usage> used(2);
    used[0].references = 1;
    facts.backends = used;
    s = step(s, drained({kA, kB}, 1));
    EXPECT_EQ(s.backends[0].drain_until, 0u) << "it is back";
    s = step(s, Desired{});
    EXPECT_EQ(s.backends[1].drain_until, 4100u + 60 * 4) << "its service went with it";
    s = step(s, with({kA, kB}));
    EXPECT_EQ(s.backends[1].drain_until, 0u);
    s = step(s, with({kB}));
    EXPECT_EQ(s.backends[0].drain_until, 0u) << "for ever";
}

}  // namespace
}  // namespace torii::control
