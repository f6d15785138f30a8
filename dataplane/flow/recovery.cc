#include "dataplane/flow/recovery.h"

namespace torii::flow {
namespace {

constexpr Tick kLongestLife = 366u * 86400 * kTicksPerSecond;
constexpr uint32_t kAhead = 8;  // buckets whose cells are fetched ahead

bool known_protocol(uint8_t p) {
    switch (Protocol(p)) {
        case Protocol::any:
        case Protocol::icmp:
        case Protocol::tcp:
        case Protocol::udp:
        case Protocol::icmpv6:
        case Protocol::sctp:
            return true;
    }
    return false;
}
bool is_live(const Head& h) {
    return Phase(h.word.load(std::memory_order_relaxed) & 3) == Phase::live;
}
std::atomic<uint32_t>& control_of(const Cell4& cell) {
    auto& c = const_cast<Cell4&>(cell);
    return c.head.ipv6 ? reinterpret_cast<Cell6&>(c).control : c.control;
}
bool is_tentative(const Head& h) {
    return Phase(h.word.load(std::memory_order_relaxed) & 3) == Phase::tentative;
}
// A template that is void makes room for another of its tuple.
bool is_void(const Cell4& c) {
    const Word word = Word::unpack(c.head.word.load(std::memory_order_relaxed));
    return c.head.persistent && (word.flags & kVoid);
}
bool same_request(const Cell4& a, const Cell4& b) {
    const uint32_t kind = detail::kind_of(a.head.ipv6, a.head.protocol) |
                          (a.head.persistent ? detail::kPersistentBit : 0);
    if (detail::differs(b.head, false, kind, detail::load<uint32_t>(&a.head.client_port)))
        return false;
    if (is_void(a) || is_void(b)) return false;
    if (!a.head.ipv6) return a.client == b.client && a.virtual_address == b.virtual_address;
    const auto &x = reinterpret_cast<const Cell6&>(a), &y = reinterpret_cast<const Cell6&>(b);
    return detail::same16(x.client, y.client) &&
           detail::same16(x.virtual_address, y.virtual_address);
}

}  // namespace

void RecoveryPass::run(const std::function<void(uint32_t)>& keep) {
    const uint32_t buckets = t_.header->buckets, capacity = t_.header->capacity;
    const auto ahead = [&](uint32_t b) {
        if (b >= buckets) return;
        for (const auto& s : t_.buckets[b].slots) {
            const uint64_t slot = s.load(std::memory_order_relaxed);
            if (!slot_empty(slot) && slot_index(slot) < capacity)
                __builtin_prefetch(&t_.cells[slot_index(slot)]);
        }
    };
    for (uint32_t b = 0; b < buckets; ++b) {
        ahead(b + kAhead);
        judge_bucket(b);
    }
    // A second look, now that every slot can be trusted by itself.
    for (uint32_t b = 0; b < buckets; ++b) {
        ahead(b + kAhead);
        for (uint32_t i = 0; i < kSlots; ++i) {
            auto& slot = t_.buckets[b].slots[i];
            const uint64_t seen = slot.load(std::memory_order_relaxed);
            if (slot_empty(seen)) continue;
            const uint32_t cell = slot_index(seen);
            uint32_t passed;
            if (duplicate(b, i, cell, passed)) {
                slot.store(seen & kSpareMask, std::memory_order_relaxed);
                t_.cells[cell].head.word.store(0, std::memory_order_relaxed);
                t_.store->unmark(cell);
                if (t_.cells[cell].head.ipv6) t_.store->unmark(cell + 1);
                ++report_.duplicates;
                continue;
            }
            for (uint32_t home = (b + buckets - passed) % buckets; passed != 0; --passed) {
                auto& first = t_.buckets[home].slots[0];
                const uint64_t word = first.load(std::memory_order_relaxed);
                if (slot_spare(word) != 0xff)
                    first.store(word + (1 << 24), std::memory_order_relaxed);
                home = home + 1 == buckets ? 0 : home + 1;
            }
            ++report_.kept;
            keep(cell);
        }
    }
    free_unreferenced();
    count_templates();
}

uint64_t RecoveryPass::hash(uint32_t cell) const {
    if (t_.constant_hash) return 0;
    const Cell4& c = t_.cells[cell];
    if (!c.head.ipv6) return hash4(t_.header->seed, c.head.protocol, c.client, c.head.client_port);
    return hash6(t_.header->seed, c.head.protocol, reinterpret_cast<const Cell6&>(c).client,
                 c.head.client_port);
}

void RecoveryPass::judge_bucket(uint32_t b) {
    for (auto& s : t_.buckets[b].slots) {
        const uint64_t seen = s.load(std::memory_order_relaxed);
        if (slot_empty(seen)) {
            s.store(0, std::memory_order_relaxed);
            continue;
        }
        const uint32_t cell = slot_index(seen);
        const Fate fate = judge(b, seen);
        if (fate == Fate::keep && claim(cell)) {
            s.store(seen & ~kSpareMask, std::memory_order_relaxed);
            continue;
        }
        s.store(0, std::memory_order_relaxed);
        if (fate == Fate::keep) ++report_.duplicates;
        if (fate == Fate::expired) ++report_.expired;
        if (fate == Fate::half_written) ++report_.half_written;
        // What is live and whole may yet be another slot's; the rest is counted once, here.
        if (cell < t_.header->capacity && !t_.store->is_marked(cell) &&
            (fate == Fate::expired || !is_live(t_.cells[cell].head)))
            t_.cells[cell].head.word.store(0, std::memory_order_relaxed);
    }
}

RecoveryPass::Fate RecoveryPass::judge(uint32_t b, uint64_t slot) const {
    const uint32_t index = slot_index(slot), buckets = t_.header->buckets;
    if (index >= t_.header->capacity) return Fate::half_written;
    const Cell4& cell = t_.cells[index];
    const Word word = Word::unpack(cell.head.word.load(std::memory_order_relaxed));
    // Bits that no field of the word holds would make every later compare-and-swap fail.
    if (word.phase != Phase::live ||
        word.pack() != cell.head.word.load(std::memory_order_relaxed) ||
        (cell.head.ipv6 && index % 2 != 0) || !well_formed(cell, word))
        return Fate::half_written;
    const uint64_t h = hash(index);
    const uint32_t home = home_of(h, buckets), passed = (b + buckets - home) % buckets;
    if (slot_tag(slot) != tag_of(h) || passed >= std::min(kMaxProbe, buckets))
        return Fate::half_written;
    // A template that seems to have connections is only judged once those are counted again.
    const bool held =
        (word.flags & kTemplate) && control_of(cell).load(std::memory_order_relaxed) != 0;
    return word.expiry <= now_ && !held ? Fate::expired : Fate::keep;
}

bool RecoveryPass::well_formed(const Cell4& cell, Word word) const {
    const Head& h = cell.head;
    if (!known_protocol(h.protocol) || h.forward > uint8_t(shm::Forward::dr)) return false;
    if (h.protocol == uint8_t(Protocol::tcp) && word.state >= uint8_t(TcpState::kCount))
        return false;
    if ((word.flags & kTemplate) && h.client_port != 0) return false;
    if (bool(word.flags & kTemplate) != bool(h.persistent)) return false;
    if (word.expiry > now_ && word.expiry - now_ > kLongestLife) return false;
    if (!h.ipv6) return true;
    const auto& c = reinterpret_cast<const Cell6&>(cell);
    return !Address::v6(c.client).is_v4() && !Address::v6(c.virtual_address).is_v4();
}

bool RecoveryPass::claim(uint32_t cell) {
    CellStore& store = *t_.store;
    const bool pair = t_.cells[cell].head.ipv6;
    if (store.is_marked(cell) || (pair && store.is_marked(cell + 1))) return false;
    store.mark_used(cell);
    if (pair) {
        store.mark_used(cell + 1);
        t_.cells[cell + 1].head.word.store(0, std::memory_order_relaxed);
    }
    return true;
}

/// Whether the cell's tuple is found earlier in its probe sequence than at this slot.
bool RecoveryPass::duplicate(uint32_t b, uint32_t position, uint32_t cell, uint32_t& passed) const {
    const uint64_t h = hash(cell);
    const uint32_t buckets = t_.header->buckets, tag = tag_of(h);
    uint32_t at = home_of(h, buckets);
    passed = (b + buckets - at) % buckets;
    for (uint32_t n = 0; n <= passed; ++n, at = at + 1 == buckets ? 0 : at + 1)
        for (uint32_t m = match(t_.buckets[at], tag); m != 0; m &= m - 1) {
            const uint32_t i = uint32_t(__builtin_ctz(m));
            if (n == passed && i >= position) break;
            const uint64_t slot = t_.buckets[at].slots[i].load(std::memory_order_relaxed);
            if (!slot_empty(slot) && same_request(t_.cells[slot_index(slot)], t_.cells[cell]))
                return true;
        }
    return false;
}

// A killed worker may have counted a connection in a template that it then did not make.
void RecoveryPass::count_templates() {
    const uint32_t capacity = t_.header->capacity;
    const auto entry = [&](uint32_t c) {
        return t_.store->is_marked(c) && is_live(t_.cells[c].head);
    };
    for (uint32_t c = 0; c < capacity; ++c)
        if (entry(c) && t_.cells[c].head.persistent) control_of(t_.cells[c]).store(0);
    for (uint32_t c = 0; c < capacity; ++c) {
        if (!entry(c) || t_.cells[c].head.persistent) continue;
        const uint32_t reference = control_of(t_.cells[c]).load(std::memory_order_relaxed);
        if (reference == 0) continue;
        const uint32_t from = reference - 1;
        if (from < capacity && entry(from) && t_.cells[from].head.persistent)
            control_of(t_.cells[from]).fetch_add(1);
        else
            control_of(t_.cells[c]).store(0);
    }
}

void RecoveryPass::free_unreferenced() {
    for (uint32_t c = 0; c < t_.header->capacity; ++c) {
        Head& h = t_.cells[c].head;
        if (t_.store->is_marked(c) || h.word.load(std::memory_order_relaxed) == 0) continue;
        // A dying cell without a slot has ended in order and waited for its grace period.
        if (is_live(h)) ++report_.orphaned;
        if (is_tentative(h)) ++report_.half_written;
        h.word.store(0, std::memory_order_relaxed);
    }
}

}  // namespace torii::flow
