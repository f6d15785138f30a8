#pragma once
// Failover: VRRP as the event loop sees it. It starts the two threads with the first instance that
// is configured, tells them what the configuration and the watched things say, and tells the world
// what became of it.
//
// Thread-safety: everything happens in the thread that runs the io_context. Nothing here is on the
// way of an advert: a loop that hangs makes notifications late, and nothing else.

#include <functional>
#include <memory>
#include <string>

#include "config/model/vrrp.h"
#include "control/api/server.h"
#include "control/api/vrrp.h"
#include "dataplane/shm/standby.h"

namespace torii::control::vrrp {

class Failover {
public:
    /// References must outlive it.
    Failover(boost::asio::io_context&, shm::StandbyTable&);
    ~Failover();
    Failover(const Failover&) = delete;
    Failover& operator=(const Failover&) = delete;

    /// From now on, this is what the operator wants. An active instance stays active.
    /// `backup_only`: packets to addresses that another router has are left to the kernel, see
    /// StandbyBook.
    Result<> apply(const config::Vrrp&, bool backup_only);
    /// Ports, tables and first checks are there: instances may claim addresses.
    void set_ready();
    bool ready() const;
    /// The dataplane lives, or not. Told when it changes; what is not told is unknown.
    void set_dataplane(bool alive);
    /// A service has its quorum of servers, or not.
    void set_service(const std::string& name, bool quorum);

    /// Resigns, releases all addresses, and runs the programs for that; then calls `done`.
    void stop(std::function<void()> done);

    /// Numbers are at most half a second old.
    api::Vrrp view() const;
    /// What GET /v1/events answers.
    api::Reply events();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace torii::control::vrrp
