#pragma once
// Runner: runs programs beside the event loop, never more than a set number at once. Health checks,
// notifications and trackers share it; each owner has a Runner of its own, and with
// `most_at_once` 1 its programs run one after the other in the order they were given.
//
// A program that outlives its timeout gets SIGTERM with its whole process group, and SIGKILL two
// seconds later; the caller hears of the timeout at once. What a program that has ended left behind
// in its group is killed as well. Of its output the beginning is kept; a program that writes more
// than kMostRead is not read any further, and so runs into its timeout.
//
// Thread-safety: everything happens in the thread that runs the io_context.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "control/process/spawn.h"

namespace boost::asio {
class io_context;
}

namespace torii::process {

struct Task {
    Program program;
    std::chrono::microseconds timeout = std::chrono::seconds(10);  ///< from its start
    size_t most_output = 4096;                                     ///< bytes that are kept
};

struct Outcome {
    enum class How : uint8_t { exited, signalled, timed_out, not_started };
    How how = How::exited;
    int status = 0;       ///< exit status, or the signal's number
    std::string output;   ///< the first bytes of stdout and stderr
    std::string problem;  ///< not_started: why, as a sentence
    std::chrono::microseconds took{0};
};

class Runner {
public:
    static constexpr size_t kMostRead = 1u << 20;
    static constexpr std::chrono::seconds kGrace{2};
    using Done = std::function<void(const Outcome&)>;
    using Id = uint64_t;

    Runner(boost::asio::io_context&, size_t most_at_once);
    /// Kills what still runs; nobody is told.
    ~Runner();

    /// Runs it now, or as soon as fewer than `most_at_once` run. `done` is called once, never
    /// before run() has returned.
    Id run(Task, Done done);
    /// Kills it with its group, or takes it from the queue; `done` will not be called. An id that
    /// has ended is ignored.
    void cancel(Id);

    size_t running() const;  ///< also those that are being killed
    size_t waiting() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace torii::process
