#pragma once
// Notifier: runs the programs that operators want to hear of servers and quorums by. Those of one
// service run one after the other in the order in which things happened; services do not wait for
// each other, but no more than kAtOnce programs run together. Each ends at its timeout.
//
// Thread-safety: everything happens in the thread that runs the io_context.

#include <deque>
#include <map>
#include <string>

#include "control/process/runner.h"

namespace torii::health {

class Notifier {
public:
    static constexpr size_t kAtOnce = 16;
    static constexpr size_t kMostWaiting = 1000;  ///< of one service; of more, the oldest is lost

    explicit Notifier(boost::asio::io_context& loop) : runner_(loop, kAtOnce) {}

    /// `what` is for the log.
    void tell(const std::string& service, std::string what, process::Task);

private:
    struct Waiting {
        std::string what;
        process::Task task;
    };
    void next(const std::string& service);

    std::map<std::string, std::deque<Waiting>> services_;  // those of which a program runs
    process::Runner runner_;
};

}  // namespace torii::health
