// The table of mh, see mh.cc. For the control process: it allocates.

#include <algorithm>
#include <numeric>
#include <vector>

#include "dataplane/scheduler/mh.h"
#include "dataplane/scheduler/rows.h"

namespace torii::scheduler {
namespace {

constexpr int kMostTurnBits = 6;  // turns a round have this many bits at most

struct Claimant {
    uint32_t slot, skip;  // the slot it wants next, and the stride to the one after
    uint32_t turns;       // slots a round
};

uint32_t last_weight(const Target& t) { return t.weight ? t.weight : t.last_weight; }

std::vector<Claimant> claimants(std::span<const Target> targets, std::span<const Endpoint> ends) {
    uint32_t divisor = 0, heaviest = 0;
    for (const Target& t : targets) {
        divisor = std::gcd(divisor, last_weight(t));
        heaviest = std::max(heaviest, last_weight(t));
    }
    if (divisor == 0) return {};
    const int shift = std::max(int(std::bit_width(heaviest / divisor)) - kMostTurnBits, 0);
    std::vector<Claimant> all;
    for (size_t i = 0; i < targets.size(); ++i) {
        const auto& [address, port] = ends[i];
        const uint32_t weight = last_weight(targets[i]);
        all.push_back({.slot = hash_end(address, port, kMaglevFirst) % kMaglevSlots,
                       .skip = hash_end(address, port, kMaglevSecond) % (kMaglevSlots - 1) + 1,
                       .turns = std::max(weight / divisor >> shift, uint32_t(weight != 0))});
    }
    return all;
}

}  // namespace

void mh_build(std::span<const Target> targets, std::span<const Endpoint> ends,
              std::span<uint32_t> table) {
    std::ranges::fill(table, kNoBackend);
    std::vector<Claimant> all = claimants(targets, ends);
    for (uint32_t filled = 0; !all.empty();) {
        for (uint32_t target = 0; target < all.size(); ++target) {
            Claimant& c = all[target];
            for (uint32_t turn = 0; turn < c.turns; ++turn) {
                while (table[c.slot] != kNoBackend) c.slot = (c.slot + c.skip) % kMaglevSlots;
                table[c.slot] = target;
                if (++filled == kMaglevSlots) return;
            }
        }
    }
}

}  // namespace torii::scheduler
