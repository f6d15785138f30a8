#pragma once
// The functions that the rows of kSchedulers point to, one group a file. Private to this folder.

#include "dataplane/scheduler/scheduler.h"

namespace torii::scheduler {

#define TORII_PICK(name) uint32_t name(const ServiceView&, Cursor&, const Loads&, const Key&)
TORII_PICK(rr_pick);
TORII_PICK(wrr_pick);
TORII_PICK(lc_pick);
TORII_PICK(wlc_pick);
TORII_PICK(sh_pick);
TORII_PICK(dh_pick);
TORII_PICK(mh_pick);
TORII_PICK(lblc_pick);
TORII_PICK(lblcr_pick);
TORII_PICK(sed_pick);
TORII_PICK(nq_pick);
TORII_PICK(fo_pick);
TORII_PICK(ovf_pick);
TORII_PICK(twos_pick);
#undef TORII_PICK

void rr_on_change(const Change&, Cursor&);
void wrr_on_change(const Change&, Cursor&);

#define TORII_RANK(name) uint64_t name(Load, uint32_t weight, uint32_t shift)
TORII_RANK(lc_rank);
TORII_RANK(wlc_rank);
TORII_RANK(sed_rank);
TORII_RANK(nq_rank);
TORII_RANK(fo_rank);
TORII_RANK(ovf_rank);
#undef TORII_RANK

#define TORII_BUILD(name) \
    void name(std::span<const Target>, std::span<const Endpoint>, std::span<uint32_t> table)
TORII_BUILD(sh_build);
TORII_BUILD(dh_build);
TORII_BUILD(mh_build);
#undef TORII_BUILD

/// Records a choice in a cursor that keeps its place in the list.
inline uint32_t take(const ServiceView& view, Cursor& cursor, uint32_t position) {
    cursor.position = position;
    cursor.backend = view.targets[position].backend;
    return cursor.backend;
}

/// Guards against a cursor from a list that this one does not continue (a control process that
/// lost its history and happens to count the same change_seq): such a cursor is at the head.
inline uint32_t start_of(const ServiceView& view, const Cursor& cursor) {
    return cursor.position < view.targets.size() ? cursor.position : kHead;
}

}  // namespace torii::scheduler
