// Generations are files first and numbers second; what is in force is never written again.
#include "control/publisher.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "dataplane/shm/routes.h"
#include "dataplane/shm/services.h"
#include "tests/support/temporary_directory.h"

namespace torii::control {
namespace {

std::vector<std::byte> services(uint32_t udp) {
    shm::ServicesDescription d;
    d.timeouts.udp = udp;
    return *shm::build(d);
}
std::vector<std::byte> routes(std::string_view prefix) {
    shm::RoutesDescription d;
    d.routes = {{*parse_prefix(prefix), shm::RouteKind::unreachable, {}}};
    return *shm::build(d);
}

struct Publishing : testing::Test {
    Publishing() : location{directory.path()}, control(*shm::open_control(location)) {}
    shm::ControlBlock& block() { return shm::control_of(control); }
    bool there(std::string_view kind, uint64_t n) {
        return std::filesystem::exists(location.generation(kind, n));
    }
    test::TemporaryDirectory directory;
    shm::Location location;
    shm::Mapping control;
};

TEST_F(Publishing, NumbersCountFromOneAndWakeTheDataplane) {
    Publisher p(location, block());
    auto object = services(1);
    EXPECT_TRUE(*p.services(object));
    EXPECT_EQ(block().services_generation.load(), 1u);
    EXPECT_EQ(block().published.load(), 1u);
    const auto m =
        shm::Mapping::open(location.generation("services", 1), shm::Mapping::Access::read_only);
    ASSERT_TRUE(m);
    EXPECT_TRUE(shm::verify(*m, shm::Kind::services, shm::kServicesLayout, "", true));
    EXPECT_EQ(m->at<shm::ServicesHeader>(0)->generation, 1u);
}

TEST_F(Publishing, WhatIsInForceIsNotPublishedAgainAlsoAfterARestart) {
    {
        Publisher p(location, block());
        auto s = services(1);
        auto r = routes("10.0.0.0/8");
        EXPECT_TRUE(*p.services(s) && *p.routes(r));
        s = services(1);
        r = routes("10.0.0.0/8");
        EXPECT_FALSE(*p.services(s) || *p.routes(r));
    }
    Publisher again(location, block());
    auto s = services(1);
    auto r = routes("10.0.0.0/8");
    EXPECT_FALSE(*again.services(s) || *again.routes(r));
    s = services(2);
    r = routes("10.0.0.0/9");
    EXPECT_TRUE(*again.services(s) && *again.routes(r));
    EXPECT_EQ(block().services_generation.load(), 2u);
    EXPECT_EQ(block().routes_generation.load(), 2u);
}

TEST_F(Publishing, SupersededFilesGoAndOthersStay) {
    Publisher p(location, block());
    for (uint32_t i = 1; i <= 3; ++i) {
        auto s = services(i);
        EXPECT_TRUE(*p.services(s));
    }
    auto r = routes("10.0.0.0/8");
    EXPECT_TRUE(*p.routes(r));
    p.remove_superseded();
    EXPECT_FALSE(there("services", 1) || there("services", 2));
    EXPECT_TRUE(there("services", 3) && there("routes", 1));
    EXPECT_TRUE(std::filesystem::exists(location.path("control")));
}

TEST_F(Publishing, AFailedWriteLeavesTheOldGenerationInForce) {
    Publisher p(location, block());
    auto s = services(1);
    EXPECT_TRUE(*p.services(s));
    std::filesystem::create_directories(location.generation("services", 2));
    s = services(2);
    EXPECT_FALSE(p.services(s));
    EXPECT_EQ(block().services_generation.load(), 1u);
    EXPECT_EQ(p.next_services(), 2u);
}

}  // namespace
}  // namespace torii::control
