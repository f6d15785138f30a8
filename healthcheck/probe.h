#pragma once
// Probe: one attempt to find out whether a server serves. A type of check is a row of kCheckers:
// its name, what can be wrong with its settings, and how an attempt starts.
//
// Ownership: whoever starts a probe owns it; destroying one that has not ended gives it up, and
// closes all it had open. Thread-safety: everything happens in the thread that runs the io_context.

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "config/base/error.h"
#include "config/model/config.h"
#include "healthcheck/result.h"

namespace boost::asio {
class io_context;
}

namespace torii::healthcheck {

/// Runs the programs of `type: script`; the user of this library brings it.
class ScriptRunner {
public:
    struct Task {
        std::vector<std::string> command;
        std::string user;
        std::vector<std::pair<std::string, std::string>> environment;
        Duration timeout{0};
    };
    struct Outcome {
        enum class How : uint8_t { exited, signalled, timed_out, not_started };
        How how = How::exited;
        int status = 0;
        std::string text;  ///< what it printed, or why it could not be started
    };
    using Done = std::function<void(const Outcome&)>;
    virtual ~ScriptRunner() = default;
    virtual uint64_t run(Task, Done) = 0;  ///< `done` is called later, once
    virtual void cancel(uint64_t) = 0;     ///< `done` will not be called
};

class Connector;
class Detour;
class TlsContexts;

/// What probes share. All of it outlives every probe.
struct Environment {
    boost::asio::io_context& loop;
    Connector& connector;
    Detour& detour;
    TlsContexts& tls;
    ScriptRunner& scripts;
};

/// The way that the traffic of a service takes (via: service).
struct Way {
    Endpoint to;                           ///< the virtual service, which the server has as well
    std::optional<config::Tunnel> tunnel;  ///< none: direct routing
    /// Addresses of services, which servers have as well: they would answer such a source
    /// themselves.
    std::shared_ptr<const std::set<Address>> virtuals;
    friend bool operator==(const Way& a, const Way& b) {
        return a.to == b.to && a.tunnel == b.tunnel;
    }
};

/// What is to be probed. Two checks with equal targets and settings are one.
struct Target {
    Endpoint to;  ///< the server
    std::optional<Way> way;
    std::vector<std::pair<std::string, std::string>> environment;  ///< scripts: what they are told
    /// Whom the probe's packets name.
    const Endpoint& peer() const { return way ? way->to : to; }
    friend bool operator==(const Target&, const Target&) = default;
};

struct Request {
    std::shared_ptr<const config::Health> settings;
    Target target;
};

class Probe {
public:
    virtual ~Probe() = default;
    /// The time is up: what that means, and what it was waiting for.
    virtual Result expired() const;
    /// Whether something of what it waits for has arrived and only has not been looked at yet.
    virtual bool has_news() const { return false; }
    /// It keeps its own time, because it may have to wait for its turn.
    virtual bool keeps_time() const { return false; }
};
using Done = std::function<void(Result)>;  ///< may be called before start() has returned

struct Checker {
    config::HealthType type;
    std::string_view name;
    /// Why these settings cannot work, as a sentence; empty when they can.
    std::string (*mistake)(const config::Health&);
    std::unique_ptr<Probe> (*start)(Environment&, const Request&, Done);
};
/// Every type of check but `none`.
std::span<const Checker> checkers();
const Checker* find_checker(const config::Health&);  ///< null: type none

/// What is wrong with the settings of a check, beyond what the key table finds; empty if nothing.
std::string mistake_in(const config::Health&);

}  // namespace torii::healthcheck
