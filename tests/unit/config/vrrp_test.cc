// The vrrp section: what it reads as, and what is said about one that cannot be right.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "config/check/check.h"
#include "config/load/load.h"
#include "config/schema/schema.h"

namespace torii::config {
namespace {

using namespace std::chrono_literals;

Config must_load(std::string_view text) {
    Loaded loaded = load_text(text, "f");
    EXPECT_EQ(format(loaded.diagnostics), "");
    return loaded.config.value_or(Config{});
}

/// One instance, from line 3 on; `more` are keys of it, each on a line of its own from line 7.
std::string instance(const std::string& more, const std::string& first = "priority: 100") {
    std::string text =
        "vrrp:\n  instances:\n  - name: a\n    interface: eth0\n    router_id: 51\n    " + first +
        "\n";
    return text + "    " + more + "\n";
}
const std::string kHeld = "addresses: [192.0.2.100/24]";
const std::string kPorts = "dataplane: {ports: [{name: p, driver: memory}]}\n";

TEST(Vrrp, AloneNeedsNoDataplane) {
    const Config c = must_load(instance(kHeld));
    ASSERT_EQ(c.vrrp.instances.size(), 1u);
    const VrrpInstance& i = c.vrrp.instances[0];
    EXPECT_EQ(i.version, 3);
    EXPECT_EQ(i.interval, 1s);
    EXPECT_TRUE(i.preempt.enabled);
    EXPECT_FALSE(i.track.dataplane);
    EXPECT_EQ(i.garp.repeat, 5u);
    EXPECT_EQ(i.family(), Family::ipv4);
    EXPECT_EQ(to_string(i.addresses[0].prefix), "192.0.2.100/24");
    EXPECT_EQ(to_string(i.addresses[0].mark), "f:7:17");
}

TEST(Vrrp, AloneMayHaveNoInstance) {
    EXPECT_TRUE(must_load("vrrp: {instances: []}\n").vrrp.instances.empty());
    EXPECT_TRUE(must_load("vrrp: {}\n").vrrp.instances.empty());
}

TEST(Vrrp, WithPortsTheDataplaneIsWatched) {
    EXPECT_TRUE(must_load(kPorts + instance(kHeld)).vrrp.instances[0].track.dataplane);
    EXPECT_FALSE(must_load(kPorts + instance(kHeld + "\n    track: {dataplane: false}"))
                     .vrrp.instances[0]
                     .track.dataplane);
}

TEST(Vrrp, ReadsEverything) {
    const Config c = must_load(R"(services: [{name: www, virtual: 192.0.2.100:80/tcp}]
dataplane: {ports: [{name: p, driver: memory}]}
vrrp:
  fifo: /run/fifo
  realtime: none
  groups:
    - {name: g, members: [a, b], notify: {active: [/bin/on, --fast], timeout: 5s, user: nobody}}
  instances:
    - name: a
      interface: eth0
      router_id: 51
      interval: 10ms
      missed_adverts: 4
      preempt: {delay: 30s}
      startup_delay: 5s
      addresses: [203.0.113.10, {address: 203.0.113.11/24, interface: eth2}]
      excluded: ["2001:db8::1/64"]
      routes:
        - {destination: 0.0.0.0/0, via: 203.0.113.1, source: 203.0.113.10, metric: 7, table: 100}
      peers: [192.0.2.2, 192.0.2.3]
      min_ttl: 255
      source: 192.0.2.1
      virtual_mac: true
      pseudo_header: false
      garp: {repeat: 3, delay: none, refresh: 60s, refresh_repeat: 2, interval: 5ms}
      track:
        interfaces: [eth0, {name: eth1, weight: -20, reverse: true}]
        scripts: [{command: [/usr/bin/ok, -v], interval: 2s, timeout: 1s, rise: 2, fall: 3, weight: 5}]
        files: [/f, {path: /g, weight: -2}]
        processes: [nginx, {name: sshd, quorum: 2, delay: 1s, weight: -1}]
        services: [www]
      notify: {any: /bin/any}
    - name: b
      interface: eth1
      router_id: 51
      version: 2
      authentication: {type: pass, secret: s3cret}
      addresses: 198.51.100.1/24
)");
    ASSERT_EQ(c.vrrp.instances.size(), 2u);
    const VrrpInstance& a = c.vrrp.instances[0];
    EXPECT_EQ(c.vrrp.realtime, 0u);
    EXPECT_EQ(c.vrrp.groups[0].notify.active, (std::vector<std::string>{"/bin/on", "--fast"}));
    EXPECT_EQ(group_of(c.vrrp, "b"), &c.vrrp.groups[0]);
    EXPECT_EQ(group_of(c.vrrp, "c"), nullptr);
    EXPECT_EQ(to_string(a.addresses[0].prefix), "203.0.113.10/32");
    EXPECT_EQ(a.addresses[1].interface, "eth2");
    EXPECT_EQ(to_string(a.routes[0].via), "203.0.113.1");
    EXPECT_EQ(a.routes[0].table, 100u);
    EXPECT_EQ(a.garp.delay, 0s);
    EXPECT_EQ(a.track.interfaces[1].weight, -20);
    EXPECT_EQ(a.track.scripts[0].name, "ok");
    EXPECT_EQ(a.track.files[0].path, "/f");
    EXPECT_EQ(a.track.processes[1].quorum, 2u);
    EXPECT_EQ(a.track.services[0].name, "www");
    EXPECT_EQ(a.notify.any, std::vector<std::string>{"/bin/any"});
    EXPECT_EQ(c.vrrp.instances[1].authentication.secret, "s3cret");
}

struct Row {
    const char* name;
    std::string text;
    std::string want;
    friend void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }
};

class VrrpMessages : public testing::TestWithParam<Row> {};

TEST_P(VrrpMessages, AreExactlyThese) {
    const Loaded loaded = load_text(GetParam().text, "f");
    EXPECT_EQ(format(loaded.diagnostics), GetParam().want) << GetParam().text;
    EXPECT_FALSE(loaded.config);
}

std::string held(const std::string& more, const std::string& first = "priority: 100") {
    return instance(more + "\n    " + kHeld, first);
}

/// Two instances, the second one's keys on line 4.
std::string two(const std::string& second) {
    return "vrrp:\n  instances:\n  - {name: a, interface: eth0, router_id: 51, addresses: "
           "[192.0.2.100/24]}\n  - {" +
           second + "}\n";
}

/// One instance that holds so many.
std::string many(size_t addresses) {
    std::string list;
    for (size_t n = 0; n < addresses; ++n)
        list += (n == 0 ? "" : ", ") + std::string("10.1.") + std::to_string(n >> 8) + "." +
                std::to_string(n & 255);
    return "behaviour: {backup_only: 1}\n" + held("excluded: [" + list + "]");
}

std::string name_of(const testing::TestParamInfo<Row>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(
    Instances, VrrpMessages,
    testing::Values(
        Row{"router_id", "vrrp: {instances: [{name: a, interface: e, router_id: 256}]}\n",
            "f:1:20: 'a' has nothing to do: it needs 'addresses', or 'notify' to tell somebody\n"
            "f:1:55: 'router_id' must be a number from 1 to 255, got '256'\n"},
        Row{"interface", held("source: 192.0.2.1", "track: {interfaces: [eth/0]}"),
            "f:6:26: 'eth/0' cannot be the name of an interface: 1 to 15 characters without "
            "spaces, '/' and ':'\n"},
        Row{"version2_ipv6", instance("addresses: [\"fe80::1/64\"]", "version: 2"),
            "f:6:14: version 2 is for IPv4 only, and 'a' is IPv6: use version 3\n"},
        Row{"version2_fast", held("interval: 100ms", "version: 2"),
            "f:7:15: version 2 counts the interval in whole seconds, got 100ms: write 1s or more, "
            "or use version 3\n"},
        Row{"version3_odd", held("interval: 15ms"),
            "f:7:15: version 3 counts the interval in steps of 10ms up to 40950ms, got 15ms\n"},
        Row{"version3_long", held("interval: 41s"),
            "f:7:15: version 3 counts the interval in steps of 10ms up to 40950ms, got 41s\n"},
        Row{"too_fast", held("interval: 5ms"),
            "f:7:15: 'interval' must be a duration from 10ms to 255s, got '5ms'\n"},
        Row{"preempt_delay_off", held("preempt: {enabled: false, delay: 3s}"),
            "f:7:38: 'delay' can never act while 'enabled' is false: leave one out\n"},
        Row{"preempt_owner", held("preempt: {enabled: false}", "priority: 255"),
            "f:7:24: 'enabled: false' can never act with priority 255: the owner of the addresses "
            "always takes over; lower 'priority'\n"},
        Row{"preempt_delay_owner", held("preempt: {delay: 3s}", "priority: 255"),
            "f:7:22: 'delay' can never act with priority 255: the owner of the addresses takes "
            "over at once; lower 'priority'\n"},
        Row{"auth_v3", held("authentication: {type: pass, secret: x}"),
            "f:7:28: version 3 has no authentication (RFC 5798 section 9): leave it out, or use "
            "version 2\n"},
        Row{"auth_without_secret", held("authentication: {type: pass}", "version: 2"),
            "f:7:21: 'type: pass' needs 'secret' or 'secret_file'\n"},
        Row{"secret_without_auth", held("authentication: {secret: x}", "version: 2"),
            "f:7:30: a secret needs 'type: pass' beside it\n"},
        Row{"two_secrets",
            held("authentication: {type: pass, secret: x, secret_file: /x}", "version: 2"),
            "f:7:58: 'secret_file' cannot stand beside 'secret'\n"},
        Row{"long_secret", held("authentication: {type: pass, secret: 123456789}", "version: 2"),
            "f:7:42: 'secret' must be text of 1 to 8 characters, got '123456789'\n"},
        Row{"mixed_families", instance("addresses: [192.0.2.1/24, \"2001:db8::1/64\"]"),
            "f:7:31: 2001:db8::1 is IPv6, and the addresses of 'a' are IPv4: an instance has one "
            "family; move it to 'excluded' or to an instance of its own\n"},
        Row{"multicast", instance("addresses: [224.0.0.1]"),
            "f:7:17: the address 224.0.0.1 is a multicast address: it must be unicast\n"},
        Row{"length_0", instance("addresses: [192.0.2.1/0]"),
            "f:7:17: 192.0.2.1/0 has the prefix length 0: an interface address needs its "
            "network's\n"},
        Row{"address_twice", instance("addresses: [192.0.2.1/24, 192.0.2.1/32]"),
            "f:7:31: 192.0.2.1 already belongs to 'a' at f:7:17: two would take it from each "
            "other\n"},
        Row{"address_of_another",
            two("name: b, interface: eth1, router_id: 51, excluded: [192.0.2.100]"),
            "f:4:58: 192.0.2.100 already belongs to 'a' at f:3:59: two would take it from each "
            "other\n"},
        Row{"router_id_twice",
            two("name: b, interface: eth0, router_id: 51, addresses: [192.0.2.101]"),
            "f:4:43: router_id 51 on eth0 is already 'a' at f:3:43: give one of them another "
            "number\n"},
        Row{"name_twice", two("name: a, interface: eth1, router_id: 51, addresses: [192.0.2.101]"),
            "f:4:12: the instance name 'a' is already used at f:3:12\n"},
        Row{"peer_family", held("peers: [\"fe80::2\"]"),
            "f:7:12: the peer fe80::2 is IPv6, and 'a' is IPv4\n"},
        Row{"peer_twice", held("peers: [192.0.2.2, 192.0.2.2]"),
            "f:7:12: the peer 192.0.2.2 is given twice\n"},
        Row{"peer_is_us", held("peers: [192.0.2.2]", "source: 192.0.2.2"),
            "f:7:12: 192.0.2.2 is this machine's own 'source': 'peers' are the other routers\n"},
        Row{"ttl_of_multicast", held("min_ttl: 255"),
            "f:7:14: 'min_ttl' can never act without 'peers': multicast always needs 255\n"},
        Row{"source_family", held("source: \"fe80::1\""),
            "f:7:13: the source fe80::1 is IPv6, and 'a' is IPv4\n"},
        Row{"source_is_held", held("source: 192.0.2.100"),
            "f:7:13: the source 192.0.2.100 is one of the addresses that only the active router "
            "has: name one that this machine always has\n"},
        Row{"pseudo_header", held("pseudo_header: false", "version: 2"),
            "f:7:20: 'pseudo_header' can never act here: only version 3 over IPv4 has a choice\n"},
        Row{"backup_only_room", many(4096),
            "f:3:3: 'backup_only' has room for 4096 addresses, and the instances have 4097\n"},
        Row{"route_bits", held("routes: [{destination: 10.0.0.1/8}]"),
            "f:7:28: 10.0.0.1/8 has bits set after its prefix: the network is 10.0.0.0/8\n"},
        Row{"route_family", held("routes: [{destination: 10.0.0.0/8, via: \"fe80::1\"}]"),
            "f:7:45: fe80::1 is IPv6, and the destination 10.0.0.0/8 is IPv4\n"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Tracking, VrrpMessages,
    testing::Values(
        Row{"weight_of_owner",
            held("track: {interfaces: [{name: eth1, weight: -20}]}", "priority: 255"),
            "f:7:47: the weight -20 can never matter: priority 255 never changes; change "
            "'priority' or leave the weight out\n"},
        Row{"weight_below_1",
            held("track: {files: [], processes: [{name: x, weight: -20}]}", "priority: 1"),
            "f:7:54: the weight -20 can never matter: the priority is 1 already and cannot become "
            "less; change 'priority' or leave the weight out\n"},
        Row{"weight_above_254",
            held("track: {scripts: [{command: /bin/true, weight: 1}]}", "priority: 254"),
            "f:7:52: the weight 1 can never matter: the priority is 254 already and cannot become "
            "more; change 'priority' or leave the weight out\n"},
        Row{"weight_too_much", held("track: {interfaces: [{name: eth1, weight: 254}]}"),
            "f:7:47: 'weight' must be a number from -253 to 253, got '254'\n"},
        Row{"own_interface", held("track: {interfaces: [{name: eth0, weight: -20}]}"),
            "f:7:47: the weight of eth0 can never matter: it is the instance's own interface, and "
            "that one down is always a fault\n"},
        Row{"own_interface_reversed", held("track: {interfaces: [{name: eth0, reverse: true}]}"),
            "f:7:26: eth0 is the instance's own interface: it cannot be active only while that is "
            "down; leave 'reverse' out\n"},
        Row{"twice", held("track: {interfaces: [eth1, eth1]}"),
            "f:7:32: the interface 'eth1' is already watched at f:7:26\n"},
        Row{"relative_command", held("track: {scripts: [{command: ok}]}"),
            "f:7:33: 'command' must begin with the absolute path of a program, got 'ok'\n"},
        Row{"relative_notify", held("notify: {active: [on-active]}"),
            "f:7:22: 'active' must begin with the absolute path of a program, got 'on-active'\n"},
        Row{"relative_file", held("track: {files: f}"),
            "f:7:20: 'path' must be absolute, got 'f'\n"},
        Row{"service", held("track: {services: [www]}"),
            "f:7:24: there is no service 'www' in 'services'\n"},
        Row{"dataplane", held("track: {dataplane: true}"),
            "f:7:24: without 'dataplane.ports' there is no dataplane: watching it would be a fault "
            "for ever; leave it out\n"},
        Row{"interface_shape", held("track: {interfaces: [[eth0]]}"),
            "f:7:26: 'interfaces' must be a list of mappings, got a list\n"},
        Row{"no_bool", held("virtual_mac: yes"),
            "f:7:18: 'virtual_mac' must be true or false, got 'yes'\n"},
        Row{"accept", held("accept: false", "priority: 255"),
            "f:7:13: 'accept: false' cannot stand beside priority 255: the owner of the addresses "
            "takes packets to them; lower 'priority'\n"},
        Row{"fifo", "vrrp: {fifo: f}\n" + kPorts, "f:1:14: 'fifo' must be an absolute path\n"},
        Row{"member", "vrrp: {groups: [{name: g, members: [a]}]}\n" + kPorts,
            "f:1:36: there is no instance 'a' in 'instances'\n"},
        Row{"no_members", "vrrp: {groups: [{name: g, members: []}]}\n" + kPorts,
            "f:1:36: the group 'g' has no members\n"},
        Row{"two_groups",
            held("virtual_mac: true") +
                "  groups: [{name: g, members: a}, {name: h, members: a}]\n",
            "f:9:54: 'a' is already a member of 'g': an instance is in one group, once\n"}),
    name_of);

TEST(Vrrp, WeightsThatOnlyMatterTogetherAreFine) {
    must_load(
        held("track: {interfaces: [{name: x, weight: 9}, {name: y, weight: -9}]}", "priority: 1"));
    must_load(held("track: {files: [{path: /f, weight: -1}]}", "priority: 1"));
    must_load(instance("addresses: [\"fe80::1/64\"]") +
              "  - {name: b, interface: eth1, router_id: 51, addresses: \"fe80::1/64\"}\n");
    must_load(held("virtual_mac: true") +
              "  - {name: b, interface: eth0, router_id: 51, addresses: \"fe80::1/64\"}\n");
}

TEST(Vrrp, WhatIsInForceCanBeReadAgain) {
    for (const std::string& text :
         {held("version: 2"), held("peers: 192.0.2.9"), instance("addresses: \"fe80::1/64\"")}) {
        const Config c = must_load(text);
        EXPECT_EQ(must_load(emit_yaml(*write_config(c))), c) << text;
    }
}

/// A secret file, gone afterwards.
class Secret : public testing::Test {
protected:
    std::string load(const std::string& holds, mode_t mode) {
        std::filesystem::remove(path_);
        std::ofstream(path_) << holds;
        chmod(path_.c_str(), mode);
        const Loaded loaded = load_text(text(), "f");
        if (loaded.config) return loaded.config->vrrp.instances[0].authentication.secret;
        return format(loaded.diagnostics);
    }
    std::string text() const {
        return held("authentication: {type: pass, secret_file: " + path_ + "}", "version: 2");
    }
    std::string complaint(const std::string& what) const {
        return "f:7:47: secret_file " + path_ + ": " + what + "\n";
    }
    void TearDown() override { std::filesystem::remove(path_); }
    const std::string path_ =
        std::filesystem::temp_directory_path() / ("torii-secret-" + std::to_string(getpid()));
};

TEST_F(Secret, IsTheFirstLineOfAFileNobodyElseReads) {
    EXPECT_EQ(load("s3cret\nmore\n", 0600), "s3cret");
    EXPECT_EQ(load("s3cret\r\n", 0400), "s3cret");
    EXPECT_EQ(load("s3cret\n", 0640),
              complaint("its mode is 0640: others than its owner may use it; chmod 600"));
    EXPECT_EQ(load("\n", 0600), complaint("its first line must be 1 to 8 characters, and has 0"));
    EXPECT_EQ(load("123456789", 0600),
              complaint("its first line must be 1 to 8 characters, and has 9"));
    std::filesystem::remove(path_);
    EXPECT_EQ(format(load_text(text(), "f").diagnostics), complaint("No such file or directory"));
}

TEST_F(Secret, IsNotShown) {
    std::ofstream(path_) << "s3cret";
    chmod(path_.c_str(), 0600);
    const std::string shown = emit_yaml(*write_config(must_load(text())));
    EXPECT_THAT(shown, testing::HasSubstr(path_));
    EXPECT_THAT(shown, testing::Not(testing::HasSubstr("s3cret")));
    const std::string written = held("authentication: {type: pass, secret: s3cret}", "version: 2");
    EXPECT_THAT(emit_yaml(*write_config(must_load(written))),
                testing::Not(testing::HasSubstr("s3cret")));
}

TEST(Vrrp, TheExamplesOfTheDocumentationLoad) {
    size_t examples = 0;
    for (const auto& file :
         std::filesystem::directory_iterator(TORII_SOURCE_DIR "/docs/examples")) {
        if (file.path().extension() != ".yaml") continue;
        const Loaded loaded = load_file(file.path());
        EXPECT_EQ(format(loaded.diagnostics), "");
        examples += loaded.config.has_value();
    }
    EXPECT_GE(examples, 1u);
}

TEST(Vrrp, InterfacesAreThoseOfTheMachine) {
    const Config c = must_load(held("track: {interfaces: [eth1, eth9]}"));
    Machine machine;
    machine.cpus = 2;
    machine.memory_bytes = 1ull << 40;
    machine.interfaces = {"eth1"};
    EXPECT_EQ(format(check_machine(c, machine)),
              "f:4:16: there is no interface 'eth0': this machine has eth1\n"
              "f:7:32: there is no interface 'eth9': this machine has eth1\n");
}

}  // namespace
}  // namespace torii::config
