// Files that include files, and what is said of mistakes in them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "config/load/load.h"
#include "tests/support/temporary_directory.h"

namespace torii::config {
namespace {

using testing::HasSubstr;

class Include : public testing::Test {
protected:
    void write(const std::string& name, std::string_view text) {
        std::ofstream(directory_.path() + "/" + name) << text;
    }
    Loaded load() { return load_file(directory_.path() + "/torii.yaml"); }
    std::string complaint() {
        Loaded loaded = load();
        EXPECT_FALSE(loaded.config);
        std::string text = format(loaded.diagnostics);
        for (size_t at; (at = text.find(directory_.path() + "/")) != text.npos;)
            text.erase(at, directory_.path().size() + 1);
        return text;
    }
    test::TemporaryDirectory directory_;
};

constexpr std::string_view kTop = R"(include: ["services-*.yaml", servers.yaml]
dataplane: {ports: [{name: p0, driver: memory}]}
servers: {web1: {address: 10.0.0.1}}
services:
  - {name: a, virtual: 192.0.2.1:80/tcp, backends: [{server: web1}, {server: web2}]}
)";

TEST_F(Include, PutsListsAndSectionsTogether) {
    write("torii.yaml", kTop);
    write("servers.yaml", "servers: {web2: {address: 10.0.0.2}}\ntimeouts: {udp: 7s}\n");
    write("services-2.yaml",
          "services: [{name: c, virtual: 192.0.2.3:80/tcp, backends: [{server: web2}]}]\n");
    write("services-1.yaml",
          "services:\n  - {name: b, virtual: 192.0.2.2:80/tcp, backends: [{server: web1}]}\n");
    const Loaded loaded = load();
    ASSERT_EQ(format(loaded.diagnostics), "");
    const Config& c = *loaded.config;
    ASSERT_EQ(c.services.size(), 3u);
    EXPECT_EQ(c.services[0].name + c.services[1].name + c.services[2].name, "abc");
    EXPECT_EQ(c.servers.size(), 2u);
    EXPECT_EQ(c.services[0].backends[1].address, *parse_address("10.0.0.2"));
    EXPECT_EQ(c.timeouts.udp, std::chrono::seconds(7));
    EXPECT_THAT(c.services[1].name_mark.file, HasSubstr("services-1.yaml"));
    EXPECT_EQ(c.services[1].name_mark.line, 2);
    EXPECT_EQ(loaded.files.size(), 4u);
}

TEST_F(Include, MistakesNameTheirFile) {
    write("torii.yaml", kTop);
    write("servers.yaml", "servers:\n  web2: {address: nowhere}\n");
    write("services-1.yaml", "services: [{name: b, virtual: 192.0.2.1:80/tcp, wat: 1}]\n");
    const std::string said = complaint();
    EXPECT_THAT(said, HasSubstr("servers.yaml:2:19: 'address' must be"));
    EXPECT_THAT(said, HasSubstr("services-1.yaml:1:49: unknown key 'wat'"));
    EXPECT_THAT(
        said,
        HasSubstr(
            "services-1.yaml:1:31: 192.0.2.1:80/tcp already belongs to 'a' at torii.yaml:5:24"));
}

TEST_F(Include, WhatIsSaidTwiceIsAnError) {
    write("torii.yaml", kTop);
    write("servers.yaml",
          "servers: {web2: {address: 10.0.0.2}, web1: {address: 10.0.0.3}}\ninstance: x\n");
    write("services-1.yaml", "instance: y\n");
    const std::string said = complaint();
    EXPECT_THAT(said, HasSubstr("servers.yaml:1:38: 'web1' is already given at torii.yaml:3:17"));
    EXPECT_THAT(said,
                HasSubstr("servers.yaml:2:1: 'instance' is already given at services-1.yaml:1:11"));
}

TEST_F(Include, FilesThatAreNotThereOrIncludeThemselves) {
    write("torii.yaml", "include: [a.yaml, missing.yaml, \"none-*.yaml\", list.yaml]\n");
    write("a.yaml", "include: torii.yaml\n");
    write("list.yaml", "- 1\n");
    const std::string said = complaint();
    EXPECT_THAT(said, HasSubstr("torii.yaml:1:19: missing.yaml: No such file or directory"));
    EXPECT_THAT(said, HasSubstr("a.yaml:1:10: torii.yaml includes itself"));
    EXPECT_THAT(said, HasSubstr("list.yaml:1:1: an included file must be a mapping"));
    EXPECT_THAT(said, Not(HasSubstr("none-")));
}

TEST_F(Include, OnlyTextIsAPattern) {
    write("torii.yaml", "include: [{a: b}, \"\"]\n");
    EXPECT_THAT(complaint(), HasSubstr("torii.yaml:1:11: 'include' must be"));
}

TEST_F(Include, TheNumberAndSizeOfFilesAreBounded) {
    for (int i = 0; i < 1001; ++i) write("f" + std::to_string(i) + ".yaml", "# nothing\n");
    write("torii.yaml", "include: \"f*.yaml\"\n");
    EXPECT_THAT(complaint(), HasSubstr("torii.yaml:1:10: more than 1000 files"));
    const std::string large(8u << 20, ' ');
    for (const char* name : {"f0.yaml", "f1.yaml", "f2.yaml"}) write(name, large);
    EXPECT_THAT(complaint(), HasSubstr("more than 16 MiB"));
}

}  // namespace
}  // namespace torii::config
