// Script: the operator's program decides. Status 0 is up, 1 is down; 2 to 255 is up with weight
// status - 2 where the settings say so (as keepalived's misc_dynamic), else down.

#include <fmt/format.h>

#include "healthcheck/checkers.h"
#include "healthcheck/text.h"

namespace torii::healthcheck {
namespace {

using How = ScriptRunner::Outcome::How;

Result script_failed(std::string detail) {
    Result r;
    r.reason = Reason::script;
    r.detail = std::move(detail);
    return r;
}

Result judge(const config::ScriptHealth& s, const ScriptRunner::Outcome& o) {
    const std::string said =
        o.text.empty() ? "" : ": " + printable(o.text.substr(0, o.text.find('\n')), 200);
    switch (o.how) {
        case How::not_started:
            return script_failed(printable(o.text, 400));
        case How::signalled:
            return script_failed(fmt::format("ended by signal {}{}", o.status, said));
        case How::timed_out: {
            Result r;
            r.reason = Reason::timeout;
            r.detail = "the script did not end in time" + said;
            return r;
        }
        case How::exited:
            break;
    }
    if (o.status == 0) return {};
    if (o.status == 1 || !s.weight_from_exit)
        return script_failed(fmt::format("exit status {}{}", o.status, said));
    Result r;
    r.weight = uint16_t(o.status - 2);
    return r;
}

class Script : public Probe {
public:
    Script(ScriptRunner& runner, Done done) : runner_(runner), done_(std::move(done)) {}
    ~Script() override {
        if (id_ != 0) runner_.cancel(id_);
    }
    void begin(const Request& r) {
        const config::Health& h = *r.settings;
        ScriptRunner::Task task{h.script.command, h.script.user, r.target.environment, h.timeout};
        id_ = runner_.run(std::move(task),
                          [this, settings = r.settings](const ScriptRunner::Outcome& o) {
                              id_ = 0;
                              const Done done = std::move(done_);  // which destroys this object
                              done(judge(settings->script, o));
                          });
    }
    bool keeps_time() const override { return true; }

private:
    ScriptRunner& runner_;
    Done done_;
    uint64_t id_ = 0;
};

}  // namespace

std::unique_ptr<Probe> start_script(Environment& e, const Request& r, Done done) {
    auto probe = std::make_unique<Script>(e.scripts, std::move(done));
    probe->begin(r);
    return probe;
}

std::string script_mistake(const config::Health& h) {
    if (h.script.command.empty() || h.script.command[0].empty())
        return "'type: script' needs 'script.command'";
    if (h.script.command[0][0] != '/')
        return fmt::format("'script.command': '{}' must be an absolute path", h.script.command[0]);
    return {};
}

}  // namespace torii::healthcheck
