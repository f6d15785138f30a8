#pragma once
// Board: where the thread that probes leaves what it found, for the thread that acts on it and
// answers the API. Both hold the lock for a moment only: a result is a copy, a look is a copy.
//
// Thread-safety: every member function may be called from any thread.

#include <array>
#include <chrono>
#include <map>
#include <mutex>
#include <vector>

#include "healthcheck/engine.h"

namespace torii::health {

/// What is known of one check.
struct CheckReport {
    healthcheck::State state;
    healthcheck::Result last;
    std::chrono::system_clock::time_point at{};  ///< when the last result came; epoch: none yet
    uint64_t good = 0, bad = 0;
};

using ReasonCounts = std::array<uint64_t, size_t(healthcheck::Reason::count_)>;

class Board {
public:
    static constexpr size_t kNew = healthcheck::Engine::kNew;
    /// A check of a new set.
    struct Start {
        healthcheck::State state;
        size_t before = kNew;     ///< its position in the set before
        bool believed_up = true;  ///< what the acting thread takes it for
    };
    /// A new set of checks; `round` tells it from those before. What was reported of checks that
    /// stay is kept. True if the acting thread must look, since a state is not what it believes.
    bool reset(uint64_t round, const std::vector<Start>&);
    /// Keeps a result. True if somebody must look who has not been told yet.
    bool post(const healthcheck::Report&, config::HealthType, const healthcheck::Punctuality&);

    struct Change {
        size_t check;
        healthcheck::Event event;
        CheckReport report;
    };
    /// What changed since the last call, if the round is still this one.
    std::vector<Change> changes(uint64_t round);

    struct View {
        std::vector<CheckReport> reports;
        std::map<config::HealthType, ReasonCounts> results;
        healthcheck::Punctuality punctuality;
    };
    /// Whether every check of this round has had a result, and all changes were taken.
    bool all_proven(uint64_t round) const;

    /// Everything, for the API; no reports while another round is being set up.
    View view(uint64_t round) const;

private:
    mutable std::mutex mutex_;
    uint64_t round_ = 0;
    bool told_ = false;
    View now_;
    std::vector<Change> changes_;
};

}  // namespace torii::health
