#pragma once
// Hands: the thread that touches the kernel for VRRP. It follows links and addresses, opens the
// sockets, holds and releases addresses and routes, and announces them. All of that may wait for
// the kernel's network lock, which is why the speaker leaves it to this thread.
//
// Thread-safety: start() and the destructor belong to the event loop; everything between is by
// mailbox.

#include <memory>
#include <string>
#include <thread>

#include "control/vrrp/messages.h"
#include "dataplane/shm/standby.h"

namespace torii::control::vrrp {

class Hands {
public:
    /// References must outlive it. Fails where netlink or packet sockets are not to be had.
    static Result<std::unique_ptr<Hands>> start(Mailboxes& boxes, shm::StandbyTable&,
                                                unsigned realtime);
    /// Joins the thread, which must have been ordered to quit.
    ~Hands();
    /// Why the thread is not real-time although it should be; empty when it is.
    const std::string& warning() const { return warning_; }

private:
    class Work;
    explicit Hands(std::unique_ptr<Work>);
    std::unique_ptr<Work> work_;
    std::thread thread_;
    std::string warning_;
};

}  // namespace torii::control::vrrp
