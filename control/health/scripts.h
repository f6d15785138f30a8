#pragma once
// Scripts: lets health checks run programs by the process runner.

#include "control/process/runner.h"
#include "healthcheck/probe.h"

namespace torii::health {

class Scripts : public healthcheck::ScriptRunner {
public:
    Scripts(boost::asio::io_context& loop, size_t most_at_once) : runner_(loop, most_at_once) {}
    uint64_t run(Task, Done) override;
    void cancel(uint64_t id) override { runner_.cancel(id); }

private:
    process::Runner runner_;
};

}  // namespace torii::health
