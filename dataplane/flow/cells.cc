#include "dataplane/flow/cells.h"

#include <algorithm>
#include <bit>

namespace torii::flow {
namespace {
constexpr uint32_t kLargestBatch = 64;
constexpr uint32_t kRejoinBatches = 4096;  // a quarter of a million cells a call
constexpr uint64_t kEven = 0x5555555555555555u;
}  // namespace

CellStore::CellStore(Cell4* cells, uint32_t capacity, uint32_t workers)
    : cells_(cells),
      capacity_(capacity),
      // A small table is dealt out in small portions, so that no worker sits on all of it.
      batch_(std::clamp(std::bit_floor(capacity / (8 * workers)), 2u, kLargestBatch)),
      used_((uint64_t(capacity) + 63) / 64) {}

void CellStore::add(CellKind k, Chain& chain, uint32_t c) const {
    link(k, c).store(chain.head, std::memory_order_release);
    chain.head = c;
    ++chain.count;
}
uint32_t CellStore::take(CellKind k, Chain& chain) const {
    if (chain.count == 0) return kNoCell;
    const uint32_t c = chain.head;
    chain.head = link(k, c).load(std::memory_order_relaxed);
    if (--chain.count != 0) __builtin_prefetch(&cells_[chain.head], 1);
    return c;
}

void CellStore::push(CellKind k, Chain chain) {
    if (chain.count == 0) return;
    Stack& s = stacks_[int(k)];
    batch_size(k, chain.head).store(chain.count, std::memory_order_release);
    uint64_t head = s.head.load(std::memory_order_relaxed), next;
    do {
        next_batch(k, chain.head).store(uint32_t(head), std::memory_order_release);
        next = ((head >> 32) + 1) << 32 | (uint64_t(chain.head) + 1);
    } while (!s.head.compare_exchange_weak(head, next, std::memory_order_acq_rel,
                                           std::memory_order_relaxed));
    s.batches.fetch_add(1, std::memory_order_relaxed);
}

Chain CellStore::pop(CellKind k) {
    Stack& s = stacks_[int(k)];
    uint64_t head = s.head.load(std::memory_order_acquire);
    while (uint32_t(head) != 0) {
        const uint32_t c = uint32_t(head) - 1;
        const uint64_t next = ((head >> 32) + 1) << 32 | next_batch(k, c).load();
        if (s.head.compare_exchange_weak(head, next, std::memory_order_acq_rel,
                                         std::memory_order_acquire)) {
            s.batches.fetch_sub(1, std::memory_order_relaxed);
            return {c, batch_size(k, c).load(std::memory_order_relaxed)};
        }
    }
    return {};
}

uint64_t CellStore::fresh(uint32_t& base) {
    while (next_fresh_.load(std::memory_order_relaxed) < capacity_) {
        const uint64_t from = next_fresh_.fetch_add(batch_, std::memory_order_relaxed);
        if (from >= capacity_) break;
        const uint64_t n = std::min<uint64_t>(batch_, capacity_ - from);
        const uint64_t whole = n == 64 ? ~0ull : (1ull << n) - 1;
        const uint64_t mask = ~used_[from / 64] >> (from % 64) & whole;
        if (mask == 0) continue;
        base = uint32_t(from);
        return mask;
    }
    return 0;
}

void CellStore::rejoin() {
    if (pairs_wanted.exchange(0, std::memory_order_relaxed) == 0) return;
    if (hand_.empty()) hand_.resize(used_.size());
    Chain pairs;
    std::vector<uint32_t> alone;
    // Half of what there is, so that meanwhile nobody lacks single cells.
    const uint32_t there = stacks_[int(CellKind::single)].batches.load(std::memory_order_relaxed);
    for (uint32_t n = std::min(kRejoinBatches, there <= 64 ? there : there / 2); n != 0; --n) {
        Chain batch = pop(CellKind::single);
        for (uint32_t c; (c = take(CellKind::single, batch)) != kNoCell;) {
            const uint64_t bit = 1ull << (c % 64), buddy = 1ull << ((c ^ 1) % 64);
            uint64_t& word = hand_[c / 64];
            if (word & buddy) {
                word &= ~buddy;
                add(CellKind::pair, pairs, c & ~1u);
                if (pairs.count == batch_) push(CellKind::pair, std::exchange(pairs, {}));
            } else {
                word |= bit;
                alone.push_back(c);
            }
        }
    }
    push(CellKind::pair, pairs);
    Chain back;
    for (uint32_t c : alone) {
        uint64_t& word = hand_[c / 64];
        if (!(word >> (c % 64) & 1)) continue;  // its buddy came later
        word &= ~(1ull << (c % 64));
        add(CellKind::single, back, c);
        if (back.count == batch_) push(CellKind::single, std::exchange(back, {}));
    }
    push(CellKind::single, back);
}

CellCache::CellCache(CellStore& store, uint32_t single_reserve, uint32_t pair_reserve)
    : store_(&store), reserve_size_{single_reserve, pair_reserve} {}

uint32_t CellCache::take_stock(CellKind k) {
    Stock& s = stock_[int(k)];
    if (s.loaded.count == 0) std::swap(s.loaded, s.previous);
    return store_->take(k, s.loaded);
}
uint32_t CellCache::take_shared(CellKind k) {
    Stock& s = stock_[int(k)];
    s.loaded = store_->pop(k);
    return store_->take(k, s.loaded);
}
uint32_t CellCache::take_fresh(CellKind k) {
    for (;;) {
        if (k == CellKind::single && fresh_mask_ != 0) {
            const int bit = __builtin_ctzll(fresh_mask_);
            fresh_mask_ &= fresh_mask_ - 1;
            return fresh_base_ + uint32_t(bit);
        }
        const uint64_t both = fresh_mask_ & (fresh_mask_ >> 1) & kEven;
        if (k == CellKind::pair && both != 0) {
            const int bit = __builtin_ctzll(both);
            fresh_mask_ &= ~(3ull << bit);
            return fresh_base_ + uint32_t(bit);
        }
        for (; fresh_mask_ != 0; fresh_mask_ &= fresh_mask_ - 1)
            give_stock(CellKind::single, fresh_base_ + uint32_t(__builtin_ctzll(fresh_mask_)));
        fresh_mask_ = store_->fresh(fresh_base_);
        if (fresh_mask_ == 0) return kNoCell;
    }
}
void CellCache::split(uint32_t pair) { give_stock(CellKind::single, pair + 1); }

uint32_t CellCache::take(CellKind k) {
    uint32_t c = take_stock(k);
    if (c == kNoCell && fresh_mask_ != 0) c = take_fresh(k);
    if (c == kNoCell) c = take_shared(k);
    if (c == kNoCell) c = take_fresh(k);
    if (c != kNoCell) return c;
    if (k == CellKind::pair) {
        store_->pairs_wanted.store(1, std::memory_order_relaxed);
        return kNoCell;
    }
    c = take_stock(CellKind::pair);
    if (c == kNoCell) c = take_shared(CellKind::pair);
    if (c != kNoCell) split(c);
    return c;
}

uint32_t CellCache::take_reserve(CellKind k) { return store_->take(k, reserve_[int(k)]); }

void CellCache::give_stock(CellKind k, uint32_t c) {
    Stock& s = stock_[int(k)];
    if (s.loaded.count >= store_->batch()) {
        store_->push(k, s.previous);
        s.previous = s.loaded;
        s.loaded = {};
    }
    store_->add(k, s.loaded, c);
}

void CellCache::give(CellKind k, uint32_t c) {
    Chain& singles = reserve_[int(CellKind::single)];
    if (reserve_[int(k)].count < reserve_size_[int(k)]) {
        store_->add(k, reserve_[int(k)], c);
    } else if (k == CellKind::pair && singles.count < reserve_size_[int(CellKind::single)]) {
        store_->add(CellKind::single, singles, c);
        give(CellKind::single, c + 1);
    } else {
        give_stock(k, c);
    }
}

void CellCache::fill_reserve() {
    for (CellKind k : {CellKind::pair, CellKind::single})
        while (reserve_[int(k)].count < reserve_size_[int(k)]) {
            const uint32_t c = take(k);
            if (c == kNoCell) break;
            store_->add(k, reserve_[int(k)], c);
        }
    store_->pairs_wanted.store(0, std::memory_order_relaxed);
}

void CellCache::share_singles() {
    if (store_->pairs_wanted.load(std::memory_order_relaxed) == 0) return;
    Stock& s = stock_[int(CellKind::single)];
    store_->push(CellKind::single, std::exchange(s.loaded, {}));
    store_->push(CellKind::single, std::exchange(s.previous, {}));
}

}  // namespace torii::flow
