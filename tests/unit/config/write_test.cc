// What show writes can be read again; what the schema says is what the reader takes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "config/load/load.h"
#include "config/schema/schema.h"

namespace torii::config {
namespace {

using Json = nlohmann::json;

Config must_load(std::string_view text) {
    Loaded loaded = load_text(text, "t.yaml");
    EXPECT_EQ(format(loaded.diagnostics), "") << text;
    return loaded.config.value_or(Config{});
}

TEST(Write, FillsInTheDefaults) {
    const Config config = must_load(
        "services: [{name: a, virtual: 192.0.2.1:53/udp, backends: []}]\n"
        "dataplane: {ports: [{name: p, driver: memory}]}\n");
    EXPECT_EQ(emit_yaml(*write_config(config, "timeouts")), "tcp: 15m\ntcp_fin: 2m\nudp: 5m\n");
    EXPECT_EQ(emit_yaml(*write_config(config, "dataplane.connections")), "1M\n");
    EXPECT_THAT(emit_yaml(*write_config(config)), testing::HasSubstr("scheduler: wlc"));
    EXPECT_FALSE(write_config(config, "timeouts.nothing"));
}

TEST(Write, IsReadAgainAsTheSame) {
    const std::string base =
        "dataplane: {ports: [{name: p, driver: memory}]}\nservers: {web1: {address: 10.0.0.1, "
        "weight: "
        "7}}\n";
    const auto service = [](const std::string& keys, const std::string& backend = "") {
        return "services:\n- name: a\n  virtual: [192.0.2.1:80/tcp, \"[2001:db8::1]:80/tcp\"]\n" +
               keys + "  backends: [{server: web1" + backend +
               "}, {address: 10.0.0.2}, {address: \"2001:db8::2\"}]\n";
    };
    const std::string texts[] = {
        "{}",
        service(""),
        service("  health: {type: none}\n"),
        service("  health: {type: tcp, interval: 7s}\n", ", port: 81, health: {port: 9}"),
        service("  health: {type: http, fall: 5, http: {path: [/a, /b], host: h}}\n",
                ", health: {http: {path: /c}, flap: {changes: 3}}"),
        service(
            "  health: {interval: 7s, rise: 9}\n  checks: [{type: tcp}, {type: https, tls: {ca: "
            "/x}, fall: 2}]\n",
            ", checks: [{type: icmp}]"),
        service("  health: {interval: 3s, type: tcp}\n", ", health: {type: none}"),
        service(
            "  quorum: {up: 3, hysteresis: 1, on_up: /a, on_down: [/b, c d]}\n  slow_start: 30s\n"
            "  notify: {up: /u, down: [/d, x], user: nobody}\n  max_down: 50\n"
            "  sorry_server: {address: 10.0.0.9}\n  start_down: true\n"),
        service("  forward: tunnel\n  tunnel: {type: gue, port: 6080, checksum: csum}\n"
                "  persistence: {timeout: 300s}\n  drain: {deadline: 60s}\n"
                "  scheduler: mh\n  scheduler_flags: [mh-port]\n",
                ", forward: dr"),
        "marks: [{mark: 7, destination: 203.0.113.16/28, ports: 80-443}]\n"
        "services: [{name: m, virtual: mark:7, backends: [{address: 10.0.0.2}]}]\n",
        "vrrp: {instances: [{name: v, interface: eth0, router_id: 7, addresses: [192.0.2.1/24], "
        "track: "
        "{interfaces: [eth1, {name: eth2, weight: -5}], scripts: [{command: /x, interval: "
        "2s}]}}]}\n"};
    for (const std::string& text : texts) {
        const Config config = must_load(text == "{}" ? base : base + text);
        const std::string shown = emit_yaml(*write_config(config));
        const Config again = must_load(shown);
        for (const Change& c : changes(config, again)) ADD_FAILURE() << c.key << " of " << text;
        EXPECT_EQ(config, again) << text << shown;
        EXPECT_EQ(emit_yaml(*write_config(again)), shown);
    }
}

TEST(Schema, NamesEveryKeyAndItsBounds) {
    const Json schema = Json::parse(json_schema());
    const Json& service = schema["properties"]["services"]["items"];
    EXPECT_EQ(service["additionalProperties"], false);
    EXPECT_EQ(service["required"], Json({"name", "virtual"}));
    EXPECT_EQ(service["properties"]["scheduler"]["default"], "wlc");
    const Json& backend = service["properties"]["backends"]["items"]["properties"];
    EXPECT_EQ(backend["weight"]["maximum"], 65535);
    EXPECT_EQ(backend["port"]["minimum"], 1);
    const Json& dataplane = schema["properties"]["dataplane"]["properties"];
    EXPECT_EQ(dataplane["workers"]["anyOf"][1]["maxItems"], 64);
    EXPECT_EQ(dataplane["idle"]["anyOf"][1]["const"], "poll");
    EXPECT_EQ(schema["properties"]["servers"]["additionalProperties"]["required"],
              Json({"address"}));
}

TEST(KeyPaths, GoThroughListsAndNames) {
    const auto paths = key_paths();
    for (const char* path :
         {"timeouts.tcp", "services[].backends[].weight", "servers.NAME.address"})
        EXPECT_THAT(paths, testing::Contains(path));
}

}  // namespace
}  // namespace torii::config
