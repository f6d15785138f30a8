#pragma once
// The identity of a connection, and the keyed hash that finds it from either side.

#include <cstdint>

#include "config/base/address.h"

namespace torii::flow {

/// What a connection is. A persistence template has client_port 0.
struct Tuple {
    Address client, virtual_address, backend_address;
    be16 client_port, virtual_port, backend_port;
    Protocol protocol = Protocol::any;
    friend bool operator==(const Tuple&, const Tuple&) = default;
};

/// Two random words kept in the table, so that nobody outside can aim at a bucket.
struct Seed {
    uint64_t a = 0, b = 0;
};

/// 64x64 -> 128 multiply, folded.
inline uint64_t fold(uint64_t x, uint64_t y) {
    const auto p = static_cast<unsigned __int128>(x) * y;
    return uint64_t(p) ^ uint64_t(p >> 64);
}

/// Hash of (protocol, client address, client port): the same for a request (its source) and for its
/// NAT reply (its destination). Raw network-order words go in.
inline uint64_t hash4(const Seed& s, uint8_t protocol, uint32_t client_raw, uint16_t port_raw) {
    const uint64_t x = uint64_t(client_raw) << 24 | uint64_t(port_raw) << 8 | protocol;
    return fold(fold(x ^ s.a, 0x9e3779b97f4a7c15u ^ s.b) ^ s.b, 0xa0761d6478bd642fu ^ s.a);
}
inline uint64_t hash6(const Seed& s, uint8_t protocol, const void* client16, uint16_t port_raw) {
    uint64_t x, y;
    std::memcpy(&x, client16, 8);
    std::memcpy(&y, static_cast<const char*>(client16) + 8, 8);
    const uint64_t z = uint64_t(port_raw) << 8 | protocol;
    return fold(fold(x ^ s.a, y ^ s.b) ^ z ^ s.b, 0xa0761d6478bd642fu ^ s.a);
}
inline uint64_t hash_of(const Seed& s, Protocol p, const Address& client, be16 port) {
    if (client.is_v4()) return hash4(s, uint8_t(p), client.as_v4().raw(), port.raw());
    return hash6(s, uint8_t(p), client.bytes.data(), port.raw());
}

}  // namespace torii::flow
