// Slots stay with their owners over reloads and restarts, and are given on only when nobody can
// still mean the owner of before.
#include "control/slots.h"

#include <gtest/gtest.h>

#include "control/tables.h"

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
    Tables step(const Tables& from, const Desired& d) {
        ++facts.generation;
        auto next = plan(from, d, facts);
        EXPECT_TRUE(next) << next.error().message;
        return next ? *next : Tables{};
    }
    uint32_t slot(const Tables& t, std::string_view backend) {
        for (uint32_t i = 0; i < t.slots.backends.size(); ++i)
            if (t.slots.backends[i].present && t.slots.backends[i].backend == at(backend)) return i;
        return ~0u;
    }
    void counted(const std::vector<Usage>& backends) {
        facts.backend = [&](uint32_t i) { return i < backends.size() ? backends[i] : Usage{}; };
    }
    SlotFacts facts;
};

TEST_F(Slotted, AreGivenInOrderAndKeptWhenOthersComeAndGo) {
    const Tables one = step({}, with({kA, kB}));
    EXPECT_EQ(slot(one, kA), 0u);
    EXPECT_EQ(slot(one, kB), 1u);
    EXPECT_EQ(one.slots.backends[0].generation, 1u);
    const Tables two = step(one, with({kC, kB}));
    EXPECT_EQ(slot(two, kB), 1u);
    EXPECT_EQ(two.slots.backends[1], one.slots.backends[1]);
    EXPECT_FALSE(two.slots.backends[0].present);
}

TEST_F(Slotted, OfARemovedBackendWaitUntilEveryWorkerKnowsAndNoConnectionIsLeft) {
    std::vector<Usage> used(2);
    counted(used);
    const Tables both = step({}, with({kA, kB}));  // generation 1
    Tables one = step(both, with({kB}));           // generation 2
    facts.in_force = 1;                            // a worker may still choose A
    Tables three = step(one, with({kB, kC}));
    EXPECT_EQ(slot(three, kC), 2u);
    facts.in_force = 2;
    used[0].references = 1;  // a connection to A lives on
    three = step(one, with({kB, kC}));
    EXPECT_EQ(slot(three, kC), 2u);
    used[0].references = 0;
    used[0].counted.connections = 7;
    three = step(one, with({kB, kC}));
    EXPECT_EQ(slot(three, kC), 0u);
    EXPECT_EQ(three.slots.backends[0].generation, 2u);
    EXPECT_EQ(three.slots.backends[0].base.connections, 7u);
}

TEST_F(Slotted, ABackendThatComesBackToItsConnectionsGetsSlotAndGenerationBack) {
    std::vector<Usage> used(2);
    used[0].references = 3;
    used[0].counted.connections = 9;
    counted(used);
    const Tables both = step({}, with({kA, kB}));
    const Tables one = step(both, with({kB}));
    facts.in_force = 2;
    const Tables again = step(one, with({kB, kA}));
    EXPECT_EQ(slot(again, kA), 0u);
    EXPECT_EQ(again.slots.backends[0].generation, 1u);
    EXPECT_EQ(again.slots.backends[0].base, both.slots.backends[0].base);
    used[0].references = 0;  // without connections it is a new one
    const Tables fresh = step(one, with({kB, kA}));
    EXPECT_EQ(fresh.slots.backends[slot(fresh, kA)].generation, 2u);
}

TEST_F(Slotted, ARemovedBackendRemembersItsForwardingAndAnEditedOneHasTheNewOne) {
    Desired d = with({kA, kB});
    d.services.edit(0).destinations[0].forward = shm::Forward::dr;
    const Tables first = step({}, d);
    EXPECT_EQ(first.slots.backends[0].forward, shm::Forward::dr);
    EXPECT_EQ(first.slots.backends[1].forward, shm::Forward::nat);
    d.services.edit(0).destinations[1].forward = shm::Forward::tunnel;
    const Tables edited = step(first, d);
    EXPECT_EQ(edited.slots.backends[1].forward, shm::Forward::tunnel);
    const Tables none = step(edited, {});
    EXPECT_FALSE(none.slots.backends[0].present);
    EXPECT_EQ(none.slots.backends[0].forward, shm::Forward::dr);
    EXPECT_EQ(none.slots.backends[1].forward, shm::Forward::tunnel);
}

TEST_F(Slotted, AServiceThatComesBackToItsConnectionsKeepsItsSlotButIsANewOne) {
    std::vector<Usage> used(1);
    used[0].references = 1;
    std::vector<Usage> services(1);
    counted(used);
    facts.service = [&](uint32_t i) { return i < services.size() ? services[i] : Usage{}; };
    const Tables first = step({}, with({kA}));
    const Tables none = step(first, {});
    facts.in_force = 2;
    services[0].counted.in_packets = 5;
    const Desired other = of({service("192.0.2.9:80", {kB}), service(kVip, {kA})});
    const Tables both = step(none, other);
    EXPECT_EQ(service_slots(both.slots).at(other.services[1].key), 0u);
    EXPECT_EQ(service_slots(both.slots).at(other.services[0].key), 1u);
    EXPECT_NE(both.slots.services[0].generation, first.slots.services[0].generation);
    EXPECT_EQ(both.slots.services[0].base.in_packets, 5u);
    EXPECT_EQ(both.slots.backends[0].generation, first.slots.backends[0].generation);
}

TEST_F(Slotted, ABackendThatComesBackCountsOnUnlessItsServiceCameBackToo) {
    std::vector<Usage> used(1);
    used[0].references = 1;
    counted(used);
    const Tables first = step({}, with({kA, kB}));
    const Tables without = step(first, with({kB}));
    used[0].counted.in_packets = 5;
    counted(used);
    const Tables again = step(without, with({kA, kB}));
    EXPECT_EQ(slot(again, kA), 0u);
    EXPECT_EQ(again.slots.backends[0].base.in_packets, 0u);

    // It left before its service did, or with it.
    for (const Tables& from : {step(again, with({kB})), again}) {
        const Tables empty = step(step(from, {}), with({}));
        const Tables back = step(empty, with({kA}));
        EXPECT_EQ(slot(back, kA), 0u);
        EXPECT_EQ(back.slots.backends[0].base.in_packets, 5u);
    }
}

TEST_F(Slotted, FullIsAnErrorThatSaysWhatToDo) {
    facts.max_backends = 1;
    const auto refused = plan({}, with({kA, kB}), facts);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::full);
    EXPECT_NE(refused.error().message.find("dataplane.backends"), std::string::npos);
    facts.max_services = 0;
    EXPECT_EQ(plan({}, with({kA}), facts).error().code, Errc::full);
}

TEST_F(Slotted, RebaseClearsOnlyBasesAboveTheCounters) {
    Tables s = step({}, with({kA, kB}));
    s.slots.backends.edit(0).base.in_bytes = 10;
    s.slots.backends.edit(1).base.in_bytes = 2;
    std::vector<Usage> used(2);
    used[0].counted.in_bytes = used[1].counted.in_bytes = 5;
    counted(used);
    EXPECT_TRUE(rebase(s.slots, facts));
    EXPECT_EQ(s.slots.backends[0].base.in_bytes, 0u);
    EXPECT_EQ(s.slots.backends[1].base.in_bytes, 2u);
    EXPECT_FALSE(rebase(s.slots, facts));
}

TEST_F(Slotted, ALeavingBackendHasItsServicesTimeFromTheFirstStep) {
    const auto drained = [](std::vector<std::string_view> backends, uint16_t weight) {
        Desired d = with(std::move(backends));
        d.services.edit(0).drain = 60;
        d.services.edit(0).destinations[0].weight = weight;
        return d;
    };
    facts.now = 4000;
    Tables s = step({}, drained({kA, kB}, 1));
    EXPECT_EQ(s.slots.backends[0].drain_until, 0u);
    s = step(s, drained({kA, kB}, 0));
    EXPECT_EQ(s.slots.backends[0].drain_until, 4000u + 60 * 4);
    facts.now = 4100;
    s = step(s, drained({kB}, 1));
    EXPECT_EQ(s.slots.backends[0].drain_until, 4000u + 60 * 4) << "removed later: no more time";
    EXPECT_EQ(s.slots.backends[1].drain_until, 0u);
    std::vector<Usage> used(2);
    used[0].references = 1;
    counted(used);
    s = step(s, drained({kA, kB}, 1));
    EXPECT_EQ(s.slots.backends[0].drain_until, 0u) << "it is back";
    s = step(s, Desired{});
    EXPECT_EQ(s.slots.backends[1].drain_until, 4100u + 60 * 4) << "its service went with it";
    s = step(s, with({kA, kB}));
    EXPECT_EQ(s.slots.backends[1].drain_until, 0u);
    s = step(s, with({kB}));
    EXPECT_EQ(s.slots.backends[0].drain_until, 0u) << "for ever";
}

}  // namespace
}  // namespace torii::control
