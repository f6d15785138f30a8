#pragma once
// What Table and its Workers keep privately. Only for this folder's .cc files.
//
// Motivation / Shape: see table.h. Thread-safety: Table::Impl is shared, its parts say how;
// Worker::Impl belongs to its worker. Memory ordering / Failure: see table.h.

#include <vector>

#include "dataplane/flow/cells.h"
#include "dataplane/flow/quiescent.h"
#include "dataplane/flow/table.h"
#include "dataplane/flow/wheel.h"

namespace torii::flow {

struct Table::Impl {
    shm::Mapping map;
    TableHeader* header = nullptr;
    Bucket* buckets = nullptr;
    Cell4* cells = nullptr;
    shm::Counters counters;
    bool constant_hash = false;
    std::function<void(uint32_t, InsertStep)> between;
    std::unique_ptr<CellStore> store;
    std::unique_ptr<Grace> grace;
    std::vector<std::unique_ptr<Worker>> workers;

    uint64_t hash_mask() const { return constant_hash ? 0 : ~uint64_t(0); }
    CellKind kind(uint32_t cell) const {
        return cells[cell].head.ipv6 ? CellKind::pair : CellKind::single;
    }
};

/// Cells that ended together, and the epoch after which they may be used again.
struct Waiting {
    uint32_t head = kNoCell, tail = kNoCell;
    uint64_t epoch = 0;
};

struct Table::Worker::Impl {
    Impl(Table::Impl& t, uint32_t n, CellCache c, Wheel w)
        : table(t), number(n), cache(std::move(c)), wheel(std::move(w)) {}

    Table::Impl& table;
    const uint32_t number;
    bool online = false;

    CellCache cache;
    // Cells that ended in this burst, then a ring of lists that wait for their epoch. A full ring
    // only means that the open list grows.
    Waiting open;
    static constexpr uint32_t kRing = 64;
    Waiting ring[kRing];
    uint32_t first = 0, waiting = 0;

    Wheel wheel;
    // Entries that found no room in the wheel are found by looking at all cells, a few a burst.
    bool sweeping = false, sweep_again = false;
    uint32_t sweep_at = 0;

    Conflicts conflicts;
    uint64_t random = 0x9e3779b97f4a7c15u;

    shm::Row *services = nullptr, *backends = nullptr;  // this worker's counter rows
    uint32_t service_slots = 0, backend_slots = 0;

    void used(uint64_t taken, uint64_t given_back) {  // one writer: no read-modify-write needed
        Use& u = table.header->use[number];
        u.taken.store(u.taken.load(std::memory_order_relaxed) + taken, std::memory_order_relaxed);
        u.given_back.store(u.given_back.load(std::memory_order_relaxed) + given_back,
                           std::memory_order_relaxed);
    }
    uint64_t next_random() {  // xorshift64*: only spreads, protects nothing
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        return random * 0x2545f4914f6cdd1du;
    }
};

/// storage.cc: finds or makes the table's file, and leaves it mapped and with a good header.
Result<shm::Mapping> open_storage(const shm::Location&, const Options&, Recovery&);
/// storage.cc: the first mount of 2 MB huge pages in a text like /proc/mounts, or "".
std::string find_hugetlbfs(const std::string& mounts_file);

}  // namespace torii::flow
