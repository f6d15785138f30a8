#include "control/health/notifier.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "control/log.h"

namespace torii::health {
namespace {

using control::in_quotes;
using How = process::Outcome::How;

std::string said(const process::Outcome& o) {
    switch (o.how) {
        case How::exited:
            return fmt::format("exit status {}", o.status);
        case How::signalled:
            return fmt::format("ended by signal {}", o.status);
        case How::timed_out:
            return "did not end in time";
        case How::not_started:
            return o.problem;
    }
    return {};
}

void report(const std::string& service, const std::string& what, const process::Outcome& o) {
    if (o.how == How::exited && o.status == 0)
        return spdlog::info("event=notify service={} of={}", in_quotes(service), in_quotes(what));
    spdlog::warn("event=notify service={} of={} error={} output={}", in_quotes(service),
                 in_quotes(what), in_quotes(said(o)),
                 in_quotes(o.output.substr(0, o.output.find('\n'))));
}

}  // namespace

void Notifier::tell(const std::string& service, std::string what, process::Task task) {
    const auto [place, idle] = services_.try_emplace(service);
    std::deque<Waiting>& waiting = place->second;
    if (waiting.size() == kMostWaiting) {
        spdlog::error("event=notify service={} of={} error={}", in_quotes(service),
                      in_quotes(waiting.front().what),
                      in_quotes("lost: its programs are slower than what happens"));
        waiting.pop_front();
    }
    waiting.push_back({std::move(what), std::move(task)});
    if (idle) next(service);
}

void Notifier::next(const std::string& service) {
    const auto place = services_.find(service);
    if (place->second.empty()) {
        services_.erase(place);
        return;
    }
    Waiting w = std::move(place->second.front());
    place->second.pop_front();
    runner_.run(std::move(w.task), [this, service, what = std::move(w.what)](const auto& outcome) {
        report(service, what, outcome);
        next(service);
    });
}

}  // namespace torii::health
