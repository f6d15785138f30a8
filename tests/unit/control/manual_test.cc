// What operators say by hand, and what it makes of the desired state.

#include "control/manual.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_directory.h"

namespace torii::control {
namespace {

Desired example() {
    Desired d;
    for (const char* name : {"www", "shop"}) {
        Service s;
        s.key = {*parse_address("192.0.2.1"), uint16_t(name[0] == 'w' ? 80 : 443), Protocol::tcp};
        s.name = name;
        s.destinations.push_back({.key = *parse_endpoint("10.0.0.1:8080"), .name = "web1"});
        s.destinations.push_back({.key = *parse_endpoint("10.0.0.2:8080"), .name = ""});
        d.services.push_back(std::move(s));
    }
    return d;
}

/// "www: 10.0.0.1:8080*1 ...", a service a word.
std::string told(const Desired& d) {
    std::string text;
    for (const Service& s : d.services) {
        text += s.name + ":";
        for (const Destination& b : s.destinations)
            text += " " + to_string(b.key.address) + "*" + std::to_string(b.weight);
        text += "\n";
    }
    return text;
}

struct ManualTest : testing::Test {
    void say(ManualKey key, ManualState state) {
        auto next = control::say(manual, key, state, example());
        ASSERT_TRUE(next) << next.error().message;
        manual = *next;
    }
    std::string now() { return told(apply_manual(example(), manual)); }
    Manual manual;
};

TEST_F(ManualTest, DownTakesAwayDrainSetsWeightZero) {
    say({"web1", ""}, ManualState::down);
    EXPECT_EQ(now(), "www: 10.0.0.2*1\nshop: 10.0.0.2*1\n");
    say({"10.0.0.2", "shop"}, ManualState::drain);
    EXPECT_EQ(now(), "www: 10.0.0.2*1\nshop: 10.0.0.2*0\n");
    say({"web1", ""}, ManualState::up);
    EXPECT_EQ(now(), "www: 10.0.0.1*1 10.0.0.2*1\nshop: 10.0.0.1*1 10.0.0.2*0\n");
}

TEST_F(ManualTest, OneServiceIsAnExceptionToAll) {
    say({"web1", ""}, ManualState::down);
    say({"web1", "192.0.2.1:443/tcp"}, ManualState::up);
    EXPECT_EQ(now(), "www: 10.0.0.2*1\nshop: 10.0.0.1*1 10.0.0.2*1\n");
    say({"web1", ""}, ManualState::drain);
    EXPECT_EQ(now(), "www: 10.0.0.1*0 10.0.0.2*1\nshop: 10.0.0.1*0 10.0.0.2*1\n");
    say({"web1", ""}, ManualState::up);
    EXPECT_TRUE(manual.empty());
}

TEST_F(ManualTest, WhomNobodyHasIsRefused) {
    for (const ManualKey& key : {ManualKey{"web9", ""}, {"web1", "mail"}, {"10.0.0.2:80", ""}}) {
        const auto next = control::say(manual, key, ManualState::down, example());
        ASSERT_FALSE(next);
        EXPECT_EQ(next.error().code, Errc::not_found);
    }
    EXPECT_TRUE(control::say(manual, {"10.0.0.2:8080", ""}, ManualState::down, example()));
}

TEST_F(ManualTest, IsKeptInAFile) {
    test::TemporaryDirectory directory;
    const std::string path = directory.path() + "/manual";
    EXPECT_EQ(*load_manual(path), Manual{});
    say({"web1", ""}, ManualState::down);
    say({"web1", "shop"}, ManualState::up);
    say({"10.0.0.2:8080", "www"}, ManualState::drain);
    ASSERT_TRUE(store_manual(path, manual));
    EXPECT_EQ(*load_manual(path), manual);
    for (const char* bad : {"", "{", "[1]", R"([{"server": "a", "service": "", "state": "x"}])"}) {
        std::ofstream(path) << bad;
        EXPECT_FALSE(load_manual(path)) << bad;
    }
}

}  // namespace
}  // namespace torii::control
