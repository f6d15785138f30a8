#pragma once
// The hash of the kernel's sh and dh schedulers. Private to this folder.

#include <cstring>

#include "config/base/address.h"

namespace torii::scheduler {

/// An address as a number: IPv4 itself, IPv6 as the exclusive or of its four words.
inline uint32_t fold(const Address& a) {
    if (a.is_v4()) return a.as_v4().host();
    uint32_t words[4];
    std::memcpy(words, a.bytes.data(), sizeof words);
    return be32::from_raw(words[0] ^ words[1] ^ words[2] ^ words[3]).host();
}

/// Multiplicative hash to a bucket 0..255 (hash_32 of linux/hash.h with 8 bits).
inline uint32_t bucket256(uint32_t value) { return (value * 0x61C88647u) >> 24; }

}  // namespace torii::scheduler
