#pragma once
// What the state of its servers means for a service: quorum with hysteresis, and the bound on how
// many servers checks may take away. Pure functions.

#include <cstdint>
#include <span>
#include <vector>

#include "healthcheck/result.h"

namespace torii::healthcheck {

struct QuorumRules {
    uint32_t up = 1, hysteresis = 0;
    friend bool operator==(const QuorumRules&, const QuorumRules&) = default;
};

/// Whether the service has its quorum, when it `had` it before and its servers that are up weigh
/// `weight` together. As keepalived: gained at up + hysteresis, lost at 0 or below up - hysteresis.
bool has_quorum(const QuorumRules&, bool had, uint64_t weight);

struct Member {
    bool up = true;
    TimePoint changed{};  ///< since when
};

/// Which members count as up when checks may take away `max_down` per cent of them at most: of
/// those that are down, the ones that went down last are kept. 0 = no bound.
std::vector<bool> counted_up(std::span<const Member>, uint32_t max_down);

/// A weight on its way back: `full` grows from a tenth in ten steps over `slow_start`. Never 0
/// unless `full` is.
uint16_t ramped_weight(uint16_t full, Duration slow_start, Duration up_for);
/// How long until ramped_weight() changes again; 0 = never.
Duration until_next_ramp(Duration slow_start, Duration up_for);

/// A configured weight with what several scripts said, as keepalived adds them up.
uint16_t adjusted_weight(uint16_t configured, std::span<const uint16_t> said);

}  // namespace torii::healthcheck
