#pragma once
// CRC32c (Castagnoli), the checksum of SCTP (RFC 9260 appendix A), by the SSE 4.2 instruction where
// the target has it, else by table. States are "raw": start from kCrc32cStart, end with
// crc32c_end().

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#ifdef __SSE4_2__
#include <nmmintrin.h>
#endif

namespace torii::stages {

inline constexpr uint32_t kCrc32cStart = ~uint32_t(0);
/// The checksum of a state, in the byte order in which it lies on the wire when stored as a word on
/// this (little-endian) machine.
constexpr uint32_t crc32c_end(uint32_t state) { return ~state; }

namespace detail {

inline constexpr std::array<uint32_t, 256> kCrc32cTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ (c & 1 ? 0x82f63b78u : 0u);
        table[i] = c;
    }
    return table;
}();

}  // namespace detail

/// One state moved over bytes by table: for targets without the instruction, and to check it.
constexpr uint32_t crc32c_by_table(uint32_t state, const std::byte* data, size_t length) {
    for (size_t i = 0; i < length; ++i)
        state = (state >> 8) ^ detail::kCrc32cTable[(state ^ uint32_t(data[i])) & 0xff];
    return state;
}

/// Two states moved over the same bytes. They do not depend on each other, so that the second costs
/// next to nothing: a packet whose header changes is verified and sealed again in one pass.
struct Crc32cPair {
    uint32_t first, second;
};
inline Crc32cPair crc32c_both(Crc32cPair state, const std::byte* data, size_t length) {
#ifdef __SSE4_2__
    uint64_t a = state.first, b = state.second;
    for (; length >= 8; data += 8, length -= 8) {
        uint64_t word;
        std::memcpy(&word, data, sizeof word);
        a = _mm_crc32_u64(a, word);
        b = _mm_crc32_u64(b, word);
    }
    auto x = uint32_t(a), y = uint32_t(b);
    for (; length != 0; ++data, --length) {
        x = _mm_crc32_u8(x, uint8_t(*data));
        y = _mm_crc32_u8(y, uint8_t(*data));
    }
    return {x, y};
#else
    return {crc32c_by_table(state.first, data, length),
            crc32c_by_table(state.second, data, length)};
#endif
}
inline uint32_t crc32c(uint32_t state, const std::byte* data, size_t length) {
    return crc32c_both({state, state}, data, length).first;
}

namespace detail {

// The product of two polynomials modulo CRC32c's, bits reflected: the highest is the constant.
constexpr uint32_t crc32c_times(uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (uint32_t bit = 1u << 31; bit != 0; bit >>= 1) {
        if (a & bit) product ^= b;
        b = (b >> 1) ^ (b & 1 ? 0x82f63b78u : 0u);
    }
    return product;
}

}  // namespace detail

/// One state moved over `count` bytes of zero, in as many steps as `count` has bits. A CRC is
/// linear: what a change of some bytes makes of the checksum depends on those and on how many
/// bytes follow, not on what these are.
constexpr uint32_t crc32c_over_zeros(uint32_t state, size_t count) {
    uint32_t power = 1u << 23;  // x to the 8th: one byte
    for (; count != 0; count >>= 1) {
        if (count & 1) state = detail::crc32c_times(state, power);
        power = detail::crc32c_times(power, power);
    }
    return state;
}

}  // namespace torii::stages
