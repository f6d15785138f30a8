#pragma once
// A consistent-hash table: which target takes a flow that cannot be remembered. Workers use it to
// forward new flows of DR and tunnel services when the connection table is full: every packet of
// such a flow must reach the same backend by its hash alone, and a change of the list should move
// few of the others.
//
// Method: Maglev (Eisenbud et al., NSDI 2016, section 3.4). Every target visits the slots in an
// order of its own, made from its backend slot number, and targets take turns at claiming their
// next free slot; here a target has turns in proportion to its weight. Tables have 251 to 4093
// slots (a prime), so with more than a few hundred targets shares become coarse.
//
// Pure functions; build_consistent() is for the control process, pick_consistent() for workers.

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/scheduler/scheduler.h"

namespace torii::scheduler {

/// Indices into `targets`, one a slot; empty when no weight is positive.
std::vector<uint32_t> build_consistent(std::span<const Target> targets);

/// The index into targets for a flow's hash (all 32 bits are used), or kNoBackend if the table is
/// empty.
inline uint32_t pick_consistent(std::span<const uint32_t> table, uint32_t hash) {
    if (table.empty()) return kNoBackend;
    return table[(uint64_t(hash) * table.size()) >> 32];
}

}  // namespace torii::scheduler
