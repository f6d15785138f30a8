// Programs that end, fail, hang, fork, flood, ignore signals or cannot be started.

#include "control/process/runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>

#include "tests/support/temporary_directory.h"

namespace torii::process {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::TemporaryDirectory;
using ::testing::HasSubstr;
using How = Outcome::How;

class RunnerTest : public ::testing::Test {
protected:
    static Task shell(std::string script, std::chrono::microseconds timeout = seconds(20)) {
        Task task;
        task.program.argv = {"/bin/sh", "-c", std::move(script)};
        task.timeout = timeout;
        return task;
    }
    /// Until `done` holds; fails the test when that takes longer than any test should.
    template <class Done>
    void run_until(Done done) {
        const auto end = std::chrono::steady_clock::now() + seconds(20);
        while (!done()) {
            ASSERT_LT(std::chrono::steady_clock::now(), end);
            loop.restart();
            loop.run_one_for(milliseconds(100));
        }
    }
    Outcome outcome_of(Task task) {
        std::optional<Outcome> got;
        runner.run(std::move(task), [&](const Outcome& o) { got = o; });
        run_until([&] { return got.has_value(); });
        return got.value_or(Outcome{});
    }
    void run_until_idle() {
        run_until([&] { return runner.running() == 0 && runner.waiting() == 0; });
    }

    boost::asio::io_context loop;
    Runner runner{loop, 3};
};

/// Not ended; one that only waits for init to take note of its end has.
bool alive(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    return std::getline(file, line) && line.find(") Z ") == line.npos;
}

TEST_F(RunnerTest, TellsExitStatusAndOutput) {
    const Outcome o = outcome_of(shell("echo out; echo err >&2; exit 7"));
    EXPECT_EQ(o.how, How::exited);
    EXPECT_EQ(o.status, 7);
    EXPECT_EQ(o.output, "out\nerr\n");
}

TEST_F(RunnerTest, GivesTheProgramOnlyWhatItWasTold) {
    ::setenv("TORII_TEST_SECRET", "1", 1);
    const int leaked = ::dup(0);
    Task task = shell("env; ls /proc/self/fd | wc -l; pwd; [ $(ps -o pgid= $$) = $$ ] && echo own");
    task.program.environment = {{"TORII_SERVER", "web 1"}};
    const Outcome o = outcome_of(task);
    ::close(leaked);
    EXPECT_THAT(o.output, HasSubstr("TORII_SERVER=web 1\n"));
    EXPECT_THAT(o.output, HasSubstr("PATH=/usr/local/sbin:"));
    EXPECT_THAT(o.output, ::testing::Not(HasSubstr("TORII_TEST_SECRET")));
    EXPECT_THAT(o.output, HasSubstr("\n4\n/\nown\n"));  // the three and ls's own
}

TEST_F(RunnerTest, SaysWhichSignalEndedIt) {
    const Outcome o = outcome_of(shell("kill -9 $$"));
    EXPECT_EQ(o.how, How::signalled);
    EXPECT_EQ(o.status, SIGKILL);
}

TEST_F(RunnerTest, SaysWhyItCannotStart) {
    const TemporaryDirectory directory;
    const std::string plain = directory.path() + "/plain";
    std::ofstream(plain) << "#!/bin/sh\n";
    const std::pair<const char*, const char*> cases[] = {
        {"/nonexistent/check", "No such file or directory"}, {plain.c_str(), "Permission denied"}};
    for (const auto& [file, why] : cases) {
        Task task;
        task.program.argv = {file};
        const Outcome o = outcome_of(task);
        EXPECT_EQ(o.how, How::not_started);
        EXPECT_THAT(o.problem, HasSubstr(why));
        EXPECT_THAT(o.problem, HasSubstr(file));
    }
    Task task = shell("true");
    task.program.user = "no-such-user";
    EXPECT_THAT(outcome_of(task).problem, HasSubstr("there is no user 'no-such-user'"));
}

TEST_F(RunnerTest, BecomesTheUserWithItsGroups) {
    if (::getuid() != 0) GTEST_SKIP() << "only root can become somebody else";
    Task task = shell("id -un; id -gn; id -G; echo $HOME");
    task.program.user = "nobody";
    EXPECT_EQ(outcome_of(task).output, "nobody\nnogroup\n65534\n/nonexistent\n");
    EXPECT_EQ(::getuid(), 0u);
}

TEST_F(RunnerTest, ATimeoutEndsTheWholeGroupAlsoWhenItIgnoresTheSignal) {
    const auto before = std::chrono::steady_clock::now();
    const Outcome o = outcome_of(shell(
        "trap '' TERM; (trap '' TERM; sleep 60 & echo $!; wait) & wait; wait", milliseconds(300)));
    EXPECT_EQ(o.how, How::timed_out);
    EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(2));
    const pid_t grandchild = std::stoi(o.output);
    EXPECT_EQ(runner.running(), 1u);
    run_until_idle();
    run_until([&] { return !alive(grandchild); });
}

TEST_F(RunnerTest, AProgramThatEndedBeforeAnybodyLookedIsBelieved) {
    const TemporaryDirectory directory;
    for (int n = 0; n < 3; ++n) {
        const std::string file = directory.path() + "/" + std::to_string(n);
        std::optional<Outcome> got;
        runner.run(
            shell("echo $$ > " + file + ".new; mv " + file + ".new " + file + "; sleep 0.3; exit 5",
                  milliseconds(60)),
            [&](const Outcome& o) { got = o; });
        loop.restart();
        while (runner.running() == 0) loop.poll_one();
        // The loop is away until its time has passed and it has ended as well; and between the two
        // more comes up than the loop takes at a time.
        std::vector<boost::asio::posix::stream_descriptor> others;
        for (int k = 0; k < 300; ++k) {
            others.emplace_back(loop, ::eventfd(0, EFD_CLOEXEC));
            others.back().async_wait(others.back().wait_read, [](boost::system::error_code) {});
        }
        ::usleep(80000);
        for (auto& o : others) ::eventfd_write(o.native_handle(), 1);
        const auto end = std::chrono::steady_clock::now() + seconds(20);
        pid_t pid = 0;
        for (; pid == 0 && std::chrono::steady_clock::now() < end; ::usleep(1000))
            std::ifstream(file) >> pid;
        while (alive(pid) && std::chrono::steady_clock::now() < end) ::usleep(1000);
        run_until([&] { return got.has_value(); });
        EXPECT_EQ(got->how, How::exited);
        EXPECT_EQ(got->status, 5);
    }
}

TEST_F(RunnerTest, WhatAProgramLeavesBehindIsKilledAndDoesNotHoldUpItsResult) {
    const auto before = std::chrono::steady_clock::now();
    const Outcome o = outcome_of(shell("sleep 60 & echo $!"));
    EXPECT_EQ(o.how, How::exited);
    EXPECT_EQ(o.status, 0);
    EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(5));
    const pid_t left = std::stoi(o.output);
    run_until([&] { return !alive(left); });
}

TEST_F(RunnerTest, AFloodOfOutputIsBounded) {
    Task task = shell("exec yes", milliseconds(500));
    task.most_output = 10;
    const Outcome o = outcome_of(task);
    EXPECT_EQ(o.how, How::timed_out);
    EXPECT_EQ(o.output, "y\ny\ny\ny\ny\n");
    EXPECT_EQ(outcome_of(shell("head -c 300000 /dev/zero; exit 3")).status, 3);
}

TEST_F(RunnerTest, NeverRunsMoreThanItMayAndKeepsTheOrder) {
    Runner one(loop, 1);
    const TemporaryDirectory directory;
    const std::string log = directory.path() + "/log";
    std::vector<int> ended;
    for (int n = 0; n < 5; ++n)
        one.run(shell("echo begin >> " + log + "; sleep 0.0" + std::to_string(9 - n) +
                      "; echo end >> " + log),
                [&, n](const Outcome&) { ended.push_back(n); });
    EXPECT_TRUE(ended.empty());
    run_until([&] {
        EXPECT_LE(one.running(), 1u);
        return ended.size() == 5;
    });
    EXPECT_THAT(ended, ::testing::ElementsAre(0, 1, 2, 3, 4));
    std::ifstream in(log);
    std::string line;
    for (int n = 0; std::getline(in, line); ++n) EXPECT_EQ(line, n % 2 ? "end" : "begin");
}

TEST_F(RunnerTest, WhatIsCancelledIsKilledAndNotTold) {
    Runner one(loop, 1);
    bool told = false, later = false;
    const auto id = one.run(shell("exec sleep 60"), [&](const Outcome&) { told = true; });
    const auto queued = one.run(shell("true"), [&](const Outcome&) { told = true; });
    one.run(shell("true"), [&](const Outcome&) { later = true; });
    run_until([&] { return one.running() == 1; });
    one.cancel(queued);
    one.cancel(id);
    one.cancel(id + 100);
    run_until([&] { return later; });
    EXPECT_FALSE(told);
}

TEST_F(RunnerTest, ItsEndKillsWhatRuns) {
    const TemporaryDirectory directory;
    const std::string file = directory.path() + "/pid";
    {
        Runner other(loop, 1);
        other.run(
            shell("echo $$ > " + file + ".new; mv " + file + ".new " + file + "; exec sleep 60"),
            [](const Outcome&) { FAIL(); });
        run_until([&] { return ::access(file.c_str(), R_OK) == 0; });
    }
    pid_t pid = 0;
    std::ifstream(file) >> pid;
    ASSERT_GT(pid, 0);
    EXPECT_FALSE(alive(pid));
    loop.restart();
    loop.poll();
}

TEST_F(RunnerTest, LeavesNoDescriptorsAndNoZombies) {
    const auto open = [] {
        return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
    };
    outcome_of(shell("true"));
    run_until_idle();
    const auto before = open();
    for (int n = 0; n < 20; ++n) outcome_of(shell("exit 1"));
    run_until_idle();
    EXPECT_EQ(open(), before);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
}

}  // namespace
}  // namespace torii::process
