#pragma once
// Conversation: a probe that is a coroutine. The course of the talk is a function; its deadline,
// its end and its failures are the same for all.

#include "healthcheck/stream.h"

namespace torii::healthcheck {

struct Conversation {
    Conversation(Environment& e, const Request& r, Done d)
        : environment(e), request(r), stream(e.loop), done(std::move(d)) {}
    const config::Health& settings() const { return *request.settings; }

    Environment& environment;  ///< only while `done` is set: until then the probe lives
    const Request request;
    Stream stream;
    Done done;                              ///< empty once the probe was given up
    std::string_view stage = "connecting";  ///< what it waits for, for a timeout's sentence
};

using Course = boost::asio::awaitable<Result> (*)(Conversation&);

/// Runs the course. It may throw Failure and boost::system::system_error.
std::unique_ptr<Probe> converse(Environment&, const Request&, Done, Course);

/// TLS as the settings ask for; adds a warning when the certificate will end soon.
Stream::Task<> secure(Conversation&, Result&);

}  // namespace torii::healthcheck
