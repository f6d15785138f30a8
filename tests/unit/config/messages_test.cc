// What the operator reads, word for word: one row for every way to be wrong.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/check/check.h"
#include "config/load/load.h"

namespace torii::config {
namespace {

struct Row {
    const char* name;
    std::string text;
    std::string want;
    friend void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }
};

// A port is in the way of nobody; it takes line 1.
const std::string kPort = "dataplane: {ports: [{name: p, driver: memory}]}\n";
/// A service whose virtual stands on line 4 and whose one backend stands on line 6.
std::string service(const std::string& virtuals, const std::string& backend,
                    const std::string& more = "") {
    return kPort + "services:\n  - name: www\n    virtual: " + virtuals +
           "\n    backends:\n      - " + backend + "\n" + more;
}
const std::string kWeb = "192.0.2.1:80/tcp";
std::string tunnel(const std::string& keys) {
    return service(kWeb, "{address: 10.0.0.1, forward: tunnel, tunnel: " + keys + "}");
}

/// "0, 1, 2": so many numbers.
std::string many(int count) {
    std::string all = "0";
    for (int i = 1; i < count; ++i) all += ", " + std::to_string(i);
    return all;
}

class Messages : public testing::TestWithParam<Row> {};

TEST_P(Messages, AreExactlyThese) {
    const Loaded loaded = load_text(GetParam().text, "f");
    EXPECT_EQ(format(loaded.diagnostics), GetParam().want) << GetParam().text;
    EXPECT_FALSE(loaded.config);
}

std::string name_of(const testing::TestParamInfo<Row>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(
    Keys, Messages,
    testing::Values(
        Row{"unknown_near", kPort + "sevices: []\n",
            "f:2:1: unknown key 'sevices'; did you mean 'services'?\n"},
        Row{"unknown_far", kPort + "timeouts: {icmp: 3s}\n",
            "f:2:12: unknown key 'icmp'; the keys here are tcp tcp_fin udp\n"},
        Row{"twice", kPort + "instance: a\ninstance: b\n", "f:3:1: 'instance' is given twice\n"},
        Row{"server_twice",
            kPort + "servers:\n  a: {address: 10.0.0.1}\n  a: {address: 10.0.0.2}\n",
            "f:4:3: 'a' is given twice\n"},
        Row{"missing", kPort + "services:\n  - scheduler: rr\n",
            "f:3:5: 'name' is missing\nf:3:5: 'virtual' is missing\n"},
        Row{"server_without_address", kPort + "servers: {a: {weight: 2}}\n",
            "f:2:14: 'address' is missing\n"},
        Row{"not_a_mapping", kPort + "timeouts: 5s\n",
            "f:2:11: 'timeouts' must be a mapping, got '5s'\n"},
        Row{"empty_value", kPort + "timeouts:\napi: {}\n",
            "f:2:1: 'timeouts' must be a mapping, got nothing\n"},
        Row{"server_not_a_mapping", kPort + "servers: {a: 10.0.0.1}\n",
            "f:2:14: 'a' must be a mapping, got '10.0.0.1'\n"},
        Row{"servers_not_a_mapping",
            kPort + "servers: [a]\nservices: [{name: s, virtual: " + kWeb +
                ", backends: [{server: a}]}]\n",
            "f:2:10: 'servers' must be a mapping, got a list\n"},
        Row{"not_a_list", kPort + "services: {www: {}}\n",
            "f:2:11: 'services' must be a list, got a mapping\n"},
        Row{"item_not_a_mapping", service(kWeb, "10.0.0.1"),
            "f:6:9: 'backends' must be a list of mappings, got '10.0.0.1'\n"},
        Row{"number", service(kWeb, "{address: 10.0.0.1, port: http}"),
            "f:6:35: 'port' must be a number from 1 to 65535, got 'http'\n"},
        Row{"number_negative", service(kWeb, "{address: 10.0.0.1, weight: -1}"),
            "f:6:37: 'weight' must be a number from 0 to 65535, got '-1'\n"},
        Row{"number_too_big", service(kWeb, "{address: 10.0.0.1, weight: 65536}"),
            "f:6:37: 'weight' must be a number from 0 to 65535, got '65536'\n"},
        Row{"number_huge", service(kWeb, "{address: 10.0.0.1, upper: 99999999999999999999999}"),
            "f:6:36: 'upper' must be a number from 0 to 4294967295, got "
            "'99999999999999999999999'\n"},
        Row{"backend_port_0", service(kWeb, "{address: 10.0.0.1, port: 0}"),
            "f:6:35: 'port' must be a number from 1 to 65535, got '0'\n"},
        Row{"duration", kPort + "timeouts: {tcp: soon}\n",
            "f:2:17: 'tcp' must be a duration from 1s to 31d, got 'soon'\n"},
        Row{"duration_too_short", kPort + "timeouts: {tcp: 0s}\n",
            "f:2:17: 'tcp' must be a duration from 1s to 31d, got '0s'\n"},
        Row{"size", "dataplane:\n  connections: 1X\n  ports: [{name: p, driver: memory}]\n",
            "f:2:16: 'connections' must be a size from 16 to 1G, got '1X'\n"},
        Row{"word", kPort + "services: [{name: s, virtual: " + kWeb + ", scheduler: wwr}]\n",
            "f:2:60: 'scheduler' must be one of rr wrr lc wlc sh dh lblc lblcr sed nq fo ovf mh "
            "twos, got 'wwr'\n"},
        Row{"address", kPort + "servers: {a: {address: example.com}}\n",
            "f:2:24: 'address' must be an IPv4 or IPv6 address, got 'example.com'\n"},
        Row{"listen", kPort + "web: {listen: 9105}\n",
            "f:2:15: 'listen' must be address:port with a port from 1 or none, got '9105'\n"},
        Row{"text_too_long",
            "dataplane: {ports: [{name: " + std::string(32, 'p') + ", driver: memory}]}\n",
            "f:1:28: 'name' must be text of 1 to 31 characters, got '" + std::string(32, 'p') +
                "'\n"},
        Row{"list_too_long",
            "dataplane:\n  workers: [" + many(65) +
                "]\n  ports: " + "[{name: p, driver: memory}]\n",
            "f:2:12: 'workers' can have 64 entries at most, got 65\n"},
        Row{"virtual_without_protocol", kPort + "services: [{name: s, virtual: 192.0.2.1:80}]\n",
            "f:2:31: 'virtual' must be address:port/protocol or mark:N, got '192.0.2.1:80'\n"},
        Row{"virtual_icmp", kPort + "services: [{name: s, virtual: 192.0.2.1:80/icmp}]\n",
            "f:2:31: 'virtual' must be address:port/protocol or mark:N, got '192.0.2.1:80/icmp'\n"},
        Row{"virtual_ipv6_without_quotes",
            kPort + "services:\n  - name: s\n    virtual:\n      - [2001:db8::1]\n",
            "f:5:9: 'virtual' must be address:port/protocol or mark:N, got a list; IPv6 in "
            "brackets needs "
            "quotes\n"}),
    name_of);

std::string with(const std::string& key) {
    return kPort + "services:\n  - name: s\n    virtual: " + kWeb + "\n    " + key + "\n";
}

INSTANTIATE_TEST_SUITE_P(
    Health, Messages,
    testing::Values(
        Row{"type_missing", with("health: {interval: 1s}"),
            "f:5:13: 'type' is missing: a check needs one\n"},
        Row{"type_of_one_of_several", with("checks: [{type: tcp}, {port: 80}]"),
            "f:5:27: 'type' is missing: a check needs one\n"},
        Row{"type_unknown", with("health: {type: ftp}"),
            "f:5:20: 'type' must be one of none tcp http https smtp script dns udp icmp, got "
            "'ftp'\n"},
        Row{"status", with("health: {type: http, http: {status: [200-299, 99]}}"),
            "f:5:51: 'status' must be a status code or a range like 200-299, got '99'\n"},
        Row{"yes", with("start_down: yes"),
            "f:5:17: 'start_down' must be true or false, got 'yes'\n"},
        Row{"too_often", with("health: {type: tcp, interval: 1ms}"),
            "f:5:35: 'interval' must be a duration from 10ms to 1d, got '1ms'\n"},
        Row{"hysteresis", with("quorum: {up: 2, hysteresis: 2}"),
            "f:5:13: 'hysteresis' (2) must be less than 'up' (2)\n"},
        Row{"quorum_command", with("quorum: {on_up: up.sh}"),
            "f:5:13: the command 'up.sh' must be an absolute path\n"},
        Row{"sorry_without_address", with("sorry_server: {port: 80}"),
            "f:5:19: 'address' is missing\n"},
        Row{"sorry_family", with("sorry_server: {address: '2001:db8::1'}"),
            "f:5:19: no virtual of the service has the family of the sorry server's address "
            "2001:db8::1\n"},
        Row{"two_overrides", service(kWeb, "{address: 10.0.0.1, health: [{port: 1}, {port: 2}]}"),
            "f:6:37: 'health' can have 1 entries at most, got 2\n"}),
    name_of);

std::string later(const std::string& what) {
    return what + " is not supported by this version of torii\n";
}

INSTANTIATE_TEST_SUITE_P(
    Later, Messages,
    testing::Values(
        Row{"switch_of_sync", kPort + "behaviour: {sync_ports: 1}\n",
            "f:2:13: torii has no 'sync_ports': there is no synchronisation daemon\n"},
        Row{"switch", kPort + "behaviour: {drop_packet: 1}\n",
            "f:2:13: torii has no 'drop_packet': a new connection costs no memory that could run "
            "short\n"},
        Row{"bond", "dataplane:\n  ports:\n    - {name: p, driver: bond, members: [a, b]}\n",
            later("f:3:25: 'driver: bond'") + later("f:3:31: 'members'")}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Dataplane, Messages,
    testing::Values(
        Row{"no_ports", "instance: a\n",
            "f: there is no port: 'dataplane.ports' needs at least one\n"},
        Row{"no_ports_in_the_list", "dataplane: {ports: []}\n",
            "f:1:20: there is no port: 'dataplane.ports' needs at least one\n"},
        Row{"instance", "instance: a/b\n" + kPort,
            "f:1:11: 'instance' must be 1 to 32 letters, digits, '_' and '-': it names files\n"},
        Row{"socket", kPort + "api: {socket: api.sock}\n",
            "f:2:15: 'socket' must be an absolute path\n"},
        Row{"worker_twice", "dataplane: {workers: [1, 2, 1], ports: [{name: p, driver: memory}]}\n",
            "f:1:22: core 1 is given twice: a core runs one worker\n"},
        Row{"af_xdp_without_interface", "dataplane: {ports: [{name: p}]}\n",
            "f:1:21: driver af_xdp needs 'interface'\n"},
        Row{"af_xdp_with_device",
            "dataplane: {ports: [{name: p, interface: e, device: '0000:3b:00.0'}]}\n",
            "f:1:53: driver af_xdp has no 'device'\n"},
        Row{"pci_without_device", "dataplane: {ports: [{name: p, driver: pci, interface: e}]}\n",
            "f:1:21: driver pci needs 'device'\nf:1:55: driver pci has no 'interface'\n"},
        Row{"interface_name", "dataplane: {ports: [{name: p, interface: sixteen-letters1}]}\n",
            "f:1:42: 'sixteen-letters1' cannot be the name of an interface: 1 to 15 characters "
            "without spaces, '/' and ':'\n"},
        Row{"port_name_twice",
            "dataplane:\n  ports:\n    - {name: p, driver: memory}\n    - {name: p, driver: "
            "memory}\n",
            "f:4:14: the port name 'p' is already used at f:3:14\n"},
        Row{"interface_twice",
            "dataplane:\n  ports:\n    - {name: p, interface: e}\n    - {name: q, interface: e}\n",
            "f:4:28: interface 'e' is already used at f:3:28\n"},
        Row{"device_twice",
            "dataplane:\n  ports:\n    - {name: p, driver: pci, device: d}\n"
            "    - {name: q, driver: pci, device: d}\n",
            "f:4:38: device 'd' is already used at f:3:38\n"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Services, Messages,
    testing::Values(
        Row{"same_virtual",
            kPort + "services:\n  - {name: a, virtual: 192.0.2.1:80/tcp}\n"
                    "  - {name: b, virtual: [192.0.2.1:80/udp, 192.0.2.1:80/tcp]}\n",
            "f:4:43: 192.0.2.1:80/tcp already belongs to 'a' at f:3:24\n"},
        Row{"same_virtual_within",
            kPort + "services: [{name: a, virtual: [" + kWeb + ", " + kWeb + "]}]\n",
            "f:2:50: 192.0.2.1:80/tcp already belongs to 'a' at f:2:32\n"},
        Row{"same_name",
            kPort + "services:\n  - {name: a, virtual: 192.0.2.1:80/tcp}\n"
                    "  - {name: a, virtual: 192.0.2.2:80/tcp}\n",
            "f:4:12: the service name 'a' is already used at f:3:12\n"},
        Row{"port_0", service("192.0.2.1:0/tcp", "{address: 10.0.0.1}"),
            "f:4:14: 192.0.2.1:0/tcp: port 0 (every port) needs 'persistence'\n"},
        Row{"persistence_without_timeout", with("persistence: {netmask: 24}"),
            "f:5:18: 'timeout' is missing\n"},
        Row{"persistence_split_second", with("persistence: {timeout: 1500ms}"),
            "f:5:28: persistence is counted in whole seconds\n"},
        Row{"netmask_too_long", with("persistence: {timeout: 5s, netmask: 33}"),
            "f:5:41: an IPv4 address has no 33 bits\n"},
        Row{"netmask_of_both",
            kPort + "services: [{name: s, virtual: [192.0.2.1:80/tcp, '[2001:db8::1]:80/tcp'], "
                    "persistence: {timeout: 5s, netmask: 24}}]\n",
            "f:2:111: 'netmask' means another thing for IPv4 and for IPv6, and 's' has virtuals of "
            "both: make it two services\n"},
        Row{"netmask_dotted_for_ipv6",
            kPort + "services: [{name: s, virtual: '[2001:db8::1]:80/tcp', "
                    "persistence: {timeout: 5s, netmask: 255.255.0.0}}]\n",
            "f:2:91: 'netmask' of an IPv6 service must be a prefix length\n"},
        Row{"one_packet_of_tcp", with("one_packet: true"),
            "f:5:17: one_packet is for udp virtuals and marks only, not for 192.0.2.1:80/tcp\n"},
        Row{"virtual_multicast", service("224.0.0.1:80/tcp", "{address: 10.0.0.1}"),
            "f:4:14: the virtual address 224.0.0.1 is a multicast address: it must be unicast\n"},
        Row{"virtual_loopback", service("'[::1]:80/tcp'", "{address: '2001:db8::1'}"),
            "f:4:14: the virtual address ::1 is a loopback address: it must be unicast\n"},
        Row{"virtual_unspecified", service("0.0.0.0:80/tcp", "{address: 10.0.0.1}"),
            "f:4:14: the virtual address 0.0.0.0 is the unspecified address: it must be unicast\n"},
        Row{"virtual_broadcast", service("255.255.255.255:80/tcp", "{address: 10.0.0.1}"),
            "f:4:14: the virtual address 255.255.255.255 is the broadcast address: it must be "
            "unicast\n"},
        Row{"backend_multicast", service(kWeb, "{address: 239.1.1.1}"),
            "f:6:19: the backend's address 239.1.1.1 is a multicast address: it must be unicast\n"},
        Row{"backend_unspecified", service(kWeb, "{address: 0.0.0.0}"),
            "f:6:19: the backend's address 0.0.0.0 is the unspecified address: it must be "
            "unicast\n"},
        Row{"server_loopback", kPort + "servers: {a: {address: 127.0.0.1}}\n",
            "f:2:24: the server's address 127.0.0.1 is a loopback address: it must be unicast\n"},
        Row{"backend_from_nothing", service(kWeb, "{port: 80}"),
            "f:6:9: a backend needs 'server' or 'address'\n"},
        Row{"backend_from_both",
            service(kWeb, "{server: a, address: 10.0.0.2}", "servers: {a: {address: 10.0.0.1}}\n"),
            "f:6:30: 'address' cannot stand beside 'server': the server has one\n"},
        Row{"unknown_server", service(kWeb, "{server: web9}"),
            "f:6:18: there is no server 'web9' in 'servers'\n"},
        Row{"dr_port", service(kWeb, "{address: 10.0.0.1, forward: dr, port: 8080}"),
            "f:6:48: direct routing cannot change ports: the backend gets 192.0.2.1:80/tcp on port "
            "80; leave 'port' out or forward by nat\n"},
        Row{"family_nat", service(kWeb, "{address: '2001:db8::2'}"),
            "f:6:19: the backend's address 2001:db8::2 is IPv6, and 'www' has no IPv6 virtual: nat "
            "cannot change the family\n"},
        Row{"family_dr_by_server",
            service("'[2001:db8::1]:80/tcp'", "{server: a, forward: dr}",
                    "servers: {a: {address: 10.0.0.1}}\n"),
            "f:6:9: the backend's address 10.0.0.1 is IPv4, and 'www' has no IPv4 virtual: dr "
            "cannot change the family\n"},
        Row{"same_backend", service(kWeb, "{address: 10.0.0.1}\n      - {address: 10.0.0.1}"),
            "f:7:9: the backend 10.0.0.1 is already in 'www' at f:6:9\n"},
        Row{"same_backend_by_default_port",
            service(kWeb, "{address: 10.0.0.1}\n      - {address: 10.0.0.1, port: 80}"),
            "f:7:9: the backend 10.0.0.1 is already in 'www' at f:6:9\n"},
        Row{"same_backend_by_default_port_later",
            service(kWeb, "{address: 10.0.0.1, port: 80}\n      - {address: 10.0.0.1}"),
            "f:7:9: the backend 10.0.0.1 is already in 'www' at f:6:9\n"},
        Row{"same_backend_by_server",
            service(kWeb, "{server: a}\n      - {address: 10.0.0.1}",
                    "servers: {a: {address: 10.0.0.1}}\n"),
            "f:7:9: the backend 10.0.0.1 is already in 'www' at f:6:9\n"},
        Row{"tunnel_of_nat", service(kWeb, "{address: 10.0.0.1, tunnel: {type: gre}}"),
            "f:6:37: 'tunnel' is for 'forward: tunnel' only\n"},
        Row{"gue_without_port", tunnel("{type: gue}"), "f:6:54: a gue tunnel needs 'port'\n"},
        Row{"gre_with_port", tunnel("{type: gre, port: 6080}"),
            "f:6:72: a tunnel of type gre has no port\n"},
        Row{"ipip_checksum", tunnel("{checksum: csum}"),
            "f:6:65: a tunnel of type ipip has no checksum 'csum'\n"},
        Row{"gre_remcsum", tunnel("{type: gre, checksum: remcsum}"),
            "f:6:76: a tunnel of type gre has no checksum 'remcsum'\n"},
        Row{"tunnel_port", service(kWeb, "{address: 10.0.0.1, forward: tunnel, port: 81}"),
            "f:6:52: a tunnel cannot change ports: the backend gets 192.0.2.1:80/tcp on port 80; "
            "leave 'port' out or forward by nat\n"},
        Row{"same_mark_twice",
            kPort + "marks:\n  - {mark: 1, destination: 10.0.0.0/8, ports: 80}\n"
                    "  - {mark: 2, destination: 10.0.0.0/8, ports: 80}\n",
            "f:4:5: 10.0.0.0/8 tcp ports 80 already have a mark, given at f:3:5\n"},
        Row{"mark_zero", kPort + "services: [{name: s, virtual: 'mark:0'}]\n",
            "f:2:31: 'virtual' must be mark:N or mark:N/ipv6, got 'mark:0'\n"},
        Row{"thresholds", service(kWeb, "{address: 10.0.0.1, upper: 10, lower: 20}"),
            "f:6:47: 'lower' (20) cannot be above 'upper' (10)\n"}),
    name_of);

// Errors of both layers at once, in the order of the file; and what could not be read is not
// complained about a second time by the checks.
INSTANTIATE_TEST_SUITE_P(
    Several, Messages,
    testing::Values(
        Row{"two",
            service("192.0.2.1:80/icmp", "{server: web9, weight: many}", "timeouts: {tcpp: 3s}\n"),
            "f:4:14: 'virtual' must be address:port/protocol or mark:N, got '192.0.2.1:80/icmp'\n"
            "f:6:18: there is no server 'web9' in 'servers'\n"
            "f:6:32: 'weight' must be a number from 0 to 65535, got 'many'\n"
            "f:7:12: unknown key 'tcpp'; did you mean 'tcp'?\n"},
        Row{"address_once", service(kWeb, "{address: nowhere}"),
            "f:6:19: 'address' must be an IPv4 or IPv6 address, got 'nowhere'\n"},
        Row{"driver_once", "dataplane:\n  ports:\n    - {name: p, driver: afxdp}\n",
            "f:3:25: 'driver' must be one of af_xdp pci tap memory, got 'afxdp'\n"},
        Row{"upper_once", service(kWeb, "{address: 10.0.0.1, upper: x, lower: 20}"),
            "f:6:36: 'upper' must be a number from 0 to 4294967295, got 'x'\n"}),
    name_of);

TEST(Allowed, BackendsOfBothFamiliesBehindVirtualsOfBoth) {
    const Loaded loaded =
        load_text(service("[192.0.2.1:80/tcp, '[2001:db8::1]:80/tcp']",
                          "{address: 10.0.0.1}\n      - {address: '2001:db8::2'}"),
                  "f");
    EXPECT_EQ(format(loaded.diagnostics), "");
}

TEST(Allowed, OneAddressOnTwoPorts) {
    const Loaded loaded =
        load_text(service("[192.0.2.1:80/tcp, 192.0.2.1:443/tcp]",
                          "{address: 10.0.0.1, port: 80}\n      - {address: 10.0.0.1, port: 443}"),
                  "f");
    EXPECT_EQ(format(loaded.diagnostics), "");
}

TEST(CheckMachine, NamesWhatTheMachineLacks) {
    const Loaded loaded = load_text(
        "dataplane:\n  workers: [0, 7]\n  connections: 64M\n  ports:\n"
        "    - {name: a, interface: eth0}\n    - {name: b, interface: eth7}\n"
        "    - {name: c, driver: tap, interface: tap7}\n",
        "f");
    ASSERT_TRUE(loaded.config) << format(loaded.diagnostics);
    const Machine small{
        .cpus = 2, .memory_bytes = 4ull << 30, .interfaces = {"lo", "eth0"}, .addresses = {}};
    EXPECT_EQ(format(check_machine(*loaded.config, small)),
              "f:2:12: there is no core 7: this machine has 0 to 1\n"
              "f:6:28: there is no interface 'eth7': this machine has eth0 lo\n"
              "f:3:16: a table of 67108864 connections needs about 6144 MiB, and this machine has "
              "4096 MiB: lower 'connections' to at most 44739242\n");
    const Machine large{.cpus = 8,
                        .memory_bytes = 64ull << 30,
                        .interfaces = {"eth0", "eth7", "lo"},
                        .addresses = {}};
    EXPECT_EQ(format(check_machine(*loaded.config, large)), "");
}

TEST(CheckMachine, ThisMachineHasAtLeastItself) {
    const Machine here = this_machine();
    EXPECT_GE(here.cpus, 1u);
    EXPECT_GT(here.memory_bytes, 64u << 20);
    EXPECT_THAT(here.interfaces, testing::Contains("lo"));
}

}  // namespace
}  // namespace torii::config
