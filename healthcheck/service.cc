#include "healthcheck/service.h"

#include <algorithm>
#include <numeric>

namespace torii::healthcheck {

namespace {
constexpr int64_t kRampSteps = 10;
}

bool has_quorum(const QuorumRules& rules, bool had, uint64_t weight) {
    const uint64_t up = rules.up, hysteresis = rules.hysteresis;
    if (!had) return weight >= up + hysteresis;
    return weight != 0 && weight + hysteresis >= up;
}

std::vector<bool> counted_up(std::span<const Member> members, uint32_t max_down) {
    std::vector<bool> up(members.size());
    std::vector<size_t> down;
    for (size_t i = 0; i < members.size(); ++i) {
        up[i] = members[i].up;
        if (!members[i].up) down.push_back(i);
    }
    const size_t most = max_down == 0 ? members.size() : members.size() * max_down / 100;
    if (down.size() <= most) return up;
    std::ranges::stable_sort(down, {}, [&](size_t i) { return members[i].changed; });
    for (size_t k = most; k < down.size(); ++k) up[down[k]] = true;
    return up;
}

uint16_t ramped_weight(uint16_t full, Duration slow_start, Duration up_for) {
    if (full == 0 || slow_start.count() <= 0 || up_for >= slow_start) return full;
    const int64_t step = std::max<int64_t>(up_for.count(), 0) * kRampSteps / slow_start.count() + 1;
    return uint16_t(std::max<int64_t>(1, full * step / kRampSteps));
}

Duration until_next_ramp(Duration slow_start, Duration up_for) {
    if (slow_start.count() <= 0 || up_for >= slow_start) return Duration(0);
    const int64_t passed = std::max<int64_t>(up_for.count(), 0);
    const int64_t step = passed * kRampSteps / slow_start.count() + 1;
    return Duration((step * slow_start.count() + kRampSteps - 1) / kRampSteps - passed);
}

uint16_t adjusted_weight(uint16_t configured, std::span<const uint16_t> said) {
    const int64_t sum =
        std::accumulate(said.begin(), said.end(), int64_t(configured),
                        [&](int64_t so_far, uint16_t w) { return so_far + w - configured; });
    return uint16_t(std::clamp<int64_t>(sum, 0, 65535));
}

}  // namespace torii::healthcheck
