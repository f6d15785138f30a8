#pragma once
// Engine: keeps every check going, each at its own times. One queue holds the next moment of each
// check, be it the start of a probe or the end of its patience; one timer of the event loop waits
// for the earliest. A change of the set of checks keeps what is known of those that stay.
//
// Thread-safety: everything happens in the thread that runs the io_context.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "healthcheck/fsm.h"
#include "healthcheck/probe.h"

namespace torii::healthcheck {

struct Check {
    /// Equal for checks that are the same whatever their rise, fall and times: it carries the
    /// state over a change of settings.
    std::string identity;
    Request request;
    bool up = true;  ///< how it begins when it is new
};

struct Report {
    size_t check = 0;  ///< position in what set() was given
    const State& state;
    const Result& result;
    Event event = Event::none;
};

/// Upper bounds of lateness in milliseconds; the last bucket has none.
inline constexpr std::array<uint32_t, 14> kLateness = {1,  2,  3,  5,  7,   10,  15,
                                                       20, 30, 50, 75, 100, 250, 1000};

/// How late probes began, and how many there were.
struct Punctuality {
    uint64_t started = 0, ended = 0, late = 0;              ///< late: by more than 50 ms
    std::array<uint64_t, kLateness.size() + 1> lateness{};  ///< probes by how late they began
    Duration lateness_sum{0};
    Duration worst{0};
    /// Times that the event loop itself was late (no CPU, stopped), and for how long together. That
    /// time is held against no server.
    uint64_t absences = 0;
    Duration away{0};
    size_t running = 0, most_running = 0;
};

class Engine {
public:
    static constexpr size_t kNew = ~size_t(0);
    struct Placed {
        State state;           ///< now
        size_t before = kNew;  ///< position of what it goes on from
    };
    using Tell = std::function<void(const Report&)>;
    /// `tell` is called after every probe; at most `most_sockets` probes run at a time, others
    /// wait for their turn.
    Engine(boost::asio::io_context&, ScriptRunner&, Tell tell, size_t most_sockets);
    ~Engine();

    /// From now on these are checked and nothing else. Of one that was there before the state
    /// stays, and if its settings are the same also the rhythm, and the probe that is under way.
    /// Returns what became of each.
    std::vector<Placed> set(std::vector<Check>);

    Punctuality punctuality() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace torii::healthcheck
