// wrr: the list is walked pass after pass. A pass takes the targets whose weight reaches the
// current weight; it begins at the largest weight and goes down by the greatest common divisor of
// all weights with each pass. The largest is reckoned less (gcd - 1), so that the last pass asks
// for 1: hence every current weight is a multiple of the divisor plus one.

#include <algorithm>

#include "dataplane/scheduler/rows.h"

namespace torii::scheduler {
namespace {

uint32_t first_weight(uint32_t max_weight, uint32_t gcd) { return max_weight - (gcd - 1); }

// How far to go down after a pass over the whole list in which the best eligible weight was `best`.
// Passes that cannot take anything are left out: with weights 65535 and 1 and the first one
// overloaded there would be 65534 of them. The pass for weight 1 is never left out.
uint32_t step_down(uint32_t current, uint32_t best, uint32_t gcd) {
    const uint32_t goal = std::max(best, 1u);
    if (current <= goal + gcd) return gcd;
    return (current - goal + gcd - 1) / gcd * gcd;
}

}  // namespace

uint32_t wrr_pick(const ServiceView& view, Cursor& cursor, const Loads& loads, const Key&) {
    if (view.max_weight == 0) return kNoBackend;
    const uint32_t size = uint32_t(view.targets.size());
    const uint32_t gcd = view.gcd;
    const uint32_t start = start_of(view, cursor);
    uint32_t& current = cursor.current_weight;
    uint32_t stop = kHead;  // where the last pass may end, once it is known to be the last
    bool wrapped = false, last_pass = false;
    for (uint32_t first = start + 1;; first = 0) {
        uint32_t best = 0;
        for (uint32_t i = first; i < size; ++i) {
            const Target& t = view.targets[i];
            if (t.weight > best && !loads.is_overloaded(t.backend)) {
                if (t.weight >= current) return take(view, cursor, i);
                best = t.weight;
            }
            if (i == stop) {
                cursor.position = i;
                return kNoBackend;
            }
        }
        const uint32_t step = first == 0 ? step_down(current, best, gcd) : gcd;
        if (current > step) {
            current -= step;
        } else {
            current = first_weight(view.max_weight, gcd);
            if (last_pass || start == kHead) {
                cursor.position = kHead;
                return kNoBackend;
            }
            wrapped = true;
        }
        last_pass = current <= gcd;
        if (last_pass && wrapped) stop = start;
    }
}

// Any command sends the walk back to the head of the list, and moves the current weight to a value
// that the new weights can meet.
void wrr_on_change(const Change& change, Cursor& cursor) {
    cursor.backend = kNoBackend;
    const uint32_t first = first_weight(change.max_weight, change.gcd);
    uint32_t& current = cursor.current_weight;
    if (change.kind == ChangeKind::rebind || current > first || current == 0)
        current = first;
    else if (change.gcd > 1)
        current = current / change.gcd * change.gcd + 1;
}

}  // namespace torii::scheduler
