#include "control/health/scripts.h"

namespace torii::health {
namespace {

Scripts::Outcome::How how_of(process::Outcome::How how) {
    switch (how) {
        case process::Outcome::How::exited:
            return Scripts::Outcome::How::exited;
        case process::Outcome::How::signalled:
            return Scripts::Outcome::How::signalled;
        case process::Outcome::How::timed_out:
            return Scripts::Outcome::How::timed_out;
        case process::Outcome::How::not_started:
            return Scripts::Outcome::How::not_started;
    }
    return Scripts::Outcome::How::not_started;
}

}  // namespace

uint64_t Scripts::run(Task task, Done done) {
    process::Task t;
    t.program = {std::move(task.command), std::move(task.environment), std::move(task.user)};
    t.timeout = task.timeout;
    return runner_.run(std::move(t), [done = std::move(done)](const process::Outcome& o) {
        done({how_of(o.how), o.status,
              o.how == process::Outcome::How::not_started ? o.problem : o.output});
    });
}

}  // namespace torii::health
