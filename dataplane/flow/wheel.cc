#include "dataplane/flow/wheel.h"

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <cerrno>

namespace torii::flow {
namespace {
constexpr uint32_t kAhead = 8192;  // chunks kept present ahead of use: 120 thousand timers
}

Result<Wheel> Wheel::create(uint32_t timers, Tick now) {
    // One chunk a slot may be part full, one is being emptied.
    const uint64_t chunks = uint64_t(timers) / kTimers + kWheelSlots + 2;
    void* p = ::mmap(nullptr, chunks * sizeof(Chunk), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return fail_errno("the connection table's timers", errno);
    return Wheel(static_cast<Chunk*>(p), uint32_t(chunks), timers, now);
}

Wheel::Wheel(Chunk* pool, uint32_t chunks, uint32_t limit, Tick now)
    : pool_(pool), chunks_(chunks), limit_(limit), cursor_(now) {
    std::fill(std::begin(slots_), std::end(slots_), kNil);
}
Wheel::Wheel(Wheel&& o) noexcept
    : pool_(std::exchange(o.pool_, nullptr)),
      chunks_(o.chunks_),
      limit_(o.limit_),
      timers_(o.timers_),
      free_(o.free_),
      cursor_(o.cursor_),
      fresh_(o.fresh_.load()),
      touched_(o.touched_.load()) {
    std::copy(std::begin(o.slots_), std::end(o.slots_), slots_);
}
Wheel::~Wheel() {
    if (pool_) ::munmap(pool_, chunks_ * sizeof(Chunk));
}

Tick Wheel::plan(Tick expiry, Tick now, Tick reach) const {
    const Tick at = std::min(expiry, now + reach);
    // A worker that is late by minutes still files timers where its cursor will find them.
    return std::clamp(at, cursor_, cursor_ + kWheelSlots - 1);
}

uint32_t Wheel::chunk() {
    if (free_ != kNil) {
        const uint32_t c = free_;
        free_ = pool_[c].next;
        return c;
    }
    const uint32_t c = fresh_.load(std::memory_order_relaxed);
    assert(c < chunks_);
    fresh_.store(c + 1, std::memory_order_relaxed);
    return c;
}

void Wheel::push(Tick at, Timer t) {
    assert(at - cursor_ < kWheelSlots);
    uint32_t& head = slots_[at % kWheelSlots];
    if (head == kNil || pool_[head].count == kTimers) {
        const uint32_t c = chunk();
        pool_[c].next = head;
        pool_[c].count = 0;
        head = c;
    }
    Chunk& c = pool_[head];
    c.timers[c.count++] = t;
    ++timers_;
}

uint32_t Wheel::take(Tick now, Timer* out, uint32_t most, Tick& at) {
    if (timers_ == 0) {  // nothing to find however far the clock has gone
        if (due(now)) cursor_ = now + 1;
        return 0;
    }
    for (uint32_t passed = 0; due(now) && passed < kWheelSlots; ++passed, ++cursor_) {
        uint32_t& head = slots_[cursor_ % kWheelSlots];
        if (head == kNil) continue;
        Chunk& c = pool_[head];
        const uint32_t n = std::min(most, c.count);
        for (uint32_t i = 0; i < n; ++i) out[i] = c.timers[--c.count];
        timers_ -= n;
        if (c.count == 0) {
            const uint32_t emptied = head;
            head = c.next;
            c.next = free_;
            free_ = emptied;
            if (head != kNil) __builtin_prefetch(&pool_[head]);
        }
        at = cursor_;
        return n;
    }
    return 0;
}

uint64_t Wheel::bytes() const {
    const uint32_t present =
        std::max(fresh_.load(std::memory_order_relaxed), touched_.load(std::memory_order_relaxed));
    return present * sizeof(Chunk) + sizeof(Wheel);
}

void Wheel::prepare() {
    const uint32_t used = fresh_.load(std::memory_order_relaxed);
    const uint32_t want = std::min(chunks_, used + kAhead);
    const uint32_t from = std::max(touched_.load(std::memory_order_relaxed), used);
    if (from >= want || (want - from < kAhead / 4 && want < chunks_)) return;
    constexpr uint32_t kPerPage = 4096 / sizeof(Chunk);
    const uint32_t first = from / kPerPage * kPerPage;
    // An older kernel refuses; the pages then come when they are used.
    ::madvise(pool_ + first, (want - first) * sizeof(Chunk), MADV_POPULATE_WRITE);
    touched_.store(want, std::memory_order_relaxed);
}

}  // namespace torii::flow
