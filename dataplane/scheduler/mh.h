#pragma once
// What both halves of mh share: the table's size and its hashes. Private to this folder.

#include <bit>

#include "dataplane/scheduler/hash.h"

namespace torii::scheduler {

inline constexpr uint32_t kMaglevSlots = 4093;
inline constexpr uint64_t kMaglevFirst = 2654435761u, kMaglevSecond = 2654446892u;  ///< keys

// SipHash-1-3 (Aumasson and Bernstein) of one 32-bit word under a key of two equal halves, cut to
// 32 bits: what the kernel's hsiphash is on 64-bit machines.
inline uint32_t hash_word(uint32_t word, uint64_t key) {
    uint64_t v0 = key ^ 0x736f6d6570736575u, v1 = key ^ 0x646f72616e646f6du,
             v2 = key ^ 0x6c7967656e657261u, v3 = key ^ 0x7465646279746573u;
    const auto round = [&] {
        v0 += v1, v1 = std::rotl(v1, 13), v1 ^= v0, v0 = std::rotl(v0, 32);
        v2 += v3, v3 = std::rotl(v3, 16), v3 ^= v2;
        v0 += v3, v3 = std::rotl(v3, 21), v3 ^= v0;
        v2 += v1, v1 = std::rotl(v1, 17), v1 ^= v2, v2 = std::rotl(v2, 32);
    };
    const uint64_t last = uint64_t(4) << 56 | word;  // the length, and what does not fill a word
    v3 ^= last;
    round();
    v0 ^= last;
    v2 ^= 0xff;
    for (int i = 0; i < 3; ++i) round();
    return uint32_t(v0 ^ v1 ^ v2 ^ v3);
}

inline uint32_t hash_end(const Address& address, uint32_t port, uint64_t key, uint32_t offset = 0) {
    return hash_word(offset + port + fold(address), key);
}

}  // namespace torii::scheduler
