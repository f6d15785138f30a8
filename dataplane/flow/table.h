#pragma once
// Table: the connection table, lock-free, shared by all workers, outliving both processes.
//
// Motivation
//   Millions of connections, several cores, either direction of a flow on any core, no lock and no
//   steering rules; a killed dataplane must find every connection again.
//
// Shape
//   One shared-memory object: header (seed, dimensions), buckets, cells.
//   Bucket: one cache line of 8 slots, each a 64-bit word {index+1: 32 | spare: 8 | tag: 24}. A
//   tuple's home bucket comes from the high half of its hash, the tag from the low bits; a full
//   home bucket overflows into the next ones (at most kMaxProbe). Slot 0's spare byte counts
//   (saturating) how many entries have passed over this bucket, so that a miss in an ordinary
//   bucket costs one line. Cell: 64 bytes; an IPv6 entry takes an aligned pair. `capacity` counts
//   cells. Private to the dataplane process, rebuilt on attach: free cells, timer wheels, cells
//   waiting for their grace period.
//
// Thread-safety
//   Each dataplane thread owns one Worker (below) and uses only that. find*() may run concurrently
//   with everything. One insertion wins when two workers insert one tuple (tentative phase, see
//   table.cc). Reader (reader.h) is for other processes.
//
// Memory ordering
//   A slot is published by compare-and-swap (release) after the cell is written, and loaded with
//   acquire. Insertions of one tuple order themselves by sequentially consistent operations on
//   slots and words. A freed cell is given out again only after every worker has passed a quiescent
//   point.
//
// Failure
//   Full (no cell, or kMaxProbe buckets full): insert() recycles a half-open entry (SYN_RECV) among
//   the candidates it looks at, else returns kFull. Attach validates every slot and cell in one
//   pass, frees what is not whole, and reports what it found.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/flow/entry.h"
#include "dataplane/flow/key.h"
#include "dataplane/shm/counters.h"
#include "dataplane/shm/object.h"

namespace torii::flow {

inline constexpr uint32_t kNone = ~0u;
inline constexpr uint32_t kFull = ~0u - 1;
inline constexpr uint32_t kMaxProbe = 32;  ///< buckets a tuple may lie away from home

/// What attach found and did.
struct Recovery {
    bool attached = false;  ///< false: the table is new
    uint64_t kept = 0, expired = 0, half_written = 0, orphaned = 0, duplicates = 0;
    std::string path;
    bool huge_pages = false;
};

enum class HugePages : uint8_t { automatic, never, require };

struct Options {
    uint32_t capacity = 1u << 20;  ///< cells
    uint32_t workers = 1;
    HugePages huge_pages = HugePages::automatic;
    bool fresh = false;          ///< discard what is there
    bool constant_hash = false;  ///< tests: every tuple has the same hash
};

/// Everything an insertion writes.
struct NewEntry {
    Tuple tuple;
    uint32_t backend = 0, backend_generation = 0, service_slot = 0;
    shm::Forward forward = shm::Forward::nat;
    uint8_t state = 0;
    uint16_t flags = 0;
    Tick expiry = 0;
};

class Table {
public:
    class Worker;

    /// Attaches to the instance's table, or creates it. `now` decides what has expired. Rebuilds
    /// the active/inactive counts of `counters` (into worker 0's rows). Errc::layout when the file
    /// is of another layout, truncated or corrupt in its header and options.fresh is not set.
    static Result<std::unique_ptr<Table>> open(const shm::Location&, const Options&,
                                               shm::Counters counters, Tick now,
                                               Recovery& recovery);
    /// Bytes of shared memory for a capacity: header + buckets (16 a cell) + cells (64 each).
    static uint64_t bytes_for(uint32_t capacity);
    ~Table();

    Worker& worker(uint32_t number);
    const Seed& seed() const;
    uint32_t capacity() const;

    /// Main thread, every 100 ms or so: joins free single cells to pairs when pairs run short, and
    /// moves free cells between workers. Bounded work.
    void housekeeping();

private:
    struct Impl;
    explicit Table(std::unique_ptr<Impl>);
    std::unique_ptr<Impl> impl_;
};

/// One dataplane thread's hold on the table. Not shared between threads.
class Table::Worker {
public:
    /// Says that this thread holds no reference (entry index) any more. Once a burst, also when
    /// idle.
    void quiescent();
    /// The thread stops for good, or sleeps: others need not wait for it until it calls online().
    void offline();
    void online();

    void prefetch_bucket(uint64_t hash) const;
    /// First candidate with the tag, so that its cell can be prefetched; kNone if there is none.
    uint32_t prefetch_cell(uint64_t hash) const;

    /// Exact lookups; kNone if there is no live entry. A request is matched by client and virtual
    /// side, a reply by client and backend side (NAT entries only). All numbers raw network order.
    uint32_t find_request4(uint64_t hash, uint8_t protocol, uint32_t client, uint16_t client_port,
                           uint32_t virtual_address, uint16_t virtual_port) const;
    uint32_t find_reply4(uint64_t hash, uint8_t protocol, uint32_t client, uint16_t client_port,
                         uint32_t backend_address, uint16_t backend_port) const;
    uint32_t find_request6(uint64_t hash, uint8_t protocol, const void* client,
                           uint16_t client_port, const void* virtual_address,
                           uint16_t virtual_port) const;
    uint32_t find_reply6(uint64_t hash, uint8_t protocol, const void* client, uint16_t client_port,
                         const void* backend_address, uint16_t backend_port) const;

    Head& head(uint32_t entry) const;
    Cell4& cell4(uint32_t entry) const;
    Cell6& cell6(uint32_t entry) const;
    Tuple tuple(uint32_t entry) const;

    struct Inserted {
        uint32_t entry;  ///< the new entry, the one another worker inserted first, or kFull
        bool created;    ///< this call made it
        bool recycled;   ///< a half-open entry had to go
    };
    /// Inserts unless a live entry of this tuple exists. Counts the connection (counters row of the
    /// backend: active or inactive by kInactive, persistent for templates) when it made it.
    Inserted insert(const NewEntry&, uint64_t hash, Tick now);

    /// Replaces the word if it still is `seen` and live; keeps the counts of active and inactive
    /// right, and arms an earlier timer when the expiry moves closer by more than the wheel would
    /// notice. False: somebody else changed it; load again.
    bool update(uint32_t entry, Word seen, Word next, Tick now);
    /// Ends an entry (once, whoever comes first).
    bool remove(uint32_t entry);

    /// Runs timers up to `now`: frees entries whose expiry has passed, at most `budget` timers.
    /// Returns the number of entries freed. Called once a burst; cheap when nothing is due.
    uint32_t expire(Tick now, uint32_t budget);

    uint32_t number() const;
    struct Impl;

private:
    friend class Table;
    std::unique_ptr<Impl> impl_;
    explicit Worker(std::unique_ptr<Impl>);
};

}  // namespace torii::flow
