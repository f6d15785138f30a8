#pragma once
// Watches what instances track: scripts, files, processes. (Interfaces are the hands' business; the
// dataplane and services are told from outside.)
//
// Thread-safety: everything happens in the thread that runs the io_context.

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "config/model/vrrp.h"
#include "control/process/runner.h"
#include "vrrp/track.h"

namespace torii::control::vrrp {

/// How many processes have this name (/proc/PID/comm) or, with a slash, run this file.
using ProcessCounts = std::map<std::string, unsigned>;
ProcessCounts count_processes(const std::set<std::string>& names);

class Watchers {
public:
    /// Files and processes are looked at so often.
    static constexpr std::chrono::milliseconds kLook{200};
    /// Where a thing is watched: the instance's name and its place in tracked_of().
    struct Where {
        std::string instance;
        uint32_t item = 0;
        friend auto operator<=>(const Where&, const Where&) = default;
    };
    /// `health` of the thing has changed, or `number` of a file.
    using Changed = std::function<void(const Where&, torii::vrrp::Health health, int number)>;

    Watchers(boost::asio::io_context&, Changed);
    ~Watchers();

    /// Watches what this says. What is watched already goes on; what is known of it is told again.
    void set(const std::vector<config::VrrpInstance>&);

private:
    struct Script;
    struct File;
    struct Process;
    void look();
    void look_later();

    boost::asio::io_context& loop_;
    Changed changed_;
    process::Runner runner_;
    struct Timer;
    std::unique_ptr<Timer> timer_;
    std::map<Where, std::shared_ptr<Script>> scripts_;
    std::map<Where, File> files_;
    std::map<Where, Process> processes_;
};

}  // namespace torii::control::vrrp
