#pragma once
// Speaker: the thread that speaks VRRP. Adverts, timers and the state machine are here and nothing
// else: no file, no lock, no log, no netlink, no memory that another thread frees.
//
// Thread-safety: start() and the destructor belong to the event loop; everything between is by
// mailbox.

#include <memory>
#include <string>
#include <thread>

#include "control/vrrp/messages.h"

namespace torii::control::vrrp {

class Speaker {
public:
    /// `boxes` must outlive it.
    static Result<std::unique_ptr<Speaker>> start(Mailboxes& boxes, unsigned realtime);
    /// Joins the thread, which must have been told to stop.
    ~Speaker();
    /// Why the thread is not real-time although it should be; empty when it is.
    const std::string& warning() const { return warning_; }

private:
    class Work;
    explicit Speaker(std::unique_ptr<Work>);
    std::unique_ptr<Work> work_;
    std::thread thread_;
    std::string warning_;
};

}  // namespace torii::control::vrrp
