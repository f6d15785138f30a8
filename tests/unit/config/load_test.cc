#include "config/load/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace torii::config {
namespace {

using namespace std::chrono_literals;

/// The smallest thing that loads.
constexpr std::string_view kPorts = "dataplane: {ports: [{name: p0, driver: memory}]}\n";

Config must_load(std::string_view text) {
    Loaded loaded = load_text(text, "t.yaml");
    EXPECT_EQ(format(loaded.diagnostics), "");
    return loaded.config.value_or(Config{});
}

TEST(Load, DefaultsAreThoseOfTheContract) {
    const Config c = must_load(kPorts);
    EXPECT_EQ(c.instance, "default");
    EXPECT_EQ(c.dataplane.connections, 1u << 20);
    EXPECT_EQ(c.dataplane.backends, 65536u);
    EXPECT_EQ(c.dataplane.idle, 50us);
    EXPECT_EQ(c.dataplane.hugepages, Hugepages::automatic);
    EXPECT_EQ(c.timeouts.tcp, 900s);
    EXPECT_EQ(c.timeouts.tcp_fin, 120s);
    EXPECT_EQ(c.timeouts.udp, 300s);
    EXPECT_EQ(c.api.socket, "/run/torii/default/api.sock");
    EXPECT_EQ(to_string(*c.web.listen), "127.0.0.1:9105");
    EXPECT_EQ(worker_cores(c.dataplane, 1), std::vector<uint32_t>{0});
    EXPECT_EQ(worker_cores(c.dataplane, 8), std::vector<uint32_t>{1});
}

/// What is in scope of the example every operator starts from.
constexpr std::string_view kExample = R"(instance: edge1
dataplane:
  workers: [1]
  hugepages: auto
  idle: 50us
  connections: 1M
  backends: 64k
  ports:
    - {name: outside, driver: af_xdp, interface: eth0}
    - {name: inside,  driver: af_xdp, interface: eth1}
    - {name: card, driver: pci, device: "0000:3b:00.0", kernel_interface: torii0}
timeouts: {tcp: 900s, tcp_fin: 120s, udp: 300s}
api: {socket: /run/torii/edge1/api.sock, group: torii}
web: {listen: "127.0.0.1:9105"}
servers:
  web1: {address: 192.168.31.101}
  web2: {address: 192.168.31.102, weight: 2}
  mail1: {address: 192.168.31.110}
services:
  - name: www
    virtual: [203.0.113.10:80/tcp, "[2001:db8::10]:80/tcp"]
    scheduler: wlc
    scheduler_flags: []
    forward: nat
    backends:
      - {server: web1, port: 8080}
      - {server: web2, port: 8080, upper: 5000, lower: 4000}
      - {address: 192.168.31.103, port: 8080, weight: 3}
  - name: smtp
    virtual: 203.0.113.11:25/tcp
    scheduler: lc
    forward: dr
    backends: [{server: mail1}]
  - name: dns
    virtual: 203.0.113.12:53/udp
    scheduler: rr
    forward: dr
    backends: [{address: 192.168.31.120}]
)";

TEST(Load, ExampleHasItsValuesPlacesAndOrder) {
    const Config c = must_load(kExample);
    EXPECT_EQ(c.dataplane.workers, std::vector<uint32_t>{1});
    ASSERT_EQ(c.dataplane.ports.size(), 3u);
    EXPECT_EQ(c.dataplane.ports[1].interface, "eth1");
    EXPECT_EQ(to_string(c.dataplane.ports[1].interface_mark), "t.yaml:10:50");
    EXPECT_EQ(c.dataplane.ports[2].device, "0000:3b:00.0");
    EXPECT_EQ(c.dataplane.ports[2].kernel_interface, "torii0");
    ASSERT_EQ(c.services.size(), 3u);
    const Service& www = c.services[0];
    EXPECT_EQ(to_string(www.mark), "t.yaml:20:5");
    ASSERT_EQ(www.virtuals.size(), 2u);
    EXPECT_EQ(to_string(www.virtuals[1]), "[2001:db8::10]:80/tcp");
    EXPECT_EQ(to_string(www.virtuals[1].mark), "t.yaml:21:36");
    ASSERT_EQ(www.backends.size(), 3u);
    EXPECT_EQ(to_string(www.backends[1].mark), "t.yaml:27:9");
    EXPECT_EQ(to_string(www.backends[2].address_mark), "t.yaml:28:19");
    EXPECT_EQ(www.backends[1].upper, 5000u);
    EXPECT_EQ(www.backends[1].lower, 4000u);
    EXPECT_EQ(c.services[2].virtuals[0].protocol, Protocol::udp);
}

TEST(Load, BackendsTakeWhatTheyLackFromServerAndService) {
    const Config c = must_load(kExample);
    const auto& www = c.services[0].backends;
    EXPECT_EQ(to_string(www[0].address), "192.168.31.101");
    EXPECT_EQ(www[0].weight, 1);
    EXPECT_EQ(www[1].weight, 2) << "the server's";
    EXPECT_EQ(www[2].weight, 3) << "its own";
    EXPECT_EQ(backend_port(www[0], c.services[0].virtuals[0]), 8080);
    const Service& smtp = c.services[1];
    EXPECT_EQ(smtp.backends[0].forward, Forward::dr);
    EXPECT_EQ(backend_port(smtp.backends[0], smtp.virtuals[0]), 25);
}

TEST(Load, OwnValuesWinOverServerAndServiceEvenWhenTheyAreTheDefault) {
    const Config c = must_load(std::string(kPorts) + R"(
servers: {a: {address: 10.0.0.1, weight: 7}}
services:
  - name: s
    virtual: 192.0.2.1:80/tcp
    forward: dr
    backends: [{server: a, weight: 1, forward: nat, port: 8080}]
)");
    EXPECT_EQ(c.services[0].backends[0].weight, 1);
    EXPECT_EQ(c.services[0].backends[0].forward, Forward::nat);
}

TEST(Load, WordsForZeroAndNone) {
    const Config c = must_load(
        "dataplane: {idle: poll, ports: [{name: p, driver: memory, queues: auto}]}\n"
        "web: {listen: none}\n");
    EXPECT_EQ(c.dataplane.idle, 0us);
    EXPECT_EQ(c.dataplane.ports[0].queues, 0u);
    EXPECT_FALSE(c.web.listen);
}

TEST(Load, SchedulersAndFlags) {
    for (const char* name : {"rr", "wrr", "lc", "wlc", "sh", "dh"})
        EXPECT_EQ(
            must_load(std::string(kPorts) +
                      "services: [{name: s, virtual: 192.0.2.1:80/tcp, scheduler: " + name + "}]\n")
                .services[0]
                .scheduler,
            name);
    const Config c = must_load(std::string(kPorts) +
                               "services: [{name: s, virtual: 192.0.2.1:80/tcp, scheduler: sh, "
                               "scheduler_flags: [sh-fallback, sh-port]}]\n");
    EXPECT_THAT(c.services[0].scheduler_flags,
                testing::ElementsAre(SchedulerFlag::sh_fallback, SchedulerFlag::sh_port));
}

TEST(Load, AnAliasStandsForWhatItNames) {
    const Config c = must_load(std::string(kPorts) + R"(
services:
  - {name: a, virtual: 192.0.2.1:80/tcp, backends: &web [{address: 10.0.0.1}, {address: 10.0.0.2}]}
  - {name: b, virtual: 192.0.2.2:80/tcp, backends: *web}
)");
    ASSERT_EQ(c.services[1].backends.size(), 2u);
    EXPECT_EQ(to_string(c.services[1].backends[1].address), "10.0.0.2");
}

TEST(Load, InstanceNamesTheSocketUnlessItIsWritten) {
    Config c = must_load(std::string("instance: a\n") + std::string(kPorts));
    EXPECT_EQ(c.api.socket, "/run/torii/a/api.sock");
    set_instance(c, "b");
    EXPECT_EQ(c.instance, "b");
    EXPECT_EQ(c.api.socket, "/run/torii/b/api.sock");
    Config written = must_load(std::string(kPorts) + "api: {socket: /run/x.sock}\n");
    set_instance(written, "b");
    EXPECT_EQ(written.api.socket, "/run/x.sock");
}

TEST(Load, MovingLinesChangesNothing) {
    EXPECT_EQ(must_load(kExample), must_load("# a comment\n" + std::string(kExample)));
    EXPECT_NE(must_load(kExample), must_load(kPorts));
}

/// A file in a folder of its own, gone at the end.
class Folder : public testing::Test {
protected:
    void SetUp() override {
        char name[] = "/tmp/torii-config-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        path_ = name;
    }
    void TearDown() override {
        unlink((path_ + "/f.yaml").c_str());
        rmdir(path_.c_str());
    }
    std::string path_;
};

TEST_F(Folder, ReadsAFileAndNamesItInMessages) {
    const std::string file = path_ + "/f.yaml";
    std::ofstream(file) << kPorts << "x: 1\n";
    const Loaded loaded = load_file(file);
    EXPECT_FALSE(loaded.config);
    EXPECT_THAT(format(loaded.diagnostics), testing::StartsWith(file + ":2:1: unknown key 'x'"));
    std::ofstream(file) << kPorts;
    EXPECT_TRUE(load_file(file).config);
}

TEST_F(Folder, SaysWhyAFileCannotBeRead) {
    EXPECT_EQ(format(load_file(path_ + "/none.yaml").diagnostics),
              path_ + "/none.yaml: No such file or directory\n");
    EXPECT_EQ(format(load_file(path_).diagnostics), path_ + ": Is a directory\n");
}

TEST(Load, TheExampleInTheDocumentationLoads) {
    const Loaded loaded = load_file(TORII_SOURCE_DIR "/docs/examples/torii.yaml");
    EXPECT_EQ(format(loaded.diagnostics), "");
    ASSERT_TRUE(loaded.config);
    EXPECT_EQ(loaded.config->services.size(), 3u);
}

}  // namespace
}  // namespace torii::config
