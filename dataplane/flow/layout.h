#pragma once
// Layout: what lies where in the connection table's file.
//
// Motivation
//   The dataplane, toriid's Reader and the tests that imitate a killed writer share one picture.
//
// Shape
//   TableHeader (8 KiB), buckets, cells; both arrays begin on a page. Bucket slot:
//   {cell index + 1: 32 | spare: 8 | tag: 24}, 0 (spare aside) when empty. The spare byte of slot 0
//   counts the entries that lie further along their probe sequence than this bucket; 255 sticks.
//
// Thread-safety / Memory ordering: see table.h. Failure: recovery.cc trusts nothing but the header.

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "dataplane/flow/entry.h"
#include "dataplane/flow/key.h"
#include "dataplane/shm/control_block.h"
#include "dataplane/shm/object.h"

namespace torii::flow {

inline constexpr uint32_t kSlots = 8;
inline constexpr uint64_t kSpareMask = 0xffull << 24;
inline constexpr uint32_t kTagMask = 0xffffff;
inline constexpr uint32_t kMinCapacity = 64;

struct alignas(64) Bucket {
    std::atomic<uint64_t> slots[kSlots];
};
static_assert(sizeof(Bucket) == 64);

struct alignas(64) Use {               // writer: the worker of that number; readers: anybody
    std::atomic<uint64_t> taken;       ///< cells given to entries
    std::atomic<uint64_t> given_back;  ///< cells whose entry has ended (their grace may still run)
};

struct TableHeader {
    shm::ObjectHeader header;
    Seed seed;
    uint32_t capacity, buckets;
    uint64_t buckets_offset, cells_offset;
    std::atomic<uint32_t> clean;  ///< 1: the last dataplane closed the table in order
    uint32_t reserved;
    Use use[shm::kMaxWorkers];
};
inline constexpr uint64_t kTableHeaderSize = 8192;
static_assert(sizeof(TableHeader) <= kTableHeaderSize);

inline constexpr uint64_t kConnectionsLayout = shm::layout_hash(
    {sizeof(TableHeader), offsetof(TableHeader, capacity), offsetof(TableHeader, use), kSlots,
     kTagMask, sizeof(Cell4), offsetof(Head, backend), offsetof(Head, client_port),
     offsetof(Cell4, client), offsetof(Cell4, reply_route), offsetof(Cell4, armed), sizeof(Cell6),
     offsetof(Cell6, client), offsetof(Cell6, second_word), offsetof(Cell6, backend_address),
     offsetof(Cell6, armed), offsetof(Cell4, control), offsetof(Cell6, control)});

constexpr uint64_t page_up(uint64_t n) { return (n + 4095) & ~uint64_t(4095); }
/// Cells of a table that was asked to have `capacity`: whole pairs, and at least kMinCapacity.
constexpr uint32_t rounded_capacity(uint32_t capacity) {
    return std::clamp(capacity, kMinCapacity, 0xfffffff0u) & ~1u;
}
constexpr uint32_t buckets_for(uint32_t capacity) { return capacity / 4; }
constexpr uint64_t cells_offset_for(uint32_t capacity) {
    return kTableHeaderSize + page_up(uint64_t(buckets_for(capacity)) * sizeof(Bucket));
}

constexpr uint64_t slot_word(uint32_t index, uint32_t tag) {
    return (uint64_t(index) + 1) << 32 | tag;
}
constexpr bool slot_empty(uint64_t slot) { return (slot >> 32) == 0; }
constexpr uint32_t slot_index(uint64_t slot) { return uint32_t(slot >> 32) - 1; }
constexpr uint32_t slot_tag(uint64_t slot) { return uint32_t(slot) & kTagMask; }
constexpr uint32_t slot_spare(uint64_t slot) { return uint32_t(slot >> 24) & 0xff; }

/// Never 0, so that an empty slot matches no tag.
constexpr uint32_t tag_of(uint64_t hash) {
    const uint32_t t = uint32_t(hash) & kTagMask;
    return t + (t == 0);
}
constexpr uint32_t home_of(uint64_t hash, uint32_t buckets) {
    return uint32_t((hash >> 32) * buckets >> 32);
}

}  // namespace torii::flow
