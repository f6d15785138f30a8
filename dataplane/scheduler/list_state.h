#pragma once
// ListState: one service's list of targets as the kernel would have it after the same commands,
// and the log of changes from which workers bring their cursors along. For the control process.
//
// A plain value without input or output: copy it to try a change, keep the copy to commit it. Not
// shared between threads.
//
// - A new backend goes to the head of the list; an edit keeps its place.
// - Backends of a configuration count as added in the order they are written; a reload is removals,
//   then edits, then additions (update()).
// - A backend that comes back while connections of its earlier life remain should get the same slot
//   again: the kernel remembers it, and its connections count from the start.
// - The log holds the latest kMaxChanges changes (6 KiB a service at most). A worker that picks
//   nothing for a service while more than that happen starts it afresh, which is still fair.

#include <cstdint>
#include <span>
#include <unordered_set>
#include <vector>

#include "dataplane/scheduler/scheduler.h"

namespace torii::scheduler {

inline constexpr size_t kMaxChanges = 256;

class ListState {
public:
    /// An empty list: a service that was just created.
    ListState() = default;
    /// Carries on from a published generation, so that a restarted control process does not disturb
    /// the cursors of running workers.
    static ListState restore(const ServiceView&);

    /// False, and nothing done: already in the list.
    bool add(uint32_t backend, uint32_t weight);
    /// False, and nothing done: not in the list. An edit that changes nothing counts, as in the
    /// kernel.
    bool edit(uint32_t backend, uint32_t weight);
    /// False, and nothing done: not in the list.
    bool remove(uint32_t backend);
    /// Another scheduler takes over the same list.
    void rebind();
    /// Makes the list hold exactly `wanted` (backends in the order they were written): removals,
    /// then edits of weights that differ, then additions. True if anything changed.
    bool update(std::span<const Target> wanted);

    std::vector<Target> targets() const;  ///< in list order, newest first
    std::span<const Change> changes() const { return changes_; }
    uint64_t change_seq() const { return change_seq_; }
    uint32_t version() const { return uint32_t(change_seq_); }  ///< for ServiceRecord::version
    uint32_t max_weight() const { return max_weight_; }
    uint32_t gcd() const { return gcd_; }
    size_t size() const { return oldest_first_.size(); }
    bool empty() const { return oldest_first_.empty(); }

private:
    void weigh();  // recomputes max_weight_ and gcd_
    void note(ChangeKind, uint32_t backend, uint32_t predecessor);
    std::vector<Target>::iterator find(uint32_t backend);

    std::vector<Target> oldest_first_;  // the list backwards: its head is the back
    std::unordered_set<uint32_t> members_;
    std::vector<Change> changes_;
    uint64_t change_seq_ = 0;
    uint32_t max_weight_ = 0, gcd_ = 1;
    Cursor idle_;  // of a wrr that never picked
};

/// The scheduler's table for a list and where its targets listen, empty when the scheduler has none
/// or the list is empty.
std::vector<uint32_t> build_table(const Scheduler&, std::span<const Target>,
                                  std::span<const Endpoint>);

}  // namespace torii::scheduler
