#pragma once
// Ledger: the checks in force with what they have found, and what that makes of each server. No
// clock, no thread, no log: whatever comes in what order, the state is what computing it afresh
// from what is known of each check gives.

#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "control/health/plan.h"

namespace torii::health {

class Ledger {
public:
    /// What is known of a check.
    struct Known {
        bool up = true;
        TimePoint changed{};  ///< since when; epoch: since it began
        std::optional<uint16_t> weight = {};
    };

    /// What `config` asks for, with everything that is known of checks that stay. A server that was
    /// down is not up because it is checked in another way. Nothing changes yet. `before`: when
    /// toriid starts, else null.
    Plan prepare(const config::Config&, const Before* before) const;
    /// From now on this is in force.
    void adopt(Plan);

    struct Moved {
        const Member& member;
        bool up;
    };
    /// What a check of the plan found. The servers that go up or down by it.
    std::vector<Moved> take(size_t check, const Known&);
    void remember(const std::vector<QuorumChange>& changes) {
        health::remember(plan_.state, changes);
    }

    const Plan& plan() const { return plan_; }
    const Known& known(size_t check) const { return known_[check]; }

private:
    std::vector<Known> known_of(const Plan&) const;

    Plan plan_;
    std::vector<Known> known_;                                    // of each check
    std::unordered_map<std::string_view, uint32_t> by_identity_;  // the names lie in plan_
};

}  // namespace torii::health
