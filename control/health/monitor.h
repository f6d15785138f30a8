#pragma once
// Monitor: what toriid's own thread knows of the servers' health. It gives the checks to the
// prober, takes in what changes, says it in the log, and has the state that apply_health() needs.
//
// Thread-safety: everything happens in the thread that runs the io_context.

#include <functional>
#include <memory>

#include "control/api/health.h"
#include "control/health/apply.h"
#include "control/health/plan.h"

namespace boost::asio {
class io_context;
}

namespace torii::health {

class Monitor {
public:
    /// `changed` is called when the tables must be made anew; what comes within kCoalesce of the
    /// first change comes together.
    static constexpr std::chrono::milliseconds kCoalesce{5};
    Monitor(boost::asio::io_context&, std::function<void()> changed);
    ~Monitor();

    /// What `config` asks for, with everything that is known of checks that stay. Nothing changes
    /// yet. `before`: when toriid starts, else null.
    Plan prepare(const config::Config&, const Before* before) const;
    /// From now on this is checked.
    void adopt(Plan);

    const HealthState& state() const;
    /// Whether every check has had a first result, and the tables know it.
    bool first_checks_done() const;
    /// After apply_health() on state(): remembers the quorums and says them; comes back by
    /// `changed` when a slow start goes on. What was applied on a prepared plan counts after
    /// adopt().
    void applied(const Applied&);

    api::Health view() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace torii::health
