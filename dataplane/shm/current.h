#pragma once
// Current<T>: the version of an immutable T that one worker shall use, and the one it does use.
//
// Motivation
//   The main thread replaces a whole View while workers forward. A worker must see one version for
//   a whole burst and never wait; the main thread must know when nobody looks at the old one.
//
// Shape
//   Two pointers on two cache lines: `wanted_`, written by the main thread, and `taken_`, written
//   by the worker. One Current a worker, in ordinary memory of one process. nullptr asks the worker
//   to stop.
//
// Thread-safety
//   set(), settled(): the main thread. take(): the worker. What take() returned may be
//   used until the same worker's next take(). The main thread frees a version only after
//   every worker has settled() on a later one.
//
// Memory ordering
//   set() stores with release and take() loads with acquire: what the version consists of is
//   visible with it. take() stores `taken_` with release after the last use of the former version,
//   and settled() loads it with acquire: the main thread's freeing comes after that use.
//
// Failure
//   A worker that never calls take() again keeps settled() false for ever: the main thread then
//   keeps both versions, and says so. Nothing here outlives the process.

#include <atomic>

namespace torii::shm {

template <class T>
class Current {
public:
    void set(const T* version) { wanted_.store(version, std::memory_order_release); }
    /// Whether the worker uses what was set last.
    bool settled() const {
        return taken_.load(std::memory_order_acquire) == wanted_.load(std::memory_order_relaxed);
    }

    /// Between two bursts. nullptr: stop.
    const T* take() {
        const T* wanted = wanted_.load(std::memory_order_acquire);
        // The line is written only when it changes, so that polling costs no traffic.
        if (wanted != taken_.load(std::memory_order_relaxed))
            taken_.store(wanted, std::memory_order_release);
        return wanted;
    }

private:
    alignas(64) std::atomic<const T*> wanted_{nullptr};
    alignas(64) std::atomic<const T*> taken_{nullptr};
};

}  // namespace torii::shm
