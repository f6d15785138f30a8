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
