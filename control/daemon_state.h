#pragma once
// What toriid's parts work on together; for daemon*.cc alone. daemon.cc starts, ends and keeps
// time, daemon_changes.cc is every way to other tables, daemon_api.cc answers the API.

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "control/api/server.h"
#include "control/daemon.h"
#include "control/engine.h"
#include "control/health/monitor.h"
#include "control/manual.h"
#include "control/network.h"
#include "control/runtime.h"
#include "control/servers.h"
#include "control/vrrp/failover.h"

namespace torii::control {

struct Daemon::State {
    explicit State(DaemonOptions o)
        : options(std::move(o)),
          signals(loop),
          tick(loop),
          started(std::chrono::steady_clock::now()) {}

    Result<> begin();
    Result<> attach(const shm::Location&);
    Result<> listen();
    void wait_signal();
    void next_tick();
    void watch();
    void watch_vrrp();
    void tell_quorums();
    bool forwards() const;
    api::ReloadOutcome reload(std::string_view why);
    api::ReloadOutcome take(Checked, std::string_view why);
    api::ReloadOutcome install(std::string_view text);
    Result<size_t> put_into_force(const config::Config&, const health::Before* before);
    void health_changed();
    void log_applied(const Engine::Applied&);
    Runtime::Apply apply_to(Engine::Applied&, health::Plan* = nullptr);
    api::Reply say_by_hand(const api::Request&);
    Machine machine();
    api::Reply ipvs(const api::Request&, bool full);
    api::Health health_now() const;
    api::Reply difference();
    api::Reply answer(const api::Request&, bool full);
    api::Reply view(const std::string& path);

    DaemonOptions options;
    boost::asio::io_context loop{1};
    config::Config config;
    std::optional<shm::Lock> lock;
    shm::Mapping control, standby;
    // In the order they depend on each other; destroyed backwards.
    std::unique_ptr<DataplaneLink> link;
    std::unique_ptr<Publisher> publisher;
    std::unique_ptr<Engine> engine;
    std::unique_ptr<Network> network;
    std::unique_ptr<Servers> servers;
    std::unique_ptr<Runtime> runtime;
    Manual manual;
    ManualMemory manual_memory;
    health::HealthMemory health_memory;
    std::unique_ptr<health::Monitor> monitor;
    std::unique_ptr<vrrp::Failover> failover;
    std::unique_ptr<api::Server> api, web;
    boost::asio::signal_set signals;
    boost::asio::steady_timer tick;
    std::chrono::steady_clock::time_point started, next_watch, next_estimate;
    uint64_t superseded_for = 0;
    bool stopping = false, first_checks_done = false;
};

}  // namespace torii::control
