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
//   cells. Private to the dataplane process, rebuilt on attach: free cells (cells.h), timer wheels
//   (wheel.h), cells waiting for their grace period (quiescent.h).
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
//   the candidates it looks at, else returns kFull. Each worker keeps a few cells back for this, so
//   a table holds slightly fewer entries than it has cells. Attach validates every slot and cell
//   (recovery.cc), frees what is not whole, and reports what it found.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/flow/entry.h"
#include "dataplane/flow/key.h"
#include "dataplane/flow/layout.h"
#include "dataplane/shm/counters.h"
#include "dataplane/shm/object.h"

namespace torii::flow {

inline constexpr uint32_t kNone = ~0u;
inline constexpr uint32_t kFull = ~0u - 1;
inline constexpr uint32_t kMaxProbe = 32;  ///< buckets a tuple may lie away from home

/// What attach found and did.
struct Recovery {
    bool attached = false;  ///< false: the table is new
    bool clean = false;     ///< the last dataplane closed the table in order
    uint64_t kept = 0, expired = 0, half_written = 0, orphaned = 0, duplicates = 0;
    std::string path;
    bool huge_pages = false;
};

/// Where an insertion can be interrupted by another one, for tests.
enum class InsertStep : uint8_t { written, placed, settled };

enum class HugePages : uint8_t { automatic, never, require };

struct Options {
    uint32_t capacity = 1u << 20;  ///< cells
    uint32_t workers = 1;
    HugePages huge_pages = HugePages::automatic;
    bool fresh = false;                   ///< discard what is there
    std::string mounts = "/proc/mounts";  ///< where hugetlbfs is looked up; tests say otherwise
    bool constant_hash = false;           ///< tests: every tuple has the same hash
    /// Tests: called by an insertion of `worker` before it takes the step after this one.
    std::function<void(uint32_t worker, InsertStep)> between;
};

/// Everything an insertion writes. Client and virtual address are of one family; the server of an
/// IPv6 client may be IPv4, not the other way round.
///
/// A connection is what its request side says it is: protocol, client and virtual address and port.
/// Two NAT connections of one client port to two services that share a server are both accepted;
/// the server's replies cannot tell them apart, and find_reply*() gives one of them (as LVS does).
struct NewEntry {
    Tuple tuple;
    uint32_t backend = 0, backend_generation = 0, service_slot = 0;
    shm::Forward forward = shm::Forward::nat;
    uint8_t state = 0;
    uint16_t flags = 0;  ///< kTemplate makes it a template
    Tick expiry = 0;
    uint32_t control = kNone;  ///< the template it was made from, which hold() has counted it in
    uint32_t timeout = 0;      ///< of a template: seconds from its last connection's beginning
};

/// How insertions of one tuple by several workers were settled; see table.cc.
struct Conflicts {
    uint64_t found_live = 0;  ///< the other one was live first: ours was withdrawn
    uint64_t killed = 0;      ///< the other one was tentative, and was stopped by us
    uint64_t lost = 0;        ///< ours was stopped by another worker
};

class Table {
public:
    class Worker;

    /// Attaches to the instance's table, or creates it. `now` decides what has expired. Rebuilds
    /// the active/inactive/persistent counts of `counters` (into worker 0's rows), which must have
    /// a block for every worker and outlive the table. Errc::layout when the file is of another
    /// layout or capacity, truncated or corrupt in its header and options.fresh is not set;
    /// Errc::full when there is not enough memory.
    static Result<std::unique_ptr<Table>> open(const shm::Location&, const Options&,
                                               shm::Counters counters, Tick now,
                                               Recovery& recovery);
    /// Bytes of shared memory for a capacity: header + buckets (16 a cell) + cells (64 each).
    static uint64_t bytes_for(uint32_t capacity);
    ~Table();

    Worker& worker(uint32_t number);
    const Seed& seed() const;
    uint32_t capacity() const;
    /// Cells that hold entries, about. Any thread.
    uint64_t used() const;
    /// Bytes of private memory in use: timers, bitmaps. Any thread; an estimate.
    uint64_t private_bytes() const;

    /// Main thread, every 100 ms or so: joins free single cells to pairs when pairs run short, and
    /// makes memory for timers present before it is used. Bounded work.
    void housekeeping();

    /// For tests, while no worker runs: cells that are free or wait for their grace period. Aborts
    /// when one is there twice.
    uint64_t count_free() const;
    struct Impl;

private:
    friend class Worker;
    explicit Table(std::unique_ptr<Impl>);
    std::unique_ptr<Impl> impl_;
};

/// One dataplane thread's hold on the table. Not shared between threads. Starts offline; its thread
/// calls online() (or quiescent(), which does the same) before it uses anything else.
class Table::Worker {
public:
    ~Worker();

    /// Says that this thread holds no reference (entry index) any more. Once a burst, also when
    /// idle.
    void quiescent();
    /// The thread stops for good, or sleeps: others need not wait for it until it calls online().
    void offline();
    void online();

    void prefetch_bucket(uint64_t hash) const;
    /// First candidate with the tag, whose cell it prefetches. If there is none, any entry.
    uint32_t prefetch_cell(uint64_t hash) const;

    /// Exact lookups; kNone if there is no live entry. A request is matched by client and virtual
    /// side, a reply by backend and client side (NAT entries only). Addresses and ports are the
    /// packet's source and destination as they lie in it: network order, one behind the other.
    uint32_t find4(bool reply, uint64_t hash, uint8_t protocol, uint64_t addresses,
                   uint32_t ports) const;
    uint32_t find6(bool reply, uint64_t hash, uint8_t protocol, const void* addresses,
                   uint32_t ports) const;

    /// The same with every number for itself, raw.
    uint32_t find_request4(uint64_t hash, uint8_t protocol, uint32_t client, uint16_t client_port,
                           uint32_t virtual_address, uint16_t virtual_port) const {
        return find4(false, hash, protocol, client | uint64_t(virtual_address) << 32,
                     client_port | uint32_t(virtual_port) << 16);
    }
    uint32_t find_reply4(uint64_t hash, uint8_t protocol, uint32_t client, uint16_t client_port,
                         uint32_t backend_address, uint16_t backend_port) const {
        return find4(true, hash, protocol, backend_address | uint64_t(client) << 32,
                     backend_port | uint32_t(client_port) << 16);
    }
    uint32_t find_request6(uint64_t hash, uint8_t protocol, const void* client,
                           uint16_t client_port, const void* virtual_address,
                           uint16_t virtual_port) const {
        const Pair6 ends(client, virtual_address);
        return find6(false, hash, protocol, &ends, client_port | uint32_t(virtual_port) << 16);
    }
    uint32_t find_reply6(uint64_t hash, uint8_t protocol, const void* client, uint16_t client_port,
                         const void* backend_address, uint16_t backend_port) const {
        const Pair6 ends(backend_address, client);
        return find6(true, hash, protocol, &ends, backend_port | uint32_t(client_port) << 16);
    }

    Head& head(uint32_t entry) const { return cells_[entry].head; }
    Cell4& cell4(uint32_t entry) const { return cells_[entry]; }
    Cell6& cell6(uint32_t entry) const { return reinterpret_cast<Cell6&>(cells_[entry]); }
    Tuple tuple(uint32_t entry) const;

    struct Inserted {
        uint32_t entry;  ///< the new entry, the one another worker inserted first, or kFull
        bool created;    ///< this call made it
        bool recycled;   ///< a half-open entry had to go
    };
    /// Inserts unless a live entry of this tuple exists. `hash` is hash_of() the client side.
    /// Counts the connection (counters row of the backend: active or inactive by kInactive,
    /// persistent for templates; connections of backend and service otherwise) when it made it.
    Inserted insert(const NewEntry&, uint64_t hash, Tick now);

    /// Replaces the word if it still is `seen` and live; keeps the counts of active and inactive
    /// right, and arms an earlier timer when the expiry moves closer than the timer that is armed.
    /// Writes nothing when `next` is `seen`. False: somebody else changed it; load again.
    bool update(uint32_t entry, Word seen, Word next, Tick now);
    /// Ends an entry (once, whoever comes first).
    bool remove(uint32_t entry);

    /// The live template of this tuple (client_port 0), or kNone. `hash` is hash_of() its client.
    uint32_t find_template(const Tuple&, uint64_t hash) const;
    /// Counts one connection more in a template and starts its time anew. False: it has ended (or
    /// was made void) meanwhile. A connection that is inserted then takes this over.
    bool hold(uint32_t entry, Tick now);
    void release(uint32_t entry);  ///< takes back hold(): the connection was not made
    /// find_template() does not find it any more; it ends when its connections and its time have.
    void make_void(uint32_t entry, Tick now);
    /// make_void(); one without connections ends at once.
    void give_up_template(uint32_t entry, Tick now);
    /// One of its connections was answered: the template's state is 1 (LVS: ASSURED).
    void assure(uint32_t entry, Tick now);
    /// The template that the connection was made from, or kNone.
    uint32_t template_of(uint32_t entry) const {
        return control(entry).load(std::memory_order_relaxed) - 1;
    }
    bool is_held(uint32_t entry) const { return template_of(entry) != kNone; }

    /// Backends whose counts of active and inactive this worker changes are remembered, each once,
    /// from watch() on, for take_touched().
    void watch(uint32_t backend);
    void touch(uint32_t backend);  ///< as if its counts had changed
    /// Calls visit(backend) for each one touched since the last call.
    template <class F>
    void take_touched(F&& visit);

    /// Runs timers up to `now`: frees entries whose expiry has come (expiry <= now), at most
    /// `budget` timers. Returns the number of entries freed. Called once a burst; cheap when
    /// nothing is due. What the budget leaves over is done by the next calls.
    uint32_t expire(Tick now, uint32_t budget);

    uint32_t number() const;
    uint32_t cells() const;  ///< entries are numbered below this
    const Conflicts& conflicts() const;
    uint32_t timers() const;  ///< armed in this worker's wheel, outdated ones included
    struct Impl;

private:
    friend class Table;
    struct Pair6 {
        uint8_t source[16], destination[16];
        Pair6(const void* s, const void* d) {
            std::memcpy(source, s, 16);
            std::memcpy(destination, d, 16);
        }
    };
    struct Place;
    struct Identity;
    struct Window;

    Worker(Table::Impl&, uint32_t number, std::unique_ptr<Impl>);

    uint32_t bucket_of(uint64_t hash) const { return home_of(hash & hash_mask_, bucket_count_); }
    uint32_t tag(uint64_t hash) const { return tag_of(hash & hash_mask_); }
    uint32_t after(uint32_t bucket) const { return bucket + 1 == bucket_count_ ? 0 : bucket + 1; }
    template <class Equal>
    uint32_t find(uint64_t hash, Equal&& equal) const;
    uint32_t find_same(const Identity&, uint64_t hash) const;

    uint32_t take_cell(const Identity&, uint64_t hash, bool& recycled);
    void write_cell(uint32_t cell, const NewEntry&, Tick armed);
    bool place(uint32_t cell, uint64_t hash, Place&);
    bool settle(uint32_t cell, const Identity&, uint64_t hash, const Place&);
    bool outrank(uint32_t other, bool earlier);
    void withdraw(uint32_t cell, const Place&);
    bool recycle(uint64_t hash, bool pairs_only, bool window_only);
    bool recyclable(uint32_t cell, bool pairs_only, Word& seen) const;

    bool end(uint32_t entry, Word seen);
    void clear_slot(uint32_t entry);
    void leave(uint32_t home, uint32_t passed);
    void retire(uint32_t entry);
    void release_waiting(uint32_t most);
    void step(InsertStep) const;
    void count(const Head&, uint16_t flags, uint64_t n);
    void fire(Tick at, const uint32_t* cells, uint32_t n, Tick now, uint32_t& freed);
    void rearm(uint32_t cell, Tick from, Word word, Tick now);
    bool arm(uint32_t cell, Tick from, Tick at);
    void arm_earlier(uint32_t entry, Tick from, Tick expiry, Tick now);
    void sweep(Tick now, uint32_t& freed);
    std::atomic<Tick>& armed(uint32_t entry) const;
    std::atomic<uint32_t>& control(uint32_t entry) const;
    std::atomic<uint64_t>& reply_route(uint32_t entry) const;
    bool prolong(uint32_t entry, Word seen, Tick now);

    Bucket* buckets_;
    Cell4* cells_;
    uint32_t bucket_count_, max_probe_;
    uint64_t hash_mask_;             ///< all ones; 0 for tests that want one hash for everything
    std::vector<uint8_t> watched_;   ///< by backend slot: a Watch
    std::vector<uint32_t> touched_;  ///< room for every slot; the first touched_count_ are
    uint32_t touched_count_ = 0;
    std::unique_ptr<Impl> impl_;
};

}  // namespace torii::flow

#include "dataplane/flow/lookup.h"  // the inline half
