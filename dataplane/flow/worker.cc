// Table::Worker after insertion: changes, ends, timers and grace periods.

#include <cassert>

#include "dataplane/flow/impl.h"

namespace torii::flow {
namespace {
constexpr uint32_t kBurst = 15;           // timers looked at together: one chunk
constexpr uint32_t kReleaseAtOnce = 256;  // waiting cells freed at one quiescent point
constexpr uint32_t kSweepAtOnce = 64;     // cells looked at by a sweep in one expire()
}  // namespace

Table::Worker::Worker(Table::Impl& table, uint32_t number, std::unique_ptr<Impl> impl)
    : buckets_(table.buckets),
      cells_(table.cells),
      bucket_count_(table.header->buckets),
      max_probe_(std::min(kMaxProbe, table.header->buckets)),
      hash_mask_(table.hash_mask()),
      impl_(std::move(impl)) {
    impl_->random += number * 0x2545f4914f6cdd1du;
    impl_->service_slots = table.counters.header().service_slots;
    impl_->backend_slots = table.counters.header().backend_slots;
    impl_->services = table.counters.services(number);
    impl_->backends = table.counters.backends(number);
    watched_.resize(impl_->backend_slots);
    touched_.resize(impl_->backend_slots);
}
Table::Worker::~Worker() = default;

uint32_t Table::Worker::number() const { return impl_->number; }
uint32_t Table::Worker::cells() const { return impl_->table.header->capacity; }
const Conflicts& Table::Worker::conflicts() const { return impl_->conflicts; }
uint32_t Table::Worker::timers() const { return impl_->wheel.timers(); }

Tuple Table::Worker::tuple(uint32_t entry) const {
    const Head& h = head(entry);
    Tuple t;
    if (h.ipv6) {
        const Cell6& c = cell6(entry);
        t.client = Address::v6(c.client);
        t.virtual_address = Address::v6(c.virtual_address);
        t.backend_address = Address::v6(c.backend_address);
    } else {
        const Cell4& c = cell4(entry);
        t.client = Address::v4(be32::from_raw(c.client));
        t.virtual_address = Address::v4(be32::from_raw(c.virtual_address));
        t.backend_address = Address::v4(be32::from_raw(c.backend_address));
    }
    t.client_port = be16::from_raw(h.client_port);
    t.virtual_port = be16::from_raw(h.virtual_port);
    t.backend_port = be16::from_raw(h.backend_port);
    t.protocol = Protocol(h.protocol);
    return t;
}

void Table::Worker::count(const Head& h, uint16_t flags, uint64_t n) {
    if (h.backend >= impl_->backend_slots) return;
    shm::Row& row = impl_->backends[h.backend];
    (flags & kTemplate ? row.persistent : flags & kInactive ? row.inactive : row.active).add(n);
    touch(h.backend);
}

bool Table::Worker::update(uint32_t entry, Word seen, Word next, Tick now) {
    if (next == seen) return true;
    assert(seen.phase == Phase::live && next.phase == Phase::live);
    uint64_t expected = seen.pack();
    if (!head(entry).word.compare_exchange_strong(expected, next.pack())) return false;
    if ((seen.flags ^ next.flags) & (kInactive | kTemplate)) {
        count(head(entry), seen.flags, ~uint64_t(0));
        count(head(entry), next.flags, 1);
    }
    // Ours and rearm()'s store-then-load are sequentially consistent: when a timer is being
    // re-armed for the old expiry, one of the two notices.
    if (next.expiry < seen.expiry) {
        const Tick at = armed(entry).load();
        if (at > next.expiry + 1) arm_earlier(entry, at, next.expiry, now);
    }
    return true;
}

bool Table::Worker::remove(uint32_t entry) {
    uint64_t word = head(entry).word.load();
    while (Phase(word & 3) == Phase::live) {
        if (end(entry, Word::unpack(word))) return true;
        word = head(entry).word.load();
    }
    return false;
}

bool Table::Worker::end(uint32_t entry, Word seen) {
    Head& h = head(entry);
    uint64_t expected = seen.pack();
    Word dying = seen;
    dying.phase = Phase::dying;
    if (!h.word.compare_exchange_strong(expected, dying.pack())) return false;
    clear_slot(entry);
    count(h, seen.flags, ~uint64_t(0));
    if (const uint32_t reference = control(entry).load(std::memory_order_relaxed);
        reference != 0 && !(seen.flags & kTemplate)) [[unlikely]]
        control(reference - 1).fetch_sub(1);
    impl_->used(0, h.ipv6 ? 2 : 1);
    retire(entry);
    return true;
}

void Table::Worker::clear_slot(uint32_t entry) {
    const Tuple t = tuple(entry);
    const uint32_t home =
        bucket_of(hash_of(impl_->table.header->seed, t.protocol, t.client, t.client_port));
    uint32_t b = home;
    for (uint32_t passed = 0; passed < max_probe_; ++passed, b = after(b))
        for (auto& slot : buckets_[b].slots) {
            uint64_t seen = slot.load();
            if (slot_empty(seen) || slot_index(seen) != entry) continue;
            while (!slot.compare_exchange_weak(seen, seen & kSpareMask)) {
            }
            leave(home, passed);
            return;
        }
    assert(!"a live entry has a slot in its window");
}

// A waiting cell's `link` is free for us: lookups do not read it.
void Table::Worker::retire(uint32_t entry) {
    const CellStore& store = *impl_->table.store;
    Waiting& open = impl_->open;
    store.link(impl_->table.kind(entry), entry).store(open.head, std::memory_order_relaxed);
    if (open.head == kNoCell) open.tail = entry;
    open.head = entry;
}

void Table::Worker::release_waiting(uint32_t most) {
    Impl& w = *impl_;
    const uint64_t reached = w.waiting != 0 ? w.table.grace->reached() : 0;
    while (w.waiting != 0 && w.ring[w.first].epoch <= reached && most != 0) {
        Waiting& list = w.ring[w.first];
        for (; list.head != kNoCell && most != 0; --most) {
            const uint32_t cell = list.head;
            const CellKind kind = w.table.kind(cell);
            list.head = w.table.store->link(kind, cell).load(std::memory_order_relaxed);
            head(cell).word.store(0, std::memory_order_release);
            w.cache.give(kind, cell);
        }
        if (list.head != kNoCell) return;
        w.first = (w.first + 1) % Impl::kRing;
        --w.waiting;
    }
}

void Table::Worker::quiescent() {
    Impl& w = *impl_;
    if (!w.online) return online();
    if (w.open.head != kNoCell && w.waiting < Impl::kRing) {
        w.open.epoch = w.table.grace->advance();
        w.ring[(w.first + w.waiting++) % Impl::kRing] = std::exchange(w.open, {});
    }
    w.table.grace->quiescent(w.number);
    if (w.waiting != 0) release_waiting(kReleaseAtOnce);
    w.cache.share_singles();
}
void Table::Worker::offline() {
    quiescent();
    impl_->online = false;
    impl_->table.grace->offline(impl_->number);
}
void Table::Worker::online() {
    impl_->online = true;
    impl_->table.grace->online(impl_->number);
}

/// Moves the entry's one valid timer from tick `from` to `at`, if it still is there.
bool Table::Worker::arm(uint32_t entry, Tick from, Tick at) {
    if (!armed(entry).compare_exchange_strong(from, at)) return false;
    impl_->wheel.push(at, {entry, head(entry).generation.load(std::memory_order_relaxed)});
    return true;
}

void Table::Worker::rearm(uint32_t entry, Tick from, Word word, Tick now) {
    Wheel& wheel = impl_->wheel;
    Tick at = wheel.plan(word.expiry, now, kRearm);
    if (!arm(entry, from, at)) return;  // somebody else armed an earlier one
    const Word again = Word::unpack(head(entry).word.load());
    if (again.phase != Phase::live || again.expiry >= word.expiry || at <= again.expiry + 1) return;
    arm_earlier(entry, at, again.expiry, now);
}

void Table::Worker::arm_earlier(uint32_t entry, Tick from, Tick expiry, Tick now) {
    if (impl_->wheel.room())
        arm(entry, from, impl_->wheel.plan(expiry, now, kRearm));
    else if (armed(entry).compare_exchange_strong(from, kUnarmed))
        impl_->sweeping = impl_->sweep_again = true;
}

uint32_t Table::Worker::expire(Tick now, uint32_t budget) {
    Wheel& wheel = impl_->wheel;
    uint32_t freed = 0;
    if (impl_->sweeping) sweep(now, freed);
    while (budget != 0 && wheel.due(now)) {
        Wheel::Timer timers[kBurst];
        Tick at;
        const uint32_t n = wheel.take(now, timers, std::min(budget, kBurst), at);
        if (n == 0) break;
        budget -= n;
        for (uint32_t i = 0; i < n; ++i) __builtin_prefetch(&cells_[timers[i].cell]);
        uint32_t valid[kBurst], count = 0;
        for (uint32_t i = 0; i < n; ++i) {
            // The generation tells a cell that was given to another entry, the tick a timer that
            // was replaced by an earlier one.
            const Head& h = head(timers[i].cell);
            const uint64_t word = h.word.load(std::memory_order_acquire);
            if (h.generation.load(std::memory_order_relaxed) == timers[i].generation &&
                Phase(word & 3) == Phase::live && armed(timers[i].cell).load() == at)
                valid[count++] = timers[i].cell;
        }
        fire(at, valid, count, now, freed);
    }
    return freed;
}

void Table::Worker::fire(Tick at, const uint32_t* entries, uint32_t n, Tick now, uint32_t& freed) {
    const Seed& seed = impl_->table.header->seed;
    uint32_t due[kBurst], count = 0;
    for (uint32_t i = 0; i < n; ++i) {
        const Word word = Word::unpack(head(entries[i]).word.load());
        if (word.phase != Phase::live) continue;
        if (word.expiry > now) {
            rearm(entries[i], at, word, now);
            continue;
        }
        const Tuple t = tuple(entries[i]);
        prefetch_bucket(hash_of(seed, t.protocol, t.client, t.client_port));
        due[count++] = entries[i];
    }
    for (uint32_t i = 0; i < count; ++i)
        for (;;) {
            const Word word = Word::unpack(head(due[i]).word.load());
            if (word.phase != Phase::live) break;
            if (word.expiry > now) {  // a packet came while we looked
                rearm(due[i], at, word, now);
                break;
            }
            if ((word.flags & kTemplate) && control(due[i]).load() != 0) {
                if (!prolong(due[i], word, now)) continue;
                rearm(due[i], at, Word::unpack(head(due[i]).word.load()), now);
                break;
            }
            if (end(due[i], word)) {
                ++freed;
                break;
            }
        }
}

void Table::Worker::sweep(Tick now, uint32_t& freed) {
    Impl& w = *impl_;
    for (uint32_t n = 0; n < kSweepAtOnce; ++n) {
        if (w.sweep_at == w.table.header->capacity) {
            w.sweep_at = 0;
            w.sweeping = std::exchange(w.sweep_again, false);
            if (!w.sweeping) return;
        }
        const uint32_t entry = w.sweep_at++;
        const Word word = Word::unpack(head(entry).word.load(std::memory_order_acquire));
        if (word.phase != Phase::live || armed(entry).load() != kUnarmed) continue;
        if (word.expiry <= now && (word.flags & kTemplate) && control(entry).load() != 0)
            prolong(entry, word, now), w.sweep_again = true;
        else if (word.expiry <= now)
            freed += end(entry, word);
        else if (w.wheel.room())
            arm(entry, kUnarmed, w.wheel.plan(word.expiry, now, kRearm));
        else
            w.sweep_again = true;
    }
}

}  // namespace torii::flow
