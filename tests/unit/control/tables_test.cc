// From configuration to bytes and back: a restart recovers exactly what was, and lists see the
// commands that ipvsadm would have sent.
#include "control/tables.h"

#include <gtest/gtest.h>

#include "config/load/load.h"

namespace torii::control {
namespace {

using scheduler::ChangeKind;
using scheduler::Target;

constexpr std::string_view kFile = R"(
dataplane: {ports: [{name: p, driver: memory}]}
timeouts: {tcp: 600s, tcp_fin: 1500ms, udp: 30s}
servers:
  web1: {address: 10.0.0.1}
  web2: {address: 10.0.0.2, weight: 2}
  six: {address: "2001:db8:1::1"}
services:
  - name: www
    virtual: [192.0.2.1:80/tcp, "[2001:db8::1]:80/tcp"]
    scheduler: sh
    scheduler_flags: [sh-port, sh-fallback]
    backends: [{server: web1, port: 8080}, {server: six}, {server: web2, upper: 10, lower: 5}]
  - name: direct
    virtual: 192.0.2.1:53/udp
    scheduler: rr
    forward: dr
    backends: [{server: web2}, {server: web1}]
)";

config::Config config_of(std::string_view text) {
    config::Loaded l = config::load_text(text, "t.yaml");
    EXPECT_TRUE(l.config) << config::format(l.diagnostics);
    return l.config.value_or(config::Config{});
}

Tables must(const Result<Tables>& t) {
    EXPECT_TRUE(t) << t.error().message;
    return t ? *t : Tables{};
}

// What a restarted toriid reads.
Tables reread(const Tables& t) {
    const auto bytes = shm::build(compile(t));
    EXPECT_TRUE(bytes) << bytes.error().message;
    auto copy = *bytes;
    const uint64_t size = copy.size();
    std::memcpy(copy.data() + offsetof(shm::ObjectHeader, size), &size, sizeof size);
    const auto view = shm::Services::view(copy);
    EXPECT_TRUE(view) << view.error().message;
    return must(recover(*view));
}

TEST(Desired, EachVirtualIsAServiceWithTheBackendsItCanUse) {
    const Desired d = desired(config_of(kFile));
    ASSERT_EQ(d.services.size(), 3u);
    EXPECT_EQ(to_string(d.services[0].key), "192.0.2.1:80/tcp");
    EXPECT_EQ(d.services[0].scheduler_flags, 0x18);
    ASSERT_EQ(d.services[0].destinations.size(), 2u);
    EXPECT_EQ(to_string(d.services[0].destinations[0].key), "10.0.0.1:8080");
    EXPECT_EQ(to_string(d.services[0].destinations[1].key), "10.0.0.2:80");
    EXPECT_EQ(d.services[0].destinations[1].weight, 2);
    EXPECT_EQ(d.services[0].destinations[1].upper, 10u);
    ASSERT_EQ(d.services[1].destinations.size(), 1u);
    EXPECT_EQ(to_string(d.services[1].destinations[0].key), "[2001:db8:1::1]:80");
    EXPECT_EQ(d.services[2].destinations[0].forward, shm::Forward::dr);
    EXPECT_EQ(d.timeouts.tcp[1], 600u);
    EXPECT_EQ(d.timeouts.tcp[4], 2u);  // a second and a half is kept two
    EXPECT_EQ(d.timeouts.udp, 30u);
    EXPECT_EQ(d.timeouts.tcp[2], 120u);
}

TEST(Tables, BackendsOfAFileAreAddedInItsOrderSoTheLastIsTheHead) {
    const Tables t = must(plan({}, desired(config_of(kFile)), {.generation = 1}));
    const auto targets = t.lists.at(t.desired.services[0].key)->targets();
    ASSERT_EQ(targets.size(), 2u);
    EXPECT_EQ(t.slots.backends[targets[0].backend].backend, *parse_endpoint("10.0.0.2:80"));
    EXPECT_EQ(targets[0].weight, 2u);
}

TEST(Tables, ARestartRecoversEverythingAndChangesNothing) {
    Tables t = must(plan({}, desired(config_of(kFile)), {.generation = 1}));
    std::vector<Usage> used(8);
    used[1].references = 1;
    const auto usage = [&](uint32_t i) { return i < used.size() ? used[i] : Usage{}; };
    const SlotFacts later{.generation = 2, .in_force = 1, .backend = usage};
    Desired less = t.desired;
    auto& www = less.services.edit(0).destinations;
    www.erase(www.begin() + 1);
    t = must(plan(t, less, later));

    const Tables again = reread(t);
    EXPECT_EQ(again.slots, t.slots);
    EXPECT_EQ(again.desired, t.desired);
    const auto before = shm::build(compile(t));
    EXPECT_EQ(*shm::build(compile(again)), *before);
    // The same file once more is the same generation, byte for byte.
    const SlotFacts third{.generation = 3, .in_force = 2, .backend = usage};
    EXPECT_EQ(*shm::build(compile(must(plan(again, less, third)))), *before);
    // And what was removed comes back to its connections also over the restart.
    const Tables back = must(plan(again, desired(config_of(kFile)), third));
    EXPECT_TRUE(back.slots.backends[1].present);
    EXPECT_EQ(back.slots.backends[1].generation, 1u);
}

TEST(Tables, WhatWasRemovedKeepsProtocolAndForwardAlsoOverTheRestart) {
    const Tables all = must(plan({}, desired(config_of(kFile)), {.generation = 1}));
    const Tables none = must(plan(all, {}, {.generation = 2}));
    for (const Tables& t : {all, none, reread(none)}) {
        const auto bytes = shm::build(compile(t));
        ASSERT_TRUE(bytes);
        const auto view = shm::Services::view(*bytes);
        ASSERT_TRUE(view) << view.error().message;
        ASSERT_EQ(view->backends.size(), 5u);
        for (size_t i = 0; i < 5; ++i) {
            const shm::BackendRecord& r = view->backends[i];
            const bool www = i < 3;
            EXPECT_EQ(r.protocol, www ? Protocol::tcp : Protocol::udp) << i;
            EXPECT_EQ(r.forward, www ? shm::Forward::nat : shm::Forward::dr) << i;
        }
    }
    EXPECT_EQ(reread(none).slots, none.slots);
}

TEST(Tables, AReloadIsRemovalsThenEditsThenAdditions) {
    Tables t = must(plan({}, desired(config_of(kFile)), {.generation = 1}));
    Desired next = t.desired;
    auto& list = next.services.edit(2).destinations;  // web2, web1
    const ServiceKey key = next.services[2].key;
    Destination fresh = list[0];
    fresh.key = *parse_endpoint("10.0.0.9:53");
    list[1].weight = 7;
    list.erase(list.begin());
    list.insert(list.begin(), fresh);
    const uint64_t seq = t.lists.at(key)->change_seq();
    t = must(plan(t, next, {.generation = 2}));
    ASSERT_EQ(t.lists.at(key)->change_seq(), seq + 3);
    const auto changes = t.lists.at(key)->changes();
    EXPECT_EQ(changes[changes.size() - 3].kind, ChangeKind::remove);
    EXPECT_EQ(changes[changes.size() - 2].kind, ChangeKind::edit);
    EXPECT_EQ(changes[changes.size() - 1].kind, ChangeKind::add);
    // Services that nobody touched have no new change.
    EXPECT_EQ(t.lists.at(next.services[0].key)->change_seq(), 2u);
}

TEST(Tables, AnotherSchedulerRebindsAndAThresholdAloneIsAnEdit) {
    Tables t = must(plan({}, desired(config_of(kFile)), {.generation = 1}));
    Desired next = t.desired;
    next.services.edit(2).scheduler = "wrr";
    next.services.edit(0).destinations[0].upper = 4;
    t = must(plan(t, next, {.generation = 2}));
    EXPECT_EQ(t.lists.at(next.services[2].key)->changes().back().kind, ChangeKind::rebind);
    EXPECT_EQ(t.lists.at(next.services[0].key)->changes().back().kind, ChangeKind::edit);
}

TEST(Tables, AServiceRemovedAndAddedStartsAnew) {
    Tables t = must(plan({}, desired(config_of(kFile)), {.generation = 1}));
    const Desired all = t.desired;
    t = must(plan(t, {}, {.generation = 2}));
    EXPECT_TRUE(t.lists.empty());
    t = must(plan(t, all, {.generation = 3, .in_force = 2}));
    EXPECT_EQ(t.lists.at(all.services[2].key)->change_seq(), 2u);
}

TEST(Tables, CompileFillsWhatWorkersNeed) {
    const Tables t = must(plan({}, desired(config_of(kFile)), {.generation = 1}));
    const shm::ServicesDescription d = compile(t);
    EXPECT_EQ(d.services[0].table.size(), 256u);
    EXPECT_TRUE(d.services[0].consistent.empty());   // NAT cannot do without an entry
    EXPECT_FALSE(d.services[2].consistent.empty());  // direct routing can
    EXPECT_STREQ(d.services[2].record.scheduler, "rr");
    EXPECT_EQ(d.services[0].record.max_weight, 2u);
    const auto bytes = shm::build(d);
    ASSERT_TRUE(bytes);
    const auto view = shm::Services::view(*bytes);
    ASSERT_TRUE(view);
    const shm::ServiceRecord* s =
        view->find(*parse_address("192.0.2.1"), be16::from_host(53), Protocol::udp);
    ASSERT_NE(s, nullptr);
    EXPECT_EQ(view->name(*s), "direct");
    const Target head = view->section<Target>(s->targets)[0];
    EXPECT_EQ(view->name(view->backends[head.backend]), "web1");
    EXPECT_EQ(view->backends[head.backend].port.host(), 53);
}

TEST(Tables, AListThatNamesAForeignSlotIsRefused) {
    const Tables t = must(plan({}, desired(config_of(kFile)), {.generation = 1}));
    shm::ServicesDescription d = compile(t);
    const Target wild{99, 1};
    std::memcpy(d.services[0].targets.data(), &wild, sizeof wild);
    auto bytes = *shm::build(d);
    const uint64_t size = bytes.size();
    std::memcpy(bytes.data() + offsetof(shm::ObjectHeader, size), &size, sizeof size);
    const auto view = shm::Services::view(bytes);
    ASSERT_TRUE(view);
    const auto refused = recover(*view);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::layout);
}

config::Config with_marks() {
    config::Config c = config_of(kFile);
    config::Service& www = c.services[0];
    www.virtuals = {{{Address::v4({}), 0}, Protocol::any, 7, {}}, {{{}, 0}, Protocol::any, 7, {}}};
    www.persistence.timeout = std::chrono::seconds(300);
    www.persistence.netmask = config::Netmask{0, 24};
    www.one_packet = true;
    www.drain.deadline = std::chrono::seconds(60);
    for (config::Backend& b : www.backends) {
        b.forward = config::Forward::tunnel;
        b.tunnel = {config::TunnelType::gue, 6080, config::TunnelChecksum::csum, {}, {}, {}, {}};
    }
    c.behaviour.sloppy_tcp = 1;
    c.behaviour.nat_icmp_send = 1;
    c.marks = {{7, *parse_prefix("192.0.2.77/28"), Protocol::tcp, {{80, 443}}, {}, {}, {}, {}},
               {8, *parse_prefix("192.0.2.0/24"), Protocol::udp, {}, {}, {}, {}, {}},
               {9, *parse_prefix("192.0.2.77/28"), Protocol::tcp, {{443, 443}}, {}, {}, {}, {}}};
    return c;
}

TEST(Tables, MarksPersistenceTunnelsAndSwitchesReachTheWorkersAndComeBack) {
    const Desired d = desired(with_marks());
    EXPECT_EQ(to_string(d.services[0].key), "mark:7");
    EXPECT_EQ(to_string(d.services[1].key), "mark:7/ipv6");
    EXPECT_EQ(d.services[0].persistence_mask, 0xffffff00);
    EXPECT_EQ(d.services[1].persistence_mask, 24u);
    EXPECT_EQ(d.services[2].persistence_mask, 0xffffffff);

    const Tables t = must(plan({}, d, {.generation = 1}));
    EXPECT_EQ(reread(t).desired, d);
    EXPECT_EQ(reread(t).slots, t.slots);
    const auto bytes = shm::build(compile(t));
    ASSERT_TRUE(bytes);
    const auto view = shm::Services::view(*bytes);
    ASSERT_TRUE(view) << view.error().message;
    const shm::ServiceRecord* s = view->find_mark(7, Family::ipv6);
    ASSERT_NE(s, nullptr);
    EXPECT_EQ(s - view->services.data(), 1);
    EXPECT_EQ(view->find_mark(8, Family::ipv4), nullptr);
    EXPECT_EQ(s->flags, shm::kPersistent | shm::kOnePacket);
    EXPECT_EQ(s->persistence_timeout, 300u);
    EXPECT_EQ(s->drain, 60u);
    const Target head = view->section<Target>(s->targets)[0];
    const shm::Tunnel& tunnel = view->backends[head.backend].tunnel;
    EXPECT_EQ(tunnel.type, shm::TunnelType::gue);
    EXPECT_EQ(tunnel.checksum, shm::TunnelChecksum::full);
    EXPECT_EQ(tunnel.port.host(), 6080);
    EXPECT_EQ(view->header->behaviour.sloppy_tcp, 1u);
    EXPECT_EQ(view->header->behaviour.nat_icmp_send, 1u);
    EXPECT_EQ(view->header->flags, shm::kHasMarks);
    EXPECT_FALSE(view->is_vip(Address::v4({})));
    ASSERT_EQ(view->marks.size(), 3u);  // one port is more specific than many, a /28 than a /24
    EXPECT_EQ(view->marks[0].mark, 9u);
    EXPECT_EQ(view->marks[1].mark, 7u);
    EXPECT_EQ(to_string(view->marks[1].destination), "192.0.2.64");
    EXPECT_EQ(view->marks[2].last_port, 65535);
}

TEST(Tables, TwoMarksAndAnAddressAreThreeServices) {
    Desired d;
    for (const ServiceKey& key :
         {ServiceKey::of_mark(7), ServiceKey::of_mark(8), ServiceKey::of_mark(7, Family::ipv6)}) {
        Service s;
        s.key = key;
        s.scheduler = "rr";
        s.destinations.push_back({*parse_endpoint("10.0.0.1:80"), {}, 1, 0, 0, {}, {}});
        d.services.push_back(s);
    }
    const Tables t = must(plan({}, d, {.generation = 1}));
    EXPECT_EQ(reread(t).slots, t.slots);
    EXPECT_NE(t.slots.backends[0].service, t.slots.backends[1].service);
    d.services.edit(1).key = d.services[0].key;
    EXPECT_FALSE(shm::build(compile(must(plan({}, d, {.generation = 1})))));
}

TEST(Difference, CountsWhatALogShallSay) {
    const Desired a = desired(config_of(kFile));
    EXPECT_FALSE(difference(a, a).any());
    Desired b = a;
    b.services.pop_back();
    b.services.edit(0).destinations[0].weight = 9;
    b.services.edit(0).scheduler = "dh";
    b.timeouts.udp = 1;
    b.services.edit(1).persistence_timeout = 9;
    b.behaviour.conn_reuse_mode = 0;
    const Difference d = difference(a, b);
    EXPECT_EQ(d.services_removed, 1u);
    EXPECT_EQ(d.services_edited, 2u);
    EXPECT_TRUE(d.behaviour);
    EXPECT_EQ(d.backends_edited, 1u);
    EXPECT_TRUE(d.timeouts);
    EXPECT_EQ(difference({}, a).backends_added, 5u);
}

}  // namespace
}  // namespace torii::control
