#pragma once
// Makes one probe as the engine does, and waits for its result.

#include <boost/asio/io_context.hpp>
#include <optional>

#include "healthcheck/connector.h"
#include "healthcheck/detour.h"
#include "healthcheck/probe.h"
#include "healthcheck/tls.h"

namespace torii::healthcheck::test {

/// Programs are not run: what they are said to do.
class FakeScripts : public ScriptRunner {
public:
    uint64_t run(Task task, Done done) override {
        last = std::move(task);
        waiting = std::move(done);
        return ++ids;
    }
    void cancel(uint64_t) override { ++cancelled; }
    Task last;
    Done waiting;
    uint64_t ids = 0;
    int cancelled = 0;
};

class OneProbe {
public:
    Result operator()(const config::Health& settings, const Endpoint& to) {
        const Request request{std::make_shared<const config::Health>(settings), {to, {}, {}}};
        const Checker* checker = find_checker(settings);
        std::optional<Result> result;
        const TimePoint began = Clock::now();
        auto probe = checker->start(environment, request, [&](Result r) { result = std::move(r); });
        while (!result && Clock::now() < began + settings.timeout) {
            loop.restart();
            loop.run_one_until(began + settings.timeout);
        }
        if (!result) result = probe->expired();
        probe.reset();
        result->took = std::chrono::duration_cast<Duration>(Clock::now() - began);
        loop.restart();
        loop.poll();  // what was given up ends
        return *result;
    }
    /// As text: the reason, and what it says.
    std::string told(const config::Health& settings, const Endpoint& to) {
        const Result r = (*this)(settings, to);
        return std::string(to_string(r.reason)) + (r.detail.empty() ? "" : ": " + r.detail);
    }

    boost::asio::io_context loop;
    Connector connector{loop};
    Detour detour{loop};
    TlsContexts tls;
    FakeScripts scripts;
    Environment environment{loop, connector, detour, tls, scripts};
};

}  // namespace torii::healthcheck::test
