#pragma once
// Grace: when may a cell that was removed from the buckets be given to another entry?
//
// Motivation
//   A lookup on another core may hold the index of an entry that has just ended. The cell must keep
//   its contents until that core is done with its burst.
//
// Shape
//   One epoch for all, and one cache line a worker with the epoch it has last seen; kOffline for a
//   worker that holds nothing. Retiring advances the epoch to E; when every online worker has seen
//   E, nobody can hold what was unlinked before.
//
// Thread-safety
//   online(), offline() and quiescent(n) by the thread of worker n only; the rest by anybody.
//
// Memory ordering
//   quiescent() stores the epoch with release after the burst's last read, and reached() loads it
//   with acquire: reads of the old entry happen before its reuse. advance() and online() are both
//   read-modify-writes of the epoch: either the retiring thread sees the worker online and waits,
//   or the worker sees the bucket slot already empty. No fences: ThreadSanitizer checks this.
//
// Failure
//   A worker that stalls while online holds back reuse (the table may become full), nothing else.

#include <atomic>
#include <cstdint>
#include <memory>

namespace torii::flow {

class Grace {
public:
    static constexpr uint64_t kOffline = ~uint64_t(0);

    explicit Grace(uint32_t workers) : workers_(workers), lines_(new Line[workers]) {}

    /// Starts a grace period; it is over when reached() has come to the returned number.
    uint64_t advance() { return epoch_.fetch_add(1) + 1; }

    void quiescent(uint32_t worker) {
        lines_[worker].seen.store(epoch_.load(std::memory_order_acquire),
                                  std::memory_order_release);
    }
    void offline(uint32_t worker) {
        lines_[worker].seen.store(kOffline, std::memory_order_release);
    }
    void online(uint32_t worker) {
        lines_[worker].seen.exchange(epoch_.load());
        epoch_.fetch_add(0);  // see "Memory ordering"
    }

    /// Every online worker has seen this epoch.
    uint64_t reached() const {
        uint64_t least = kOffline;
        for (uint32_t w = 0; w < workers_; ++w) least = std::min(least, lines_[w].seen.load());
        return least;
    }

private:
    struct alignas(64) Line {
        std::atomic<uint64_t> seen{kOffline};
    };
    uint32_t workers_;
    std::unique_ptr<Line[]> lines_;
    alignas(64) std::atomic<uint64_t> epoch_{1};
};

}  // namespace torii::flow
