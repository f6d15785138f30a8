#pragma once
// Tells others of transitions: programs, a named pipe with keepalived's lines. The programs of one
// instance or group run one after the other in the order of its transitions, each at most as long
// as its timeout, so that a late one is never overtaken.
//
// Thread-safety: everything happens in the thread that runs the io_context.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/model/vrrp.h"
#include "control/process/runner.h"
#include "vrrp/fsm.h"

namespace torii::control::vrrp {

/// What keepalived calls the role: MASTER, BACKUP, FAULT, STOP.
std::string_view keepalived_word(torii::vrrp::Role);

struct Transition {
    enum class Of : uint8_t { instance, group };
    Of of = Of::instance;
    std::string name;
    torii::vrrp::Role role = torii::vrrp::Role::initialize;  ///< initialize = it has stopped
    torii::vrrp::Reason reason = torii::vrrp::Reason::none;
    unsigned priority = 0;
    std::string interface;
};

/// The programs a transition starts: that of the role, then the one for all, which gets
/// keepalived's four arguments: INSTANCE or GROUP, name, state, priority. Pure.
std::vector<process::Task> tasks_of(const Transition&, const config::VrrpNotify&);
/// INSTANCE "VI_1" MASTER 100
std::string fifo_line(const Transition&);

class Notifier {
public:
    explicit Notifier(boost::asio::io_context&);
    ~Notifier();

    /// Makes the pipe when there is none; an empty path ends it.
    Result<> set_fifo(const std::string& path);
    void tell(const Transition&, const config::VrrpNotify&);
    /// No program runs or waits.
    bool idle() const;

private:
    void write_fifo(const std::string& line);
    boost::asio::io_context& loop_;
    std::map<std::string, std::unique_ptr<process::Runner>> runners_;  ///< by kind and name
    std::string fifo_path_;
    int fifo_ = -1;
    bool fifo_full_ = false;
};

}  // namespace torii::control::vrrp
