// Insertion.
//
// Two workers may insert one tuple at the same time, without locks, and exactly one entry must
// come of it. Each goes through
//
//   1. write the cell with phase tentative, and put its index into the first empty slot of the
//      probe sequence by compare-and-swap, counting itself past every full bucket first;
//   2. read the whole probe sequence again and, for every other entry of the same tuple,
//        live       withdraw ours and return that one,
//        tentative  stop it: compare-and-swap its word tentative -> dying. If it lies before ours,
//                   it gets a moment to finish first;
//        dying      pass over it;
//   3. compare-and-swap our word tentative -> live. If somebody stopped us: withdraw, start again.
//
// At most one becomes live. The slot's swap in 1, the loads in 2 and the swaps of words are
// sequentially consistent. Of two entries A and B of one tuple let A be the one whose slot was
// swapped first; then B's reading in 2 comes after both slots are there and B sees A, unless A is
// already unlinked. (The overflow counts do not hide it: A counted itself past the buckets before
// its slot's swap, so B reads on as far as A.) What B sees of A's word:
//   live       B withdraws; only A is live.
//   tentative  B swaps it to dying before B becomes live itself, so A's step 3 fails; or the swap
//              fails because A became live, and B withdraws.
//   dying      A never becomes live any more, or has been and has ended.
// So when B becomes live, A is dying or gone, and can not become live later.
// That holds for every pair.
//
// Nobody waits for anybody. The moment given to the earlier entry is a bounded number of loads, and
// makes it unlikely that two stop each other and both start again; after kAttempts insert() says
// kFull. A worker killed half-way leaves a tentative entry that others pass by stopping it; its
// slot is cleared on attach.
//
// Ending an entry is one compare-and-swap live -> dying; its winner alone clears the slot, takes
// the counts back and sends the cell to wait for its grace period. A cell found through a slot or a
// timer is therefore never another entry's before the finder's next quiescent point.

#include <cassert>

#include "dataplane/flow/impl.h"

namespace torii::flow {
namespace {

constexpr uint32_t kAttempts = 64;
constexpr uint32_t kPatience = 256;         // loads given to an earlier tentative entry
constexpr uint32_t kRandomCandidates = 32;  // cells looked at for a half-open entry
constexpr uint32_t kWindowCandidates = 64;

// Stored with release, piece by piece: see Reader.
template <class T>
void put(T& field, T value) {
    __atomic_store_n(&field, value, __ATOMIC_RELEASE);
}
void put16(uint8_t* field, const void* from) {
    put(reinterpret_cast<uint64_t*>(field)[0], detail::load<uint64_t>(from));
    put(reinterpret_cast<uint64_t*>(field)[1],
        detail::load<uint64_t>(static_cast<const char*>(from) + 8));
}

bool tentative(uint64_t word) { return Phase(word & 3) == Phase::tentative; }
bool live(uint64_t word) { return Phase(word & 3) == Phase::live; }
uint64_t with_phase(uint64_t word, Phase p) { return (word & ~uint64_t(3)) | uint64_t(p); }

}  // namespace

/// Where an entry's slot lies: `passed` buckets from home.
struct Table::Worker::Place {
    uint32_t home, bucket, passed, slot;
    bool before(const Place& o) const {
        return passed != o.passed ? passed < o.passed : slot < o.slot;
    }
};

/// The request side of a tuple, ready to be compared.
struct Table::Worker::Identity {
    Identity(const Tuple& t, bool persistent)
        : ipv6(!t.client.is_v4()),
          wanted(detail::kind_of(ipv6, uint8_t(t.protocol)) |
                 (persistent ? detail::kPersistentBit : 0)),
          ports(t.client_port.raw() | uint32_t(t.virtual_port.raw()) << 16),
          tuple(t) {
        assert(t.virtual_address.is_v4() != ipv6);
    }
    CellKind kind() const { return ipv6 ? CellKind::pair : CellKind::single; }
    bool same(const Cell4& c) const {
        if (detail::differs(c.head, false, wanted, ports)) return false;
        if (c.head.persistent &&
            (Word::unpack(c.head.word.load(std::memory_order_acquire)).flags & kVoid))
            return false;
        if (!ipv6)
            return c.client == tuple.client.as_v4().raw() &&
                   c.virtual_address == tuple.virtual_address.as_v4().raw();
        const auto& c6 = reinterpret_cast<const Cell6&>(c);
        return detail::same16(c6.client, tuple.client.bytes.data()) &&
               detail::same16(c6.virtual_address, tuple.virtual_address.bytes.data());
    }
    const bool ipv6;
    const uint32_t wanted, ports;  // see detail::differs(); client's port, then service's
    const Tuple& tuple;
};

uint32_t Table::Worker::find_same(const Identity& id, uint64_t hash) const {
    return find(hash, [&](const Cell4& c) { return id.same(c); });
}
uint32_t Table::Worker::find_template(const Tuple& tuple, uint64_t hash) const {
    return find_same(Identity(tuple, true), hash);
}

Table::Worker::Inserted Table::Worker::insert(const NewEntry& e, uint64_t hash, Tick now) {
    const Identity id(e.tuple, e.flags & kTemplate);
    assert(impl_->table.constant_hash ||
           hash == hash_of(impl_->table.header->seed, e.tuple.protocol, e.tuple.client,
                           e.tuple.client_port));
    bool recycled = false;
    for (uint32_t attempt = 0; attempt < kAttempts; ++attempt) {
        if (const uint32_t there = find_same(id, hash); there != kNone)
            return {there, false, recycled};
        const uint32_t cell = take_cell(id, hash, recycled);
        if (cell == kNoCell) return {kFull, false, recycled};
        const bool room = impl_->wheel.room();
        const Tick at = room ? impl_->wheel.plan(e.expiry, now, kFirstArm) : kUnarmed;
        write_cell(cell, e, at);
        step(InsertStep::written);
        Place where;
        if (!place(cell, hash, where)) {
            cells_[cell].head.word.store(0, std::memory_order_release);
            impl_->cache.give(id.kind(), cell);
            if (!recycle(hash, false, true)) return {kFull, false, recycled};
            recycled = true;
            continue;
        }
        step(InsertStep::placed);
        if (!settle(cell, id, hash, where)) {
            withdraw(cell, where);
            continue;
        }
        impl_->used(id.ipv6 ? 2 : 1, 0);
        count(head(cell), e.flags, 1);
        if (!(e.flags & kTemplate)) {
            if (e.backend < impl_->backend_slots) impl_->backends[e.backend].connections.add(1);
            if (e.service_slot < impl_->service_slots)
                impl_->services[e.service_slot].connections.add(1);
        }
        if (room)
            impl_->wheel.push(at, {cell, head(cell).generation.load(std::memory_order_relaxed)});
        else
            impl_->sweeping = impl_->sweep_again = true;
        return {cell, true, recycled};
    }
    return {kFull, false, recycled};
}

void Table::Worker::step(InsertStep s) const {
    if (impl_->table.between) [[unlikely]]
        impl_->table.between(impl_->number, s);
}

uint32_t Table::Worker::take_cell(const Identity& id, uint64_t hash, bool& recycled) {
    uint32_t cell = impl_->cache.take(id.kind());
    if (cell != kNoCell) return cell;
    release_waiting(kNone);
    cell = impl_->cache.take(id.kind());
    if (cell != kNoCell || !impl_->cache.has_reserve(id.kind())) return cell;
    // The recycled entry's own cells may still be read by others; they refill the reserve later.
    if (!recycle(hash, id.ipv6, false)) return kNoCell;
    recycled = true;
    return impl_->cache.take_reserve(id.kind());
}

void Table::Worker::write_cell(uint32_t cell, const NewEntry& e, Tick armed_at) {
    Head& h = head(cell);
    const bool ipv6 = !e.tuple.client.is_v4();
    h.generation.store(h.generation.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    h.word.store(Word{Phase::tentative, e.state, e.flags, e.expiry}.pack(),
                 std::memory_order_release);
    put(h.backend, e.backend);
    put(h.backend_generation, e.backend_generation);
    put(h.service_slot, e.service_slot);
    const uint64_t last =
        uint64_t(e.tuple.backend_port.raw()) | uint64_t(e.tuple.client_port.raw()) << 16 |
        uint64_t(e.tuple.virtual_port.raw()) << 32 | uint64_t(e.tuple.protocol) << 48 |
        uint64_t(e.forward) << 56 | (ipv6 ? uint64_t(detail::kIpv6Bit) << 48 : 0) |
        (e.flags & kTemplate ? uint64_t(detail::kPersistentBit) << 48 : 0);
    const uint32_t reference = e.control + 1;  // kNone + 1 is 0
    put(*reinterpret_cast<uint64_t*>(&h.backend_port), last);
    if (ipv6) {
        Cell6& c = cell6(cell);
        c.second_word.store(0, std::memory_order_release);
        put16(c.client, e.tuple.client.bytes.data());
        put16(c.virtual_address, e.tuple.virtual_address.bytes.data());
        put16(c.backend_address, e.tuple.backend_address.bytes.data());
        c.reply_route.store(e.timeout, std::memory_order_release);
        c.armed.store(armed_at, std::memory_order_release);
        c.control.store(reference, std::memory_order_release);
    } else {
        Cell4& c = cell4(cell);
        const bool same_family = e.tuple.backend_address.is_v4();
        assert(same_family || e.forward == shm::Forward::tunnel);
        put(c.client, e.tuple.client.as_v4().raw());
        put(c.virtual_address, e.tuple.virtual_address.as_v4().raw());
        put(c.backend_address, same_family ? e.tuple.backend_address.as_v4().raw() : 0);
        c.reply_route.store(e.timeout, std::memory_order_release);
        c.armed.store(armed_at, std::memory_order_release);
        c.control.store(reference, std::memory_order_release);
    }
}

namespace {

/// One more (or, with add = -1, one fewer) entry lies beyond this bucket.
void count_past(Bucket& bucket, int add) {
    std::atomic<uint64_t>& slot = bucket.slots[0];
    uint64_t seen = slot.load();
    for (;;) {
        const uint32_t n = slot_spare(seen);
        if (n == 0xff || (n == 0 && add < 0)) return;
        const uint64_t next = (seen & ~kSpareMask) | uint64_t(n + uint32_t(add)) << 24;
        if (slot.compare_exchange_weak(seen, next)) return;
    }
}

}  // namespace

bool Table::Worker::place(uint32_t cell, uint64_t hash, Place& where) {
    where.home = where.bucket = bucket_of(hash);
    const uint64_t word = slot_word(cell, tag(hash));
    for (where.passed = 0; where.passed < max_probe_; ++where.passed) {
        Bucket& bucket = buckets_[where.bucket];
        for (where.slot = 0; where.slot < kSlots; ++where.slot) {
            std::atomic<uint64_t>& slot = bucket.slots[where.slot];
            uint64_t seen = slot.load();
            while (slot_empty(seen))
                if (slot.compare_exchange_weak(seen, word | (seen & kSpareMask))) return true;
        }
        count_past(bucket, 1);
        where.bucket = after(where.bucket);
    }
    leave(where.home, where.passed);
    return false;
}

void Table::Worker::leave(uint32_t home, uint32_t passed) {
    for (uint32_t b = home; passed != 0; --passed, b = after(b)) count_past(buckets_[b], -1);
}

bool Table::Worker::settle(uint32_t cell, const Identity& id, uint64_t hash, const Place& ours) {
    Place p{ours.home, ours.home, 0, 0};
    const uint32_t wanted = tag(hash);
    for (; p.passed < max_probe_; ++p.passed, p.bucket = after(p.bucket)) {
        const Bucket& bucket = buckets_[p.bucket];
        for (p.slot = 0; p.slot < kSlots; ++p.slot) {
            const uint64_t slot = bucket.slots[p.slot].load();
            if (slot_empty(slot) || slot_tag(slot) != wanted) continue;
            const uint32_t other = slot_index(slot);
            if (other == cell || !id.same(cells_[other])) continue;
            if (!outrank(other, p.before(ours))) {
                ++impl_->conflicts.found_live;
                return false;
            }
        }
        if (slot_spare(bucket.slots[0].load()) == 0) break;
    }
    step(InsertStep::settled);
    uint64_t word = head(cell).word.load();
    if (tentative(word) &&
        head(cell).word.compare_exchange_strong(word, with_phase(word, Phase::live)))
        return true;
    ++impl_->conflicts.lost;
    return false;
}

/// False: the other entry of our tuple is live.
bool Table::Worker::outrank(uint32_t other, bool earlier) {
    std::atomic<uint64_t>& word = head(other).word;
    uint64_t seen = word.load();
    for (uint32_t n = 0; earlier && tentative(seen) && n < kPatience; ++n) {
        __builtin_ia32_pause();
        seen = word.load();
    }
    if (tentative(seen) && word.compare_exchange_strong(seen, with_phase(seen, Phase::dying))) {
        ++impl_->conflicts.killed;
        return true;
    }
    return !live(seen);
}

void Table::Worker::withdraw(uint32_t cell, const Place& p) {
    head(cell).word.store(uint64_t(Phase::dying));
    std::atomic<uint64_t>& slot = buckets_[p.bucket].slots[p.slot];
    uint64_t seen = slot.load();
    while (!slot.compare_exchange_weak(seen, seen & kSpareMask)) {
    }
    leave(p.home, p.passed);
    retire(cell);
}

bool Table::Worker::recyclable(uint32_t cell, bool pairs_only, Word& seen) const {
    const uint64_t word = head(cell).word.load(std::memory_order_acquire);
    if (!live(word)) return false;
    seen = Word::unpack(word);
    return seen.state == uint8_t(TcpState::syn_recv) &&
           head(cell).protocol == uint8_t(Protocol::tcp) && !(seen.flags & kTemplate) &&
           (!pairs_only || head(cell).ipv6);
}

/// Ends one half-open entry: of the tuple's own window first, because that also makes room there.
bool Table::Worker::recycle(uint64_t hash, bool pairs_only, bool window_only) {
    Word seen;
    uint32_t b = bucket_of(hash);
    for (uint32_t n = 0, probe = 0; probe < max_probe_; ++probe, b = after(b)) {
        for (const auto& s : buckets_[b].slots) {
            const uint64_t slot = s.load(std::memory_order_acquire);
            if (slot_empty(slot)) continue;
            ++n;
            if (recyclable(slot_index(slot), pairs_only, seen) && end(slot_index(slot), seen))
                return true;
        }
        if (!window_only && n >= kWindowCandidates) break;
        if (!window_only && slot_spare(buckets_[b].slots[0].load()) == 0) break;
    }
    if (window_only) return false;
    uint32_t candidates[kRandomCandidates];
    const uint32_t capacity = impl_->table.header->capacity;
    for (uint32_t& c : candidates) {
        c = uint32_t((impl_->next_random() >> 32) * capacity >> 32);
        if (pairs_only) c &= ~1u;
        __builtin_prefetch(&cells_[c]);
    }
    for (uint32_t c : candidates)
        if (recyclable(c, pairs_only, seen) && end(c, seen)) return true;
    return false;
}

}  // namespace torii::flow
