#pragma once
// Network order is a type: a value read from a packet cannot be used as a number by accident.

#include <bit>
#include <compare>
#include <cstdint>

namespace torii {

static_assert(std::endian::native == std::endian::little, "torii runs on little-endian machines");

/// A big-endian integer as it lies in a packet. `raw()` is the stored bit pattern (for tables and
/// checksums), `host()` the number.
template <class T>
class BigEndian {
public:
    constexpr BigEndian() = default;
    static constexpr BigEndian from_host(T value) { return BigEndian(swap(value)); }
    static constexpr BigEndian from_raw(T value) { return BigEndian(value); }
    constexpr T host() const { return swap(raw_); }
    constexpr T raw() const { return raw_; }
    friend constexpr bool operator==(BigEndian, BigEndian) = default;

private:
    explicit constexpr BigEndian(T raw) : raw_(raw) {}
    static constexpr T swap(T value) {
        if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
        if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
        if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
    }
    T raw_ = 0;
};

using be16 = BigEndian<uint16_t>;
using be32 = BigEndian<uint32_t>;
using be64 = BigEndian<uint64_t>;

}  // namespace torii
