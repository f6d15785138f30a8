// A View is made only from what fits together.

#include <gmock/gmock.h>

#include "tests/support/world/world.h"

namespace torii::test {
namespace {

struct Making : testing::Test {
    Making() {
        world.backend(world.service(kVip, 80), kServer, 8080, shm::Forward::nat);
        world.backend(world.service(kVip6, 80), kServer6, 8080, shm::Forward::dr);
        world.publish();
    }
    std::string refusal(const shm::ServicesDescription& d) {
        const auto object = shm::build(d);
        const auto services = shm::Services::view(*object);
        const auto view = stages::View::make(*services, world.view().routes, 1);
        return view ? "" : view.error().message;
    }
    World world;
};

TEST_F(Making, ResolvesNextHopsAndServers) {
    const stages::View& v = world.view();
    EXPECT_EQ(refusal(world.services), "");
    ASSERT_EQ(v.backends.size(), 2u);
    for (const stages::BackendHop& b : v.backends)
        EXPECT_EQ(to_string(v.routes.next_hops[b.next_hop].destination), kServerMac);
    EXPECT_TRUE(v.is_nat_backend(*parse_address(kServer)));
    EXPECT_FALSE(v.is_nat_backend(*parse_address(kServer6)));  // direct routing
    const uint32_t vip = parse_address(kVip)->as_v4().raw();
    EXPECT_TRUE(v.may_be_vip(stages::View::filter_bit4(vip)));
}

// What is taken over from a former view is what would have been found.
TEST_F(Making, TakesNextHopsOverOnlyOfTheSameServersAndRoutes) {
    const stages::View& before = world.view();
    const auto hops = [](const stages::View& v) {
        std::vector<uint32_t> all;
        for (const stages::BackendHop& b : v.backends) all.push_back(b.next_hop);
        return all;
    };
    const auto object = shm::build(world.services);
    auto moved = world.services;
    moved.backends[0].record.address = *parse_address("127.0.0.1");  // a slot with another server
    const auto moved_object = shm::build(moved);
    const auto no_routes = shm::build(shm::RoutesDescription{});
    const shm::Routes nowhere = *shm::Routes::view(*no_routes);
    const uint32_t stamp = before.routes_stamp;
    const auto made = [&](const auto& bytes, const shm::Routes& routes, uint32_t number,
                          const stages::View* from) {
        return hops(**stages::View::make(*shm::Services::view(*bytes), routes, number, from));
    };
    EXPECT_EQ(made(object, before.routes, stamp, &before), hops(before));
    EXPECT_EQ(made(moved_object, before.routes, stamp, &before),
              made(moved_object, before.routes, stamp, nullptr));
    EXPECT_NE(made(moved_object, before.routes, stamp, &before), hops(before));
    EXPECT_EQ(made(object, nowhere, stamp + 1, &before),
              (std::vector<uint32_t>{shm::kNoNextHop, shm::kNoNextHop}));
}

TEST_F(Making, RefusesAnUnknownScheduler) {
    auto d = world.services;
    std::strcpy(d.services[1].record.scheduler, "magic");
    EXPECT_EQ(refusal(d), "services generation: service 1 has an unknown scheduler 'magic'");
}

TEST_F(Making, RefusesAListThatNamesForeignOrMissingBackends) {
    for (uint32_t slot : {1u, 2u, 77u}) {
        auto d = world.services;
        reinterpret_cast<scheduler::Target*>(d.services[0].targets.data())->backend = slot;
        EXPECT_EQ(refusal(d), "services generation: service 0 lists a backend that is not its own")
            << slot;
    }
}

TEST_F(Making, RefusesAListBehindTheEndOfTheObject) {
    auto object = *shm::build(world.services);
    auto* header = reinterpret_cast<shm::ServicesHeader*>(object.data());
    header->header.size = object.size();
    auto* record = reinterpret_cast<shm::ServiceRecord*>(object.data() + header->services.offset);
    record->targets.count = 1'000'000;
    const auto services = shm::Services::view(object);
    ASSERT_TRUE(services);
    const auto view = stages::View::make(*services, world.view().routes, 1);
    ASSERT_FALSE(view);
    EXPECT_EQ(view.error().message, "services generation: service 0 has a bad list");
}

}  // namespace
}  // namespace torii::test
