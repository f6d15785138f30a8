#pragma once
// toriid: one thread, one event loop. It reads the configuration, publishes tables, follows the
// kernel and answers the API; it forwards nothing and nothing waits for it.

#include <memory>
#include <string>

#include "control/api/model.h"
#include "control/reload.h"

namespace torii::control {

struct DaemonOptions {
    std::string file;
    std::string instance;  ///< from the command line or the environment; empty: the file's
};

class Daemon {
public:
    /// Does everything that can fail, publishes, and listens. On failure nothing is left behind,
    /// and the error says why; a file with mistakes gives one line for each.
    static Result<std::unique_ptr<Daemon>> start(const DaemonOptions&);
    ~Daemon();

    /// Serves until SIGTERM or SIGINT. The tables stay in force afterwards.
    void run();

private:
    struct State;
    explicit Daemon(std::unique_ptr<State>);
    std::unique_ptr<State> state_;
};

}  // namespace torii::control
