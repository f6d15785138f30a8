#pragma once
// Wheel: the timers of one worker.
//
// Motivation
//   Millions of connections, each with a deadline that moves with every packet. Moving a timer then
//   must cost nothing: a timer is a hint to look at the entry, and is re-armed when it fires early.
//
// Shape
//   kWheelSlots slots of one tick; a slot is a list of chunks of {cell, generation}. Chunks come
//   from a private pool that is reserved (address space, not memory) for more timers than the table
//   has cells; housekeeping touches its pages ahead of their use. Pages once used are used again.
//
// Thread-safety
//   One thread, the worker's; prepare() may run at the same time on the main thread.
//
// Memory ordering
//   `touched_` and `fresh_` are hints between the two threads: relaxed.
//
// Failure
//   room() is false when the pool is used up; the table then leaves the entry to its sweep. Firing
//   and re-arming always succeeds: the pool keeps a chunk for every slot beyond what room() gives.

#include <atomic>
#include <cstdint>
#include <memory>

#include "dataplane/flow/entry.h"

namespace torii::flow {

inline constexpr uint32_t kWheelSlots = 512;
inline constexpr Tick kFirstArm = 8 * kTicksPerSecond;  ///< longest distance of a first timer
inline constexpr Tick kRearm = 64 * kTicksPerSecond;    ///< longest distance of later ones

class Wheel {
public:
    struct Timer {
        uint32_t cell, generation;
    };

    /// Room for `timers` timers. Errc::io when the address space is not to be had.
    static Result<Wheel> create(uint32_t timers, Tick now);
    Wheel(Wheel&&) noexcept;
    Wheel& operator=(Wheel&&) = delete;
    ~Wheel();

    bool room() const { return timers_ < limit_; }
    /// The tick at which a timer for `expiry` would fire, at most `reach` ticks after `now`.
    Tick plan(Tick expiry, Tick now, Tick reach) const;
    /// `at` comes from plan(), with nothing but push() in between.
    void push(Tick at, Timer);
    /// Takes up to `most` timers that are due by `now`, all of one tick (written to `at`). 0: no
    /// more are due, or only empty slots were passed.
    uint32_t take(Tick now, Timer* out, uint32_t most, Tick& at);
    bool due(Tick now) const { return int32_t(now - cursor_) >= 0; }

    uint32_t timers() const { return timers_; }
    /// Memory in use, bytes.
    uint64_t bytes() const;
    /// Main thread: makes the next pages of the pool present.
    void prepare();

private:
    static constexpr uint32_t kTimers = 15, kNil = ~0u;
    struct Chunk {
        uint32_t next, count;
        Timer timers[kTimers];
    };
    static_assert(sizeof(Chunk) == 128);

    Wheel(Chunk* pool, uint32_t chunks, uint32_t limit, Tick now);
    uint32_t chunk();

    Chunk* pool_;
    uint32_t chunks_, limit_;
    uint32_t timers_ = 0, free_ = kNil;
    Tick cursor_;                       ///< the next tick to look at
    std::atomic<uint32_t> fresh_{0};    // writer: worker; reader: main thread
    std::atomic<uint32_t> touched_{0};  // main thread only
    uint32_t slots_[kWheelSlots];
};

}  // namespace torii::flow
