#pragma once
// The inline half of Table::Worker: what every packet runs. Included by table.h.
//
// Motivation / Shape: a lookup is one bucket line and one cell line; tags are compared eight at
// once. Thread-safety: any worker, concurrently with everything. Memory ordering: the SIMD compare
// reads the bucket without ordering and only proposes slots; a proposed slot is loaded again with
// acquire before its cell is read. Failure: a slot that changes under the compare is a miss.

#include <emmintrin.h>

#include "config/base/either.h"
#include "dataplane/flow/table.h"

namespace torii::flow {

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

template <class Equal>
inline uint32_t Table::Worker::find(uint32_t candidate, uint64_t hash, Equal&& equal) const {
    const auto live = [&](uint32_t entry) {
        const uint64_t word = cells_[entry].head.word.load(std::memory_order_acquire);
        return Phase(word & 3) == Phase::live;
    };
    if (candidate != kNone && equal(cells_[candidate]) && live(candidate)) [[likely]]
        return candidate;
    const uint32_t wanted = tag(hash);
    uint32_t b = bucket_of(hash);
    for (uint32_t probe = 0;; b = after(b)) {
        const Bucket& bucket = buckets_[b];
        for (uint32_t m = match(bucket, wanted); m != 0; m &= m - 1) {
            const uint64_t slot = bucket.slots[__builtin_ctz(m)].load(std::memory_order_acquire);
            if (slot_tag(slot) != wanted || slot_empty(slot)) continue;
            const uint32_t entry = slot_index(slot);
            if (equal(cells_[entry]) && live(entry)) return entry;
        }
        if (slot_spare(bucket.slots[0].load(std::memory_order_relaxed)) == 0) return kNone;
        if (++probe == max_probe_) return kNone;
    }
}

namespace detail {

template <class T>
inline T load(const void* p) {
    T v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
// Head's last eight bytes: client, virtual and backend port, protocol, then {forward: 3, ipv6: 1,
// persistent: 1}.
inline constexpr uint64_t kIpv6Bit = 1ull << 59, kPersistentBit = 1ull << 60,
                          kForwardMask = 7ull << 56;
inline constexpr uint64_t kRequestMask = 0x00ff0000ffffffffu | kIpv6Bit | kPersistentBit;
inline constexpr uint64_t kReplyMask =
    0x00ffffff0000ffffu | kIpv6Bit | kPersistentBit | kForwardMask;
static_assert(offsetof(Head, client_port) == 24 && uint8_t(shm::Forward::nat) == 0);

inline uint64_t wanted_ports(bool reply, uint8_t protocol, uint16_t client, uint16_t other) {
    return client | uint64_t(other) << 16 << reply * 16 | uint64_t(protocol) << 48;
}
inline constexpr uint64_t kPortsMasks[2] = {kRequestMask, kReplyMask};
inline uint64_t ports_mask(bool reply) { return kPortsMasks[reply]; }
inline uint64_t ports(const Head& h) { return load<uint64_t>(&h.client_port); }
inline bool same16(const void* x, const void* y) {
    const auto* a = static_cast<const char*>(x);
    const auto* b = static_cast<const char*>(y);
    return ((load<uint64_t>(a) ^ load<uint64_t>(b)) |
            (load<uint64_t>(a + 8) ^ load<uint64_t>(b + 8))) == 0;
}

}  // namespace detail

inline void Table::Worker::prefetch_bucket(uint64_t hash) const {
    __builtin_prefetch(&buckets_[bucket_of(hash)]);
}

inline uint32_t Table::Worker::prefetch_cell(uint64_t hash) const {
    const Bucket& bucket = buckets_[bucket_of(hash)];
    const uint32_t m = match(bucket, tag(hash));
    if (m == 0) return kNone;
    const uint64_t slot = bucket.slots[__builtin_ctz(m)].load(std::memory_order_acquire);
    if (slot_empty(slot)) return kNone;
    __builtin_prefetch(&cells_[slot_index(slot)]);
    return slot_index(slot);
}

inline uint32_t Table::Worker::find4(bool reply, uint32_t candidate, uint64_t hash,
                                     uint8_t protocol, uint32_t client, uint16_t client_port,
                                     uint32_t other, uint16_t other_port) const {
    const uint64_t p = detail::wanted_ports(reply, protocol, client_port, other_port);
    const uint64_t mask = detail::ports_mask(reply);
    return find(candidate, hash, [&](const Cell4& c) {
        static_assert(offsetof(Cell4, backend_address) == offsetof(Cell4, virtual_address) + 4);
        const auto there = detail::load<uint32_t>(
            reinterpret_cast<const std::byte*>(&c.virtual_address) + reply * 4u);
        return (((detail::ports(c.head) ^ p) & mask) | (c.client ^ client) | (there ^ other)) == 0;
    });
}

inline uint32_t Table::Worker::find6(bool reply, uint32_t candidate, uint64_t hash,
                                     uint8_t protocol, const void* client, uint16_t client_port,
                                     const void* other, uint16_t other_port) const {
    const uint64_t p =
        detail::wanted_ports(reply, protocol, client_port, other_port) | detail::kIpv6Bit;
    const uint64_t mask = detail::ports_mask(reply);
    return find(candidate, hash, [&](const Cell4& c) {
        const auto& c6 = reinterpret_cast<const Cell6&>(c);
        return ((detail::ports(c.head) ^ p) & mask) == 0 && detail::same16(c6.client, client) &&
               detail::same16(either(reply, c6.backend_address, c6.virtual_address), other);
    });
}

inline std::atomic<Tick>& Table::Worker::armed(uint32_t entry) const {
    return cells_[entry].head.ipv6 ? cell6(entry).armed : cells_[entry].armed;
}

}  // namespace torii::flow
