#pragma once
// CellStore and CellCache: the cells that hold no entry.
//
// Motivation
//   Every new connection takes a cell and every ended one gives one back, on all cores; nearly
//   always this must touch nothing that another core writes.
//
// Shape
//   A free cell is either fresh (never used since attach, found by a bitmap and a running number),
//   or on a list that is threaded through `link` of the free cells themselves. IPv6 entries need
//   aligned pairs, so pairs and single cells have lists of their own. CellCache is a worker's
//   private stock: two batches of each kind, the rest of a word of fresh cells, and a small reserve
//   for when the table is full and a half-open entry was recycled. CellStore is what all share: a
//   stack of batches of each kind.
//
// Thread-safety
//   CellCache: its worker. CellStore: any thread; rejoin() by the main thread.
//
// Memory ordering
//   A stack's head is {tag: 32, cell index + 1: 32}; the tag grows with every change, so that a
//   head that came back (ABA) is noticed. Pushing releases, popping acquires the links of the
//   batch. A loser of a pop may read a link that has already another meaning: it is atomic, and not
//   used.
//
// Failure
//   All of this is private to the process, and built anew on attach from what is not in use.

#include <atomic>
#include <cstdint>
#include <vector>

#include "dataplane/flow/layout.h"

namespace torii::flow {

inline constexpr uint32_t kNoCell = ~0u;

enum class CellKind : uint8_t { single, pair };

/// A list through free cells.
struct Chain {
    uint32_t head = kNoCell, count = 0;
};

class CellStore {
public:
    CellStore(Cell4* cells, uint32_t capacity, uint32_t workers);

    /// Before any worker runs: the cell holds an entry.
    void mark_used(uint32_t cell) { used_[cell / 64] |= 1ull << (cell % 64); }
    void unmark(uint32_t cell) { used_[cell / 64] &= ~(1ull << (cell % 64)); }
    bool is_marked(uint32_t cell) const { return used_[cell / 64] >> (cell % 64) & 1; }

    void push(CellKind, Chain);
    Chain pop(CellKind);  ///< an empty chain when there is none
    /// Some cells that were never used, as a mask from cell `base`; 0 when there are none left.
    uint64_t fresh(uint32_t& base);

    /// Makes pairs of single cells if somebody found none. Bounded work.
    void rejoin();
    std::atomic<uint32_t> pairs_wanted{0};

    uint32_t batch() const { return batch_; }  ///< length of a batch
    Cell4& cell(uint32_t i) const { return cells_[i]; }
    std::atomic<uint32_t>& link(CellKind k, uint32_t i) const {
        return k == CellKind::single ? cells_[i].link : reinterpret_cast<Cell6&>(cells_[i]).link;
    }
    void add(CellKind, Chain&, uint32_t cell) const;
    uint32_t take(CellKind, Chain&) const;
    uint64_t private_bytes() const { return used_.size() * 8; }

    /// Calls `visit` for every free cell in here. Only while no thread works.
    template <class F>
    void each(F&& visit) const;
    template <class F>
    void each_in(CellKind, const Chain&, F&& visit) const;

private:
    struct alignas(64) Stack {
        std::atomic<uint64_t> head{0};
        std::atomic<uint32_t> batches{0};  ///< about how many
    };
    std::atomic<uint32_t>& next_batch(CellKind k, uint32_t i) const {
        return k == CellKind::single ? cells_[i].armed : reinterpret_cast<Cell6&>(cells_[i]).armed;
    }
    std::atomic<uint32_t>& batch_size(CellKind k, uint32_t i) const {
        return k == CellKind::single ? cells_[i].control
                                     : reinterpret_cast<Cell6&>(cells_[i]).control;
    }

    Cell4* cells_;
    uint32_t capacity_, batch_;
    std::vector<uint64_t> used_;  ///< at attach; constant once workers run
    alignas(64) std::atomic<uint64_t> next_fresh_{0};
    Stack stacks_[2];
    std::vector<uint64_t> hand_;  ///< rejoin(): single cells in hand
};

class CellCache {
public:
    CellCache(CellStore&, uint32_t single_reserve, uint32_t pair_reserve);

    uint32_t take(CellKind);          ///< kNoCell when there is none outside the reserve
    uint32_t take_reserve(CellKind);  ///< kNoCell when the reserve is used up
    bool has_reserve(CellKind k) const { return reserve_[int(k)].count != 0; }
    /// The cell is free and nobody looks at it: fills the reserve first.
    void give(CellKind, uint32_t cell);
    /// Before any worker runs: puts cells aside.
    void fill_reserve();
    /// Hands spare single cells to the store when pairs are wanted there.
    void share_singles();

    template <class F>
    void each(F&& visit) const;

private:
    struct Stock {
        Chain loaded, previous;
    };
    uint32_t take_stock(CellKind);
    uint32_t take_shared(CellKind);
    uint32_t take_fresh(CellKind);
    void give_stock(CellKind, uint32_t cell);
    void split(uint32_t pair);

    CellStore* store_;
    Stock stock_[2];
    Chain reserve_[2];
    uint32_t reserve_size_[2];
    uint32_t fresh_base_ = 0;
    uint64_t fresh_mask_ = 0;
};

template <class F>
void CellStore::each_in(CellKind k, const Chain& chain, F&& visit) const {
    uint32_t c = chain.head;
    for (uint32_t n = 0; n < chain.count; ++n, c = link(k, c).load()) {
        visit(c);
        if (k == CellKind::pair) visit(c + 1);
    }
}
template <class F>
void CellStore::each(F&& visit) const {
    for (CellKind k : {CellKind::single, CellKind::pair})
        for (uint64_t h = stacks_[int(k)].head.load() & 0xffffffff; h != 0;) {
            const uint32_t c = uint32_t(h) - 1;
            each_in(k, {c, batch_size(k, c).load()}, visit);
            h = uint64_t(next_batch(k, c).load());
        }
    for (uint64_t c = next_fresh_.load(); c < capacity_; ++c)
        if (!is_marked(uint32_t(c))) visit(uint32_t(c));
}
template <class F>
void CellCache::each(F&& visit) const {
    for (CellKind k : {CellKind::single, CellKind::pair})
        for (const Chain* c : {&stock_[int(k)].loaded, &stock_[int(k)].previous, &reserve_[int(k)]})
            store_->each_in(k, *c, visit);
    for (uint64_t m = fresh_mask_; m != 0; m &= m - 1)
        visit(fresh_base_ + uint32_t(__builtin_ctzll(m)));
}

}  // namespace torii::flow
