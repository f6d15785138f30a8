// twos: the power of two random choices: two targets are drawn in proportion to their weights, and
// the less loaded one for its weight takes the connection; the first drawn among equals.

#include "dataplane/scheduler/rows.h"

namespace torii::scheduler {
namespace {

// xorshift64*: spreads load, protects nothing. The upper half of a product is a number below
// `bound`, as even as the kernel's.
uint32_t below(uint64_t& state, uint64_t bound) {
    if (state == 0) state = 0x9e3779b97f4a7c15u;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return uint32_t((state * 0x2545f4914f6cdd1du >> 32) * bound >> 32);
}

}  // namespace

uint32_t twos_pick(const ServiceView& view, Cursor& cursor, const Loads& loads, const Key&) {
    uint64_t total = 0;
    for (const Target& t : view.targets)
        if (loads.eligible(t)) total += t.weight;
    if (total == 0) return kNoBackend;
    // 0 to the total, both included, as in the kernel: the first target's share is one larger.
    int64_t left[2] = {below(cursor.random, total + 1), below(cursor.random, total + 1)};
    const Target* drawn[2] = {};
    for (const Target& t : view.targets) {
        if (!loads.eligible(t)) continue;
        for (int i = 0; i < 2; ++i) {
            left[i] -= t.weight;
            if (left[i] <= 0 && drawn[i] == nullptr) drawn[i] = &t;
        }
        if (drawn[0] && drawn[1]) break;
    }
    if (!drawn[0] || !drawn[1]) return kNoBackend;
    const int64_t first = loads.of(drawn[0]->backend).overhead();
    const int64_t second = loads.of(drawn[1]->backend).overhead();
    return (drawn[1]->weight * first > drawn[0]->weight * second ? drawn[1] : drawn[0])->backend;
}

}  // namespace torii::scheduler
