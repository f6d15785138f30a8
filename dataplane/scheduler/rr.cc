// rr: after the last choice, the next eligible target in list order, whatever its weight.

#include "dataplane/scheduler/rows.h"

namespace torii::scheduler {

uint32_t rr_pick(const ServiceView& view, Cursor& cursor, const Loads& loads, const Key&) {
    const uint32_t size = uint32_t(view.targets.size());
    const uint32_t start = start_of(view, cursor);
    for (uint32_t i = start + 1; i < size; ++i)
        if (loads.eligible(view.targets[i])) return take(view, cursor, i);
    if (start == kHead) return kNoBackend;
    for (uint32_t i = 0; i <= start; ++i)
        if (loads.eligible(view.targets[i])) return take(view, cursor, i);
    return kNoBackend;
}

// The place in the list is kept over additions and edits; when the target at that place goes, its
// predecessor takes over, so that its successor is still the next one.
void rr_on_change(const Change& change, Cursor& cursor) {
    if (change.kind == ChangeKind::rebind)
        cursor.backend = kNoBackend;
    else if (change.kind == ChangeKind::remove && change.backend == cursor.backend)
        cursor.backend = change.predecessor;
}

}  // namespace torii::scheduler
