#pragma once
// Network namespaces without names: they live as long as their descriptor, so nothing is left
// behind by a test that fails.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "control/kernel/mirror.h"

namespace torii::kernel::testing {

using Clock = std::chrono::steady_clock;
inline constexpr auto kPatience = std::chrono::seconds(10);

/// Runs a shell command in the thread's namespace.
inline void run(const std::string& command) {
    const int status = std::system(command.c_str());
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << command;
}

/// Feeds lines to `ip -batch`.
inline void run_batch(const std::string& lines, const std::string& options = "") {
    FILE* pipe = popen(("ip " + options + " -batch -").c_str(), "w");
    ASSERT_NE(pipe, nullptr);
    ASSERT_EQ(fwrite(lines.data(), 1, lines.size(), pipe), lines.size());
    ASSERT_EQ(pclose(pipe), 0);
}

/// The test's own namespace `here`, and another one, `there`.
class InNamespace : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_EQ(unshare(CLONE_NEWNET), 0) << "these tests need root";
        there_ = open("/proc/self/ns/net", O_RDONLY);
        ASSERT_EQ(unshare(CLONE_NEWNET), 0);
        here_ = open("/proc/self/ns/net", O_RDONLY);
        run("ip link set lo up");
    }
    void TearDown() override {
        close(here_);
        close(there_);
    }
    void there(const std::string& command) {
        ASSERT_EQ(setns(there_, CLONE_NEWNET), 0);
        run(command);
        ASSERT_EQ(setns(here_, CLONE_NEWNET), 0);
    }
    /// How `ip link ... netns` names the other namespace.
    std::string there_path() const {
        return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(there_);
    }
    /// A link that carries nothing anywhere: a veth whose other end, NAMEp, is up here too.
    void add_link(const std::string& name, const std::string& options = "") {
        run("ip link add " + name + " " + options + " type veth peer name " + name + "p");
        run("ip link set " + name + "p addrgenmode none && ip link set " + name + "p up");
    }
    void add_link_up(const std::string& name) {
        add_link(name);
        run("ip link set " + name + " addrgenmode none && ip link set " + name + " up");
    }
    /// v0 here, v1 there, with addresses of both families.
    void join() {
        // A solicitation needs a source address, which duplicate detection would hold back for a
        // second.
        const char* const no_dad = "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad";
        run(no_dad);
        there(no_dad);
        run("ip link add v0 type veth peer name v1 netns " + there_path());
        run("ip addr add 10.1.0.1/24 dev v0 && ip addr add 2001:db8:1::1/64 dev v0 nodad");
        run("ip link set v0 up");
        there("ip addr add 10.1.0.2/24 dev v1 && ip addr add 2001:db8:1::2/64 dev v1 nodad");
        there("ip link set v1 up");
    }

    int here_ = -1, there_ = -1;
};

inline std::unique_ptr<Mirror> open_mirror(MirrorOptions options = {}) {
    auto mirror = Mirror::open(options);
    EXPECT_TRUE(mirror) << mirror.error().message;
    return mirror ? std::move(*mirror) : nullptr;
}

/// Lets the mirror take in what comes until the condition holds.
inline bool eventually(Mirror& mirror, const std::function<bool(const Snapshot&)>& holds) {
    const auto deadline = Clock::now() + kPatience;
    for (;;) {
        auto processed = mirror.process();
        EXPECT_TRUE(processed) << processed.error().message;
        if (holds(mirror.snapshot())) return true;
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0) return false;
        pollfd waiting{mirror.fd(), POLLIN, 0};
        poll(&waiting, 1, int(left.count()));
    }
}

inline Address addr(std::string_view text) { return *parse_address(text); }
inline Prefix net(std::string_view text) { return *parse_prefix(text); }

inline const Route* find_route(const Snapshot& s, std::string_view destination, uint32_t metric) {
    for (const auto& route : s.routes)
        if (route.destination == net(destination) && route.metric == metric) return &route;
    return nullptr;
}

}  // namespace torii::kernel::testing
