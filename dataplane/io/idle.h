#pragma once
// What a worker does between two looks at queues that were empty. Pure: time is a parameter.
//
// A worker that has just seen a packet looks again at once; then it sleeps, longer and longer, up
// to the configured longest sleep; and when it has seen nothing for a while and every queue of its
// can wake it, it waits for that. So a packet is never late by more than the longest sleep, a
// wake-up takes no longer than that either, and an idle machine does next to nothing.

#include <algorithm>
#include <cstdint>

namespace torii::io {

struct IdlePolicy {
    uint64_t longest_ns = 50'000;  ///< 0: never rest
    bool can_block = false;        ///< poll(2) understands every queue of the worker
};

struct Rest {
    enum class Kind : uint8_t { none, sleep, block } kind = Kind::none;
    uint64_t ns = 0;
    friend bool operator==(const Rest&, const Rest&) = default;
};

inline constexpr uint64_t kSpinNs = 3'000;            ///< look again at once for so long
inline constexpr uint64_t kBlockAfterNs = 5'000'000;  ///< and wait for the queues after so long
/// A blocked worker comes back for its timers.
inline constexpr uint64_t kBlockNs = 50'000'000;

/// `quiet_ns`: how long every queue has been empty.
inline Rest rest_after(const IdlePolicy& policy, uint64_t quiet_ns) {
    if (policy.longest_ns == 0 || quiet_ns < kSpinNs) return {};
    if (policy.can_block && quiet_ns >= kBlockAfterNs) return {Rest::Kind::block, kBlockNs};
    return {Rest::Kind::sleep, std::clamp<uint64_t>(quiet_ns / 4, 1'000, policy.longest_ns)};
}

}  // namespace torii::io
