#pragma once
// The Internet checksum (RFC 1071) and its incremental update (RFC 1624, equation 3). All words are
// raw: the ones' complement sum does not depend on byte order.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace torii::stages {

/// Folds a sum of words into 16 bits. A number plus itself with its halves exchanged has the sum of
/// the halves in its upper half, the carry of that sum already added.
constexpr uint16_t fold_sum(uint64_t sum) {
    sum += std::rotl(sum, 32);
    auto half = uint32_t(sum >> 32);
    half += std::rotl(half, 16);
    return uint16_t(half >> 16);
}

/// Unfolded sum over bytes; an odd last byte counts as if followed by zero.
inline uint64_t sum_bytes(const void* data, size_t length, uint64_t sum = 0) {
    const auto* p = static_cast<const unsigned char*>(data);
    for (; length >= 4; p += 4, length -= 4) {
        uint32_t word;
        std::memcpy(&word, p, 4);
        sum += word;
    }
    uint32_t rest = 0;
    std::memcpy(&rest, p, length);
    return sum + rest;
}

/// What changes of fields add to a checksum: the sum of ~old + new over the changed words.
struct Delta {
    uint64_t sum = 0;
    constexpr void change16(uint16_t from, uint16_t to) { sum += uint16_t(~from) + uint64_t(to); }
    constexpr void change32(uint32_t from, uint32_t to) { sum += uint32_t(~from) + uint64_t(to); }
    void change128(const uint8_t* from, const uint8_t* to) {
        for (int i = 0; i < 16; i += 4) {
            uint32_t f, t;
            std::memcpy(&f, from + i, 4);
            std::memcpy(&t, to + i, 4);
            change32(f, t);
        }
    }
};

/// RFC 1624: HC' = ~(~HC + ~m + m').
constexpr uint16_t update(uint16_t checksum, Delta delta) {
    return uint16_t(~fold_sum(uint16_t(~checksum) + delta.sum));
}
static_assert(update(0xdd2f, [] {
                  Delta d;
                  d.change16(0x5555, 0x3285);
                  return d;
              }()) == 0x0000);  // RFC 1624 section 4, the corner case

/// For UDP: 0 means "no checksum" and stays; a computed 0 is sent as 0xffff (RFC 768).
constexpr uint16_t update_udp(uint16_t checksum, Delta delta) {
    if (checksum == 0) return 0;
    const uint16_t next = update(checksum, delta);
    return next == 0 ? uint16_t(0xffff) : next;
}

/// True if the bytes, their checksum included, and `seed` (a pseudo header's sum) add up.
inline bool checksum_ok(const void* data, size_t length, uint64_t seed = 0) {
    return fold_sum(sum_bytes(data, length, seed)) == 0xffff;
}
inline uint16_t checksum_of(const void* data, size_t length, uint64_t seed = 0) {
    return uint16_t(~fold_sum(sum_bytes(data, length, seed)));
}

/// Sum of the IPv6 pseudo header (RFC 8200 8.1); `addresses` are source and destination as they
/// lie.
inline uint64_t pseudo6(const void* addresses, uint32_t length, uint8_t protocol) {
    return sum_bytes(addresses, 32) + __builtin_bswap32(length) + (uint64_t(protocol) << 24);
}
inline uint64_t pseudo4(const void* addresses, uint16_t length, uint8_t protocol) {
    return sum_bytes(addresses, 8) + __builtin_bswap16(length) + (uint64_t(protocol) << 8);
}

/// The same of an IPv4 header, which nearly always has 20 bytes. Folding divides by 0xffff: the
/// rest is 0 for a good sum (a header, whose first byte is never 0, does not add up to 0 itself).
inline bool ipv4_header_ok(const void* header, size_t length) {
    constexpr size_t kPlain = 20;
    const auto word = [header](size_t i) {
        uint32_t w;
        std::memcpy(&w, static_cast<const char*>(header) + i * 4, sizeof w);
        return uint64_t(w);
    };
    const uint64_t sum = word(0) + word(1) + word(2) + word(3) + word(4);
    if (length == kPlain) [[likely]]
        return sum % 0xffff == 0;
    return checksum_ok(static_cast<const char*>(header) + kPlain, length - kPlain, sum);
}

}  // namespace torii::stages
