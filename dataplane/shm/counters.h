#pragma once
// Counters: what every worker counted, for anybody to add up.
//
// Motivation
//   Packets, bytes and connections by verdict, service and backend, without two cores ever writing
//   one cache line; least-connection schedulers need the counts of every worker.
//
// Shape
//   DIR/counters: a header, then one block a worker: verdict counters, then a row a service slot,
//   then a row a backend slot (one cache line each). Created by torii-dataplane for its numbers of
//   workers and slots; kept over restarts if those are the same.
//
// Thread-safety
//   A block has one writer, its worker. Rows are plain 64-bit atomics stored relaxed. Any readers.
//   active/inactive are this worker's share and may be negative (the worker that ends a connection
//   need not be the one that began it); only the sum over workers means something.
//
// Memory ordering
//   Relaxed everywhere; a sum is a moment's estimate while packets flow, exact when they do not.
//
// Failure
//   A worker killed inside a burst leaves its block at the last completed counts. On attach the
//   main thread sets active/inactive from the connection table, and `received` to the sum of the
//   verdicts.

#include <atomic>
#include <cstdint>

#include "dataplane/shm/object.h"

namespace torii::shm {

inline constexpr uint32_t kMaxVerdicts = 64;

/// One relaxed 64-bit counter with a single writer.
struct Counter {
    std::atomic<uint64_t> value;
    void add(uint64_t n) {
        value.store(value.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    void set(uint64_t n) { value.store(n, std::memory_order_relaxed); }
    uint64_t get() const { return value.load(std::memory_order_relaxed); }
};

struct alignas(64) Row {  // writer: the worker; readers: toriid, other workers (active, inactive)
    Counter connections, in_packets, in_bytes, out_packets, out_bytes;
    Counter active, inactive;  ///< two's complement; a worker's share
    Counter persistent;
};
static_assert(sizeof(Row) == 64);

struct alignas(64) WorkerCounters {  // writer: the worker
    Counter received;                ///< packets taken from ports
    Counter waiting;                 ///< gauge: packets held until their neighbour is known
    Counter transmitted, transmitted_bytes;
    Counter table_insertions, table_expired, table_recycled, table_full, table_stateless;
    Counter events_lost;             ///< events dropped because the ring was full
    Counter busy_ticks, idle_ticks;  ///< microseconds in bursts, and asleep or polling nothing
    Counter reserved[4];
    Counter verdicts[kMaxVerdicts];
};

struct CountersHeader {
    ObjectHeader header;
    uint32_t workers, service_slots, backend_slots, reserved;
};
inline constexpr uint64_t kCountersLayout =
    layout_hash({sizeof(CountersHeader), sizeof(WorkerCounters), sizeof(Row), kMaxVerdicts});

/// Typed access to the object. Trivially copyable; valid as long as its Mapping.
class Counters {
public:
    static uint64_t size_for(uint32_t workers, uint32_t service_slots, uint32_t backend_slots);
    /// Creates the object, or attaches to one that has the same dimensions (otherwise replaces it).
    static Result<Mapping> create(const Location&, uint32_t workers, uint32_t service_slots,
                                  uint32_t backend_slots);
    static Result<Mapping> open(const Location&);  ///< read-only, verified
    explicit Counters(std::byte* object) : base_(object) {}
    Counters() = default;

    const CountersHeader& header() const { return *reinterpret_cast<const CountersHeader*>(base_); }
    uint32_t workers() const { return header().workers; }
    uint32_t backend_slots() const { return header().backend_slots; }
    WorkerCounters& worker(uint32_t w) const {
        return *reinterpret_cast<WorkerCounters*>(block(w));
    }
    Row* services(uint32_t w) const {
        return reinterpret_cast<Row*>(block(w) + sizeof(WorkerCounters));
    }
    Row* backends(uint32_t w) const { return services(w) + header().service_slots; }

private:
    // The first block begins at byte 128, after the padded header.
    std::byte* block(uint32_t w) const {
        const CountersHeader& h = header();
        const uint64_t rows = uint64_t(h.service_slots) + h.backend_slots;
        return base_ + 128 + w * (sizeof(WorkerCounters) + rows * sizeof(Row));
    }
    std::byte* base_ = nullptr;
};

}  // namespace torii::shm
