#pragma once
// Events: what a worker has to tell toriid, one single-producer single-consumer ring a worker.
//
// Motivation
//   A worker learns of things that only the control process can act on (a neighbour that nobody has
//   resolved yet). It must never wait for anybody.
//
// Shape
//   DIR/events: header, then a ring a worker: head, tail, kEventSlots events of 64 bytes.
//
// Thread-safety
//   push(): the ring's worker. pop(): one thread of toriid. Nothing else.
//
// Memory ordering
//   push() stores the event, then `head` with release; pop() loads `head` with acquire, copies,
//   then stores `tail` with release.
//
// Failure
//   A full ring refuses the event; the worker counts it (WorkerCounters::events_lost) and goes on.
//   A consumer that died leaves a full ring; a new one continues at `tail`.

#include <atomic>
#include <cstdint>

#include "config/base/address.h"
#include "dataplane/shm/object.h"

namespace torii::shm {

enum class EventKind : uint32_t { none = 0, neighbour_wanted = 1 };

struct Event {
    EventKind kind = EventKind::none;
    uint32_t ifindex = 0;
    Address address;
    uint64_t reserved[5] = {};
};
static_assert(sizeof(Event) == 64);

inline constexpr uint32_t kEventSlots = 256;

struct EventRing {
    alignas(64) std::atomic<uint32_t> head;  // writer: worker
    alignas(64) std::atomic<uint32_t> tail;  // writer: toriid
    alignas(64) Event slots[kEventSlots];

    bool push(const Event& e) {
        const uint32_t h = head.load(std::memory_order_relaxed);
        if (h - tail.load(std::memory_order_acquire) >= kEventSlots) return false;
        slots[h % kEventSlots] = e;
        head.store(h + 1, std::memory_order_release);
        return true;
    }
    bool pop(Event& e) {
        const uint32_t t = tail.load(std::memory_order_relaxed);
        if (head.load(std::memory_order_acquire) == t) return false;
        e = slots[t % kEventSlots];
        tail.store(t + 1, std::memory_order_release);
        return true;
    }
};

struct EventsHeader {
    ObjectHeader header;
    uint32_t workers, reserved[15];
};
static_assert(sizeof(EventsHeader) == 128);
inline constexpr uint64_t kEventsLayout =
    layout_hash({sizeof(EventsHeader), sizeof(EventRing), kEventSlots});

/// Creates DIR/events for `workers` rings, or attaches to one of the same size. Dataplane.
Result<Mapping> create_events(const Location&, uint32_t workers);
/// Opens it read-write (the consumer moves `tail`). toriid.
Result<Mapping> open_events(const Location&);
inline EventRing& ring_of(const Mapping& m, uint32_t worker) {
    return m.at<EventRing>(sizeof(EventsHeader))[worker];
}

}  // namespace torii::shm
