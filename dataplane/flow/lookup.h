#pragma once
// The inline half of Table::Worker: what every packet runs. Included by table.h.
//
// Motivation / Shape: a lookup is one bucket line and one cell line; tags are compared eight at
// once. Thread-safety: any worker, concurrently with everything. Memory ordering: the SIMD compare
// reads the bucket without ordering and only proposes slots; a proposed slot is loaded again with
// acquire before its cell is read; whoever reads the cell of a mere candidate loads its word with
// acquire first. Failure: a slot that changes under the compare is a miss.

#include <emmintrin.h>

#include "config/base/either.h"
#include "dataplane/flow/table.h"

namespace torii::flow {

/// Sends for the line of memory at `p`. The compiler must not know what this does: it takes a
/// function that only prefetches for one without effect, and drops the calls.
inline void send_for(const void* p) {
    asm volatile("prefetcht0 %0" : : "m"(*static_cast<const char*>(p)));
}

/// Bit i is set when slot i may hold this tag.
inline uint32_t match(const Bucket& bucket, uint32_t tag) {
#ifdef __SANITIZE_THREAD__  // does not know that eight plain bytes are read at once
    uint32_t mask = 0;
    for (uint32_t i = 0; i < kSlots; ++i)
        mask |= uint32_t(slot_tag(bucket.slots[i].load(std::memory_order_relaxed)) == tag) << i;
    return mask;
#else
    const auto* lines = reinterpret_cast<const __m128i*>(&bucket);
    const __m128i wanted = _mm_set1_epi32(int(tag)), low = _mm_set1_epi32(int(kTagMask));
    // The low halves of four slots, from two loads.
    const auto tags = [&](int i) {
        const __m128 a = _mm_castsi128_ps(_mm_load_si128(lines + i));
        const __m128 b = _mm_castsi128_ps(_mm_load_si128(lines + i + 1));
        const __m128i t = _mm_castps_si128(_mm_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)));
        return uint32_t(
            _mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(_mm_and_si128(t, low), wanted))));
    };
    return tags(0) | tags(2) << 4;
#endif
}

namespace detail {

template <class T>
inline T load(const void* p) {
    T v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
inline bool same16(const void* x, const void* y) {
    const auto* a = static_cast<const char*>(x);
    const auto* b = static_cast<const char*>(y);
    return ((load<uint64_t>(a) ^ load<uint64_t>(b)) |
            (load<uint64_t>(a + 8) ^ load<uint64_t>(b + 8))) == 0;
}

// Head ends with server's, client's and service's port, protocol, and {forward: 3, ipv6: 1,
// persistent: 1}.
inline constexpr uint32_t kIpv6Bit = 1u << 11, kPersistentBit = 1u << 12, kForwardMask = 7u << 8;
static_assert(offsetof(Head, client_port) == offsetof(Head, backend_port) + 2 &&
              offsetof(Head, virtual_port) == offsetof(Head, backend_port) + 4 &&
              offsetof(Head, protocol) == offsetof(Head, backend_port) + 6 &&
              sizeof(Head) == offsetof(Head, protocol) + 2 && uint8_t(shm::Forward::nat) == 0);
inline uint32_t kind_of(bool ipv6, uint8_t protocol) { return protocol | ipv6 * kIpv6Bit; }
// Zero when kind and ports (source and destination) are the same, and for a reply if the entry is
// one of NAT.
inline uint32_t differs(const Head& h, bool reply, uint32_t kind, uint32_t ports) {
    const auto* at = reinterpret_cast<const std::byte*>(&h.backend_port);
    const uint32_t mask = 0xff | kIpv6Bit | kPersistentBit | reply * kForwardMask;
    return ((load<uint16_t>(&h.protocol) ^ kind) & mask) |
           (load<uint32_t>(at + size_t(!reply) * 2) ^ ports);
}

}  // namespace detail

/// Whether a live cell is the entry that find4() or find6() look for.
inline bool same4(const Cell4& c, bool reply, uint8_t protocol, uint64_t addresses,
                  uint32_t ports) {
    static_assert(offsetof(Cell4, client) == offsetof(Cell4, backend_address) + 4 &&
                  offsetof(Cell4, virtual_address) == offsetof(Cell4, backend_address) + 8);
    const auto* at = reinterpret_cast<const std::byte*>(&c.backend_address);
    return (detail::differs(c.head, reply, detail::kind_of(false, protocol), ports) |
            (detail::load<uint64_t>(at + size_t(!reply) * 4) ^ addresses)) == 0;
}
inline bool same6(const Cell6& c, bool reply, uint8_t protocol, const void* addresses,
                  uint32_t ports) {
    const auto* source = static_cast<const uint8_t*>(addresses);
    return detail::differs(c.head, reply, detail::kind_of(true, protocol), ports) == 0 &&
           detail::same16(c.client, source + size_t(reply) * 16) &&
           detail::same16(either(reply, c.backend_address, c.virtual_address),
                          source + size_t(!reply) * 16);
}

namespace detail {

inline bool live(const Head& h) {
    return Phase(h.word.load(std::memory_order_acquire) & 3) == Phase::live;
}

}  // namespace detail

template <class Equal>
inline uint32_t Table::Worker::find(uint64_t hash, Equal&& equal) const {
    const uint32_t wanted = tag(hash);
    uint32_t b = bucket_of(hash);
    for (uint32_t probe = 0;; b = after(b)) {
        const Bucket& bucket = buckets_[b];
        for (uint32_t m = match(bucket, wanted); m != 0; m &= m - 1) {
            const uint64_t slot = bucket.slots[__builtin_ctz(m)].load(std::memory_order_acquire);
            if (slot_tag(slot) != wanted || slot_empty(slot)) continue;
            const uint32_t entry = slot_index(slot);
            if (equal(cells_[entry]) && detail::live(head(entry))) return entry;
        }
        if (slot_spare(bucket.slots[0].load(std::memory_order_relaxed)) == 0) return kNone;
        if (++probe == max_probe_) return kNone;
    }
}

inline void Table::Worker::prefetch_bucket(uint64_t hash) const {
    send_for(&buckets_[bucket_of(hash)]);
}

inline uint32_t Table::Worker::prefetch_cell(uint64_t hash) const {
    const Bucket& bucket = buckets_[bucket_of(hash)];
    const uint32_t m = match(bucket, tag(hash));
    if (m == 0) return 0;
    const uint64_t slot = bucket.slots[__builtin_ctz(m)].load(std::memory_order_acquire);
    if (slot_empty(slot)) return 0;
    send_for(&cells_[slot_index(slot)]);
    return slot_index(slot);
}

inline uint32_t Table::Worker::find4(bool reply, uint64_t hash, uint8_t protocol,
                                     uint64_t addresses, uint32_t ports) const {
    return find(hash, [&](const Cell4& c) { return same4(c, reply, protocol, addresses, ports); });
}
inline uint32_t Table::Worker::find6(bool reply, uint64_t hash, uint8_t protocol,
                                     const void* addresses, uint32_t ports) const {
    return find(hash, [&](const Cell4& c) {
        return same6(reinterpret_cast<const Cell6&>(c), reply, protocol, addresses, ports);
    });
}

inline std::atomic<Tick>& Table::Worker::armed(uint32_t entry) const {
    return cells_[entry].head.ipv6 ? cell6(entry).armed : cells_[entry].armed;
}
inline std::atomic<uint32_t>& Table::Worker::control(uint32_t entry) const {
    return cells_[entry].head.ipv6 ? cell6(entry).control : cells_[entry].control;
}
inline std::atomic<uint64_t>& Table::Worker::reply_route(uint32_t entry) const {
    return cells_[entry].head.ipv6 ? cell6(entry).reply_route : cells_[entry].reply_route;
}

namespace detail {
enum Watch : uint8_t { unwatched, watched, touched };
}

inline void Table::Worker::watch(uint32_t backend) {
    if (backend < watched_.size() && watched_[backend] == detail::unwatched)
        watched_[backend] = detail::watched;
}
inline void Table::Worker::touch(uint32_t backend) {
    if (backend >= watched_.size() || watched_[backend] != detail::watched) return;
    watched_[backend] = detail::touched;
    touched_[touched_count_++] = backend;
}
template <class F>
inline void Table::Worker::take_touched(F&& visit) {
    for (; touched_count_ != 0;) {
        const uint32_t backend = touched_[--touched_count_];
        watched_[backend] = detail::watched;
        visit(backend);
    }
}

}  // namespace torii::flow
