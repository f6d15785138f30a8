// Frames, plans, notifications, the mailbox: what needs no kernel.

#include <gmock/gmock.h>
#include <poll.h>

#include <thread>

#include "control/mailbox/mailbox.h"
#include "control/vrrp/announce.h"
#include "control/vrrp/notifier.h"
#include "control/vrrp/plan.h"

namespace torii::control::vrrp {
namespace {

namespace pure = torii::vrrp;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::string hex(std::span<const std::byte> bytes) {
    std::string out;
    for (const std::byte b : bytes) {
        constexpr char kDigits[] = "0123456789abcdef";
        out += kDigits[size_t(b) >> 4];
        out += kDigits[size_t(b) & 15];
    }
    return out;
}

Address addr(std::string_view text) { return *parse_address(text); }
const Mac kMac = *parse_mac("02:00:00:00:00:07");

// keepalived's, byte for byte: a request whose sender and target are the address.
TEST(AnnounceFrame, GratuitousArp) {
    EXPECT_EQ(hex(announce_frame(addr("192.0.2.100"), kMac, true).span()),
              "ffffffffffff0200000000070806"
              "00010800060400010200000000"
              "07c0000264ffffffffffffc0000264");
}

// RFC 4861 section 4.4; made with scapy.
TEST(AnnounceFrame, UnsolicitedNeighbourAdvertisement) {
    EXPECT_EQ(hex(announce_frame(addr("2001:db8::100"), kMac, true).span()),
              "33330000000102000000000786dd6000000000203aff20010db80000000000000000"
              "00000100ff02000000000000000000000000000188007726a000000020010db80000"
              "000000000000000001000201020000000007");
}

TEST(AdvertFrame, CarriesTheVirtualMac) {
    const std::array<std::byte, 4> message{std::byte{0x31}, std::byte{0x33}};
    std::array<std::byte, 100> out{};
    const Mac mac = pure::virtual_mac(Family::ipv4, 51);
    const size_t n = advert_frame(message, addr("192.0.2.1"), mac, out);
    EXPECT_EQ(hex({out.data(), n}),
              "01005e00001200005e0001330800"
              "45c0001800000000ff7018a2c0000201e0000012"
              "31330000");
    const size_t six =
        advert_frame(message, addr("fe80::1"), pure::virtual_mac(Family::ipv6, 51), out);
    EXPECT_EQ(hex({out.data(), six}),
              "33330000001200005e00023386dd"
              "6c000000000470ff"
              "fe800000000000000000000000000001ff020000000000000000000000000012"
              "31330000");
    EXPECT_EQ(advert_frame(message, addr("192.0.2.1"), mac, {out.data(), 37}), 0u) << "too small";
}

Transition transition(pure::Role role) {
    return {Transition::Of::instance, "VI_1", role, pure::Reason::silence, 100, "eth0"};
}

TEST(Notify, KeepalivedsWords) {
    EXPECT_EQ(fifo_line(transition(pure::Role::active)), "INSTANCE \"VI_1\" MASTER 100\n");
    Transition t = transition(pure::Role::initialize);
    t.of = Transition::Of::group;
    EXPECT_EQ(fifo_line(t), "GROUP \"VI_1\" STOP 100\n");
}

TEST(Notify, TheProgramOfTheRoleThenTheOneForAll) {
    config::VrrpNotify n;
    n.active = {"/bin/on-active", "arg"};
    n.backup = {"/bin/on-backup"};
    n.any = {"/bin/any", "first"};
    n.user = "nobody";
    const auto tasks = tasks_of(transition(pure::Role::active), n);
    ASSERT_THAT(tasks, SizeIs(2));
    EXPECT_THAT(tasks[0].program.argv, ElementsAre("/bin/on-active", "arg"));
    EXPECT_THAT(tasks[1].program.argv,
                ElementsAre("/bin/any", "first", "INSTANCE", "VI_1", "MASTER", "100"));
    EXPECT_EQ(tasks[1].program.user, "nobody");
    EXPECT_EQ(tasks[0].timeout, n.timeout);
    EXPECT_THAT(tasks[0].program.environment,
                testing::Contains(testing::Pair("TORII_VRRP_STATE", "active")));
    EXPECT_THAT(tasks_of(transition(pure::Role::fault), n), SizeIs(1));
    EXPECT_THAT(tasks_of(transition(pure::Role::fault), {}), SizeIs(0));
}

config::VrrpInstance configured(std::string name, uint16_t id = 51) {
    config::VrrpInstance i;
    i.name = std::move(name);
    i.interface = "eth0";
    i.router_id = id;
    config::VrrpAddress a;
    a.prefix = *parse_prefix("192.0.2.100/24");
    i.addresses.push_back(a);
    return i;
}

TEST(Plan, KeysStayAsLongAsItIsTheSameRouter) {
    Keys keys;
    config::Vrrp c;
    c.instances = {configured("a"), configured("b", 52)};
    const Plan first = make_plan(c, false, keys);
    c.instances[0].priority = 200;
    c.instances.erase(c.instances.begin() + 1);
    const Plan second = make_plan(c, false, keys);
    EXPECT_EQ(second.instances[0].key, first.instances[0].key);
    EXPECT_EQ(second.instances[0].settings.priority, 200);
    c.instances[0].router_id = 53;
    EXPECT_NE(make_plan(c, false, keys).instances[0].key, first.instances[0].key);
    EXPECT_EQ(second.find(first.instances[1].key), nullptr);
}

TEST(Plan, GroupsHaveTheirMembersAndEveryInstanceHasOne) {
    Keys keys;
    config::Vrrp c;
    c.instances = {configured("a"), configured("alone", 52), configured("b", 53)};
    config::VrrpGroup g;
    g.name = "edge";
    g.members = {"a", "b"};
    c.groups = {g};
    const Plan p = make_plan(c, false, keys);
    ASSERT_THAT(p.groups, SizeIs(2));
    EXPECT_EQ(p.groups[0].name, "edge");
    EXPECT_THAT(p.groups[0].members, ElementsAre(0, 2));
    EXPECT_THAT(p.groups[1].members, ElementsAre(1));
    EXPECT_TRUE(p.instances[2].settings.grouped);
    EXPECT_FALSE(p.instances[1].settings.grouped);
}

TEST(Plan, WhatIsTrackedKeepsItsOrder) {
    config::VrrpTrack t;
    t.interfaces.resize(1);
    t.interfaces[0].name = "eth1";
    t.scripts.resize(1);
    t.scripts[0].command = {"/usr/local/bin/ok", "-v"};
    t.scripts[0].weight = -20;
    t.dataplane = true;
    t.services.resize(1);
    t.services[0].name = "web";
    const auto all = tracked_of(t);
    ASSERT_THAT(all, SizeIs(4));
    EXPECT_EQ(all[1].name, "ok");
    EXPECT_EQ(all[1].weight, -20);
    EXPECT_EQ(all[2].kind, pure::TrackKind::dataplane);
    EXPECT_EQ(all[3].kind, pure::TrackKind::service);
}

TEST(Mailbox, KeepsOrderAndWakesBetweenTwoThreads) {
    auto box = *mailbox::Mailbox<std::unique_ptr<int>>::open();
    constexpr int kMessages = 20000;
    std::thread producer([&] {
        for (int i = 0; i < kMessages; ++i) box->send(std::make_unique<int>(i));
    });
    int next = 0;
    while (next < kMessages) {
        pollfd waiting{box->fd(), POLLIN, 0};
        ASSERT_EQ(poll(&waiting, 1, 10000), 1) << "a message was sent and nobody woke";
        box->rest();
        while (auto message = box->take()) ASSERT_EQ(**message, next++);
    }
    producer.join();
    box->rest();
    pollfd waiting{box->fd(), POLLIN, 0};
    EXPECT_EQ(poll(&waiting, 1, 0), 0);
    EXPECT_FALSE(box->take());
}

TEST(Mailbox, WhatNobodyTookIsFreed) {
    auto box = *mailbox::Mailbox<std::shared_ptr<int>>::open();
    auto value = std::make_shared<int>(1);
    box->send(value);
    box->send(value);
    EXPECT_TRUE(box->take());
    box.reset();
    EXPECT_EQ(value.use_count(), 1);
}

}  // namespace
}  // namespace torii::control::vrrp
