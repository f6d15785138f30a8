// ipvsadm's commands as edits beside a configuration: the kernel's answers, and what a reload and a
// restart of toriid leave of them.
#include "control/commands.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "control/edit_file.h"
#include "control/runtime.h"
#include "tests/support/temporary_directory.h"

namespace torii::control {
namespace {

using api::IpvsCommand;
using api::Verb;

const ServiceKey kWeb{*parse_address("10.0.0.1"), 80, Protocol::tcp, 0};

Endpoint at(const char* text) { return *parse_endpoint(text); }

Destination destination(const char* where, uint16_t weight, shm::Forward f = shm::Forward::nat) {
    Destination d;
    d.key = at(where);
    d.weight = weight;
    d.forward = f;
    return d;
}

// One web service with two servers.
Desired file() {
    Desired d;
    Service s;
    s.key = kWeb;
    s.name = "web";
    s.scheduler = "rr";
    s.destinations = {destination("10.0.1.1:80", 1), destination("10.0.1.2:80", 2)};
    d.services = {s};
    return d;
}

Machine machine() {
    return {[](const Address& a) { return a.is_loopback(); },
            [](std::string_view name) { return name == "rr" || name == "wrr" || name == "wlc"; }};
}

// verb [service] [server] [weight] [forward], as few as the verb needs.
IpvsCommand command(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> words;
    for (std::string w; in >> w;) words.push_back(w);
    words.resize(5);
    IpvsCommand c;
    for (int v = 0; v <= int(Verb::stop_daemon); ++v)
        if (to_string(Verb(v)) == words[0]) c.verb = Verb(v);
    c.rule.scheduler = "rr";
    if (!words[1].empty()) {
        api::ServiceName name;
        if (words[1].starts_with("mark")) {
            name.mark = uint32_t(std::stoul(words[1].substr(4)));
        } else {
            name.endpoint = at(words[1].c_str());
            name.family = name.endpoint.address.family();
            c.rule.netmask = full_mask(name.family);
        }
        c.service = name;
    }
    if (!words[2].empty()) c.server = at(words[2].c_str());
    if (!words[3].empty()) c.server_rule.weight = uint32_t(std::stoul(words[3]));
    c.server_rule.forward = words[4].empty() ? "nat" : words[4];
    return c;
}

struct Bench {
    Desired desired = file();
    std::optional<FileIndex> index;
    Edits edits;

    std::string run(const std::string& text) {
        index.emplace(desired);
        const std::vector<IpvsCommand> one{command(text)};
        Batch b = control::run(desired, *index, edits, one, machine());
        edits = std::move(b.edits);
        return b.errors.empty() ? "" : b.errors[0].code;
    }
    std::string refused(IpvsCommand c) {
        index.emplace(desired);
        const Batch b = control::run(desired, *index, edits, std::span(&c, 1), machine());
        EXPECT_EQ(b.edits, edits);
        return b.errors.empty() ? "" : b.errors[0].code;
    }
    Desired running() const { return apply_edits(desired, edits); }
    std::string servers(const ServiceKey& key = kWeb) const {
        const Desired now = running();
        const Service* s = find(now, key);
        if (s == nullptr) return "none";
        std::string out;
        for (const Destination& d : s->destinations)
            out += to_string(d.key) + "=" + std::to_string(d.weight) + " ";
        return out;
    }
};

TEST(Commands, ErrorsAreTheKernels) {
    Bench b;
    EXPECT_EQ(b.run("add_service 10.0.0.1:80"), "EEXIST");
    EXPECT_EQ(b.run("edit_service 10.0.0.9:80"), "ESRCH");
    EXPECT_EQ(b.run("delete_service 10.0.0.9:80"), "ESRCH");
    EXPECT_EQ(b.run("zero 10.0.0.9:80"), "ESRCH");
    EXPECT_EQ(b.run("add_server 10.0.0.9:80 10.0.1.1:80 1"), "ESRCH");
    EXPECT_EQ(b.run("add_server 10.0.0.1:80 10.0.1.1:80 1"), "EEXIST");
    EXPECT_EQ(b.run("edit_server 10.0.0.1:80 10.0.1.9:80 1"), "ENOENT");
    EXPECT_EQ(b.run("delete_server 10.0.0.1:80 10.0.1.9:80"), "ENOENT");
    EXPECT_EQ(b.run("stop_daemon"), "ESRCH");
    EXPECT_TRUE(b.edits.empty());
}

TEST(Commands, IPv4InIPv6NamesNothing) {
    Bench b;
    for (const char* verb :
         {"edit_service", "delete_service", "zero", "add_server", "edit_server", "delete_server"}) {
        IpvsCommand c = command(std::string(verb) + " 10.0.0.1:80 10.0.1.1:80");
        c.service->family = Family::ipv6;
        EXPECT_EQ(b.refused(c), "ESRCH") << verb;
    }
    IpvsCommand c = command("add_service 10.0.0.2:80");
    c.service->family = Family::ipv6;
    c.rule.netmask = 128;
    EXPECT_EQ(b.refused(c), "EINVAL");
    for (const auto& [line, code] : {std::pair{"add_server 10.0.0.1:80 10.0.1.1:80 1", "EINVAL"},
                                     {"edit_server 10.0.0.1:80 10.0.1.1:80 1 tunnel", "ENOENT"},
                                     {"delete_server 10.0.0.1:80 10.0.1.1:80", "ENOENT"}}) {
        c = command(line);
        c.server_mapped = true;
        EXPECT_EQ(b.refused(c), code) << line;
    }
}

TEST(Commands, WhatTheKernelChecksOfValues) {
    Bench b;
    IpvsCommand c = command("add_service 10.0.0.2:80");
    c.rule.scheduler = "nosuch";
    EXPECT_EQ(b.refused(c), "ENOENT");
    c.rule.scheduler = "rr";
    EXPECT_EQ(b.run("zero"), "");
    c.rule.engine = "foo";
    EXPECT_EQ(b.refused(c), "ENOENT");
    c = command("add_service [2001:db8::1]:80");
    c.rule.netmask = 129;
    EXPECT_EQ(b.refused(c), "EINVAL");
    EXPECT_EQ(b.refused(command("add_service 0.0.0.0:80")), "EINVAL");
    for (const char* bad : {"224.0.0.1:80", "0.0.0.0:80", "255.255.255.255:80"})
        EXPECT_EQ(b.refused(command(std::string("add_server 10.0.0.1:80 ") + bad + " 1")),
                  "EINVAL");
    EXPECT_EQ(b.refused(command("add_server 10.0.0.1:80 [2001:db8::2]:80 1 nat")), "EINVAL");
    EXPECT_EQ(b.refused(command("add_server 10.0.0.1:80 [fe80::2]:80 1 tunnel")), "EINVAL");
    c = command("add_server 10.0.0.1:80 10.0.1.3:80 1");
    c.server_rule.upper = 5;
    c.server_rule.lower = 6;
    EXPECT_EQ(b.refused(c), "ERANGE");
    EXPECT_EQ(b.run("add_server 10.0.0.1:80 127.0.0.1:80 1"), "");
    EXPECT_EQ(b.run("add_server 10.0.0.1:80 240.0.0.1:80 1"), "");
}

TEST(Commands, ServersAreAddedEditedAndDeleted) {
    Bench b;
    EXPECT_EQ(b.run("add_server 10.0.0.1:80 10.0.1.3:80 3"), "");
    EXPECT_EQ(b.run("edit_server 10.0.0.1:80 10.0.1.1:80 7"), "");
    EXPECT_EQ(b.run("delete_server 10.0.0.1:80 10.0.1.2:80"), "");
    EXPECT_EQ(b.servers(), "10.0.1.1:80=7 10.0.1.3:80=3 ");
    EXPECT_EQ(b.run("delete_server 10.0.0.1:80 10.0.1.3:80"), "");
    EXPECT_EQ(b.run("add_server 10.0.0.1:80 10.0.1.2:80 5"), "");
    EXPECT_EQ(b.servers(), "10.0.1.1:80=7 10.0.1.2:80=5 ");
    EXPECT_EQ(find(b.running(), kWeb)->name, "web");
}

TEST(Commands, AServiceThatIsAddedAgainHasNoServers) {
    Bench b;
    EXPECT_EQ(b.run("delete_service 10.0.0.1:80"), "");
    EXPECT_EQ(b.servers(), "none");
    EXPECT_EQ(b.run("add_server 10.0.0.1:80 10.0.1.1:80 1"), "ESRCH");
    EXPECT_EQ(b.run("add_service 10.0.0.1:80"), "");
    EXPECT_EQ(b.servers(), "");
    EXPECT_EQ(b.run("add_server 10.0.0.1:80 10.0.1.2:80 9"), "");
    EXPECT_EQ(b.servers(), "10.0.1.2:80=9 ");
}

TEST(Commands, ClearForgetsWhatWasAddedAndHidesTheFile) {
    Bench b;
    EXPECT_EQ(b.run("add_service mark7"), "");
    EXPECT_EQ(b.run("add_server mark7 10.0.1.9:0 1"), "");
    EXPECT_EQ(b.running().services.size(), 2u);
    EXPECT_EQ(b.run("clear"), "");
    EXPECT_TRUE(b.running().services.empty());
    EXPECT_EQ(b.edits.services.size(), 1u);  // that the file's is gone
}

TEST(Commands, ABatchGoesOnAfterAnError) {
    const Desired d = file();
    const std::vector<IpvsCommand> all{command("add_service 10.0.0.2:80"),
                                       command("add_service 10.0.0.2:80"),
                                       command("add_server 10.0.0.2:80 10.0.1.1:80 1")};
    const Batch b = run(d, FileIndex(d), {}, all, machine());
    ASSERT_EQ(b.errors.size(), 1u);
    EXPECT_EQ(b.errors[0].command, 1u);
    EXPECT_EQ(apply_edits(d, b.edits).services.back().destinations.size(), 1u);
}

TEST(Commands, TimeoutsOfZeroStay) {
    Bench b;
    IpvsCommand c;
    c.verb = Verb::set_timeouts;
    c.timeouts = {1, 0, 3};
    b.index.emplace(b.desired);
    b.edits = run(b.desired, *b.index, {}, std::span(&c, 1), machine()).edits;
    const shm::Timeouts t = b.running().timeouts;
    EXPECT_EQ((std::array{t.tcp[1], t.tcp[4], t.udp}), (std::array<uint32_t, 3>{1, 120, 3}));
}

TEST(Edits, TheFileWinsWhereItSaysSomethingNew) {
    Bench b;
    b.run("edit_server 10.0.0.1:80 10.0.1.1:80 7");
    b.run("edit_server 10.0.0.1:80 10.0.1.2:80 8");
    b.run("add_server 10.0.0.1:80 10.0.1.3:80 3");
    b.run("add_service mark7");
    b.desired.services.edit(0).destinations[0].weight = 5;  // the file now says so
    b.desired.services.edit(0).name = "www";                // which is nothing to LVS
    b.edits = keep_beside(b.desired, b.edits);
    EXPECT_EQ(b.servers(), "10.0.1.1:80=5 10.0.1.2:80=8 10.0.1.3:80=3 ");
    EXPECT_EQ(b.running().services.size(), 2u);
    b.desired.services = {};
    b.edits = keep_beside(b.desired, b.edits);
    EXPECT_EQ(b.running().services.size(), 1u);  // mark 7
    EXPECT_EQ(b.edits.services.size(), 1u);
}

TEST(Edits, ADeletedServiceComesBackWhenTheFileChangesIt) {
    Bench b;
    b.run("delete_service 10.0.0.1:80");
    b.edits = keep_beside(b.desired, b.edits);
    EXPECT_EQ(b.servers(), "none");
    b.desired.services.edit(0).scheduler = "wrr";
    b.edits = keep_beside(b.desired, b.edits);
    EXPECT_EQ(b.servers(), "10.0.1.1:80=1 10.0.1.2:80=2 ");
}

TEST(Edits, DifferenceFromTheFile) {
    Bench b;
    EXPECT_EQ(describe_difference(b.desired, b.running()), "");
    b.run("edit_server 10.0.0.1:80 10.0.1.1:80 7");
    b.run("delete_server 10.0.0.1:80 10.0.1.2:80");
    b.run("add_service mark7");
    b.run("add_server mark7 10.0.1.9:0 1");
    EXPECT_EQ(describe_difference(b.desired, b.running()),
              "  10.0.0.1:80/tcp\n"
              "  - server 10.0.1.1:80 nat weight 1\n"
              "  + server 10.0.1.1:80 nat weight 7\n"
              "  - server 10.0.1.2:80 nat weight 2\n"
              "+ mark:7\n"
              "  + scheduler rr\n"
              "  + server 10.0.1.9:0 nat weight 1\n");
}

struct EditFiles : testing::Test {
    test::TemporaryDirectory directory;
    std::string path = directory.path() + "/edits";

    Edits written() {
        EditFile f(path);
        Edits edits;
        const Desired d = file();
        const FileIndex index(d);
        for (const char* text :
             {"add_service mark7", "add_server mark7 10.0.1.9:0 1",
              "delete_server 10.0.0.1:80 10.0.1.1:80", "edit_server 10.0.0.1:80 10.0.1.2:80 6",
              "delete_server mark7 10.0.1.9:0", "add_server mark7 10.0.1.8:0 4"}) {
            const std::vector<IpvsCommand> one{command(text)};
            Batch b = run(d, index, edits, one, machine());
            EXPECT_TRUE(f.append(b)) << text;
            edits = b.edits;
        }
        return edits;
    }
};

TEST_F(EditFiles, AreReadAsTheyWereWritten) {
    const Edits edits = written();
    const auto read = EditFile(path).load();
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(to_lines(*read), to_lines(edits));
    EXPECT_EQ(read->last, edits.last);
    EXPECT_TRUE(EditFile(directory.path() + "/none").load()->empty());
}

TEST_F(EditFiles, ABatchWithoutItsEndNeverCounted) {
    const Edits edits = written();
    std::ofstream(path, std::ios::app)
        << "{\"service\":[\"10.0.0.1\",80,6,0],\"gone\":true}\n{\"ser";
    EditFile f(path);
    const auto read = f.load();
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(to_lines(*read), to_lines(edits));
    EXPECT_EQ(to_lines(*EditFile(path).load()), to_lines(edits));  // mended
}

TEST_F(EditFiles, NonsenseIsSetAside) {
    for (const char* nonsense : {"nonsense\n", "{\"torii_edits\":2}\n", "[]\n",
                                 "{\"torii_edits\":1}\n{\"service\":5}\n{\"end\":1}\n"}) {
        std::ofstream(path) << nonsense;
        EXPECT_FALSE(EditFile(path).load()) << nonsense;
        EXPECT_FALSE(std::filesystem::exists(path));
        EXPECT_TRUE(std::filesystem::exists(path + ".bad"));
    }
}

TEST_F(EditFiles, DoNotGrowWithoutBound) {
    EditFile f(path);
    Edits edits;
    const Desired d = file();
    for (int i = 0; i < 3000; ++i) {
        const std::vector<IpvsCommand> one{command("edit_server 10.0.0.1:80 10.0.1.2:80 6")};
        const Batch b = run(d, FileIndex(d), edits, one, machine());
        ASSERT_TRUE(f.append(b));
        edits = b.edits;
    }
    EXPECT_LT(std::filesystem::file_size(path), 400'000u);
    EXPECT_EQ(to_lines(*EditFile(path).load()), to_lines(edits));
}

TEST_F(EditFiles, RuntimeKeepsEditsOverARestart) {
    std::string problem;
    Desired in_force;
    const Runtime::Apply apply = [&](Desired d, const Zero&) -> Result<> {
        in_force = std::move(d);
        return {};
    };
    const std::vector<IpvsCommand> one{command("edit_server 10.0.0.1:80 10.0.1.2:80 6")};
    {
        Runtime r(path, machine(), problem);
        ASSERT_TRUE(r.configure(file(), apply));
        ASSERT_TRUE(r.run(one, apply));
        EXPECT_EQ(in_force.services[0].destinations[1].weight, 6);
        // A change that cannot be put into force changes nothing.
        const auto full = r.run(
            one, [](Desired, const Zero&) -> Result<> { return fail(Errc::full, "no slots"); });
        EXPECT_FALSE(full);
    }
    Runtime r(path, machine(), problem);
    EXPECT_EQ(problem, "");
    ASSERT_TRUE(r.configure(file(), apply));
    EXPECT_EQ(in_force.services[0].destinations[1].weight, 6);
    Desired other = file();
    other.services.edit(0).destinations[1].weight = 3;
    EXPECT_EQ(*r.configure(other, apply), 1u);
    EXPECT_EQ(in_force.services[0].destinations[1].weight, 3);
}

}  // namespace
}  // namespace torii::control
