// Programs of one service run in order, one at a time; services do not wait for each other.

#include "control/health/notifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <fstream>

#include "tests/support/temporary_directory.h"

namespace torii::health {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class NotifierTest : public ::testing::Test {
protected:
    static process::Task shell(const std::string& script, milliseconds timeout = seconds(20)) {
        process::Task task;
        task.program.argv = {"/bin/sh", "-c", script};
        task.timeout = timeout;
        return task;
    }
    std::vector<std::string> told() const {
        std::ifstream in(file);
        std::vector<std::string> lines;
        for (std::string line; std::getline(in, line);) lines.push_back(line);
        return lines;
    }
    template <class Done>
    bool run_until(Done done) {
        const auto end = std::chrono::steady_clock::now() + seconds(20);
        while (!done() && std::chrono::steady_clock::now() < end) {
            loop.restart();
            loop.run_one_for(milliseconds(50));
        }
        return done();
    }

    const torii::test::TemporaryDirectory directory;
    const std::string file = directory.path() + "/told";
    boost::asio::io_context loop;
    Notifier notifier{loop};
};

TEST_F(NotifierTest, KeepsTheOrderWithinAServiceAndHoldsUpNoOther) {
    for (const char* n : {"1", "2", "3"})
        notifier.tell("slow", n,
                      shell(std::string("echo begin") + n + " >> " + file +
                            "; sleep 0.1; echo end" + n + " >> " + file));
    ASSERT_TRUE(run_until([&] { return told().size() == 6; }));
    EXPECT_THAT(told(),
                ::testing::ElementsAre("begin1", "end1", "begin2", "end2", "begin3", "end3"));
    notifier.tell("stuck", "x", shell("sleep 600", milliseconds(5000)));
    notifier.tell("stuck", "y", shell("echo late >> " + file));
    notifier.tell("other", "z", shell("echo other >> " + file));
    ASSERT_TRUE(run_until([&] { return told().size() == 7; }));
    EXPECT_EQ(told().back(), "other");
    ASSERT_TRUE(run_until([&] { return told().size() == 8; }));  // x is killed at its timeout
    EXPECT_EQ(told().back(), "late");
}

TEST_F(NotifierTest, AFloodOfEventsIsBounded) {
    notifier.tell("s", "first", shell("sleep 0.3"));
    for (size_t n = 0; n < Notifier::kMostWaiting + 5; ++n)
        notifier.tell("s", "n", shell(n < 5 ? "echo lost >> " + file : "true", milliseconds(1)));
    notifier.tell("t", "done", shell("echo done >> " + file));
    ASSERT_TRUE(run_until([&] { return !told().empty(); }));
    EXPECT_THAT(told(), ::testing::ElementsAre("done"));
}

}  // namespace
}  // namespace torii::health
