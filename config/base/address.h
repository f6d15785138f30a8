#pragma once
// IP addresses, prefixes, endpoints and protocol numbers: the vocabulary of every other folder.

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "config/base/endian.h"
#include "config/base/error.h"

namespace torii {

enum class Protocol : uint8_t { any = 0, icmp = 1, tcp = 6, udp = 17, icmpv6 = 58, sctp = 132 };

std::string_view to_string(Protocol);  ///< "tcp", "udp", "sctp", "icmp", "icmpv6", "any"
Result<Protocol> parse_protocol(std::string_view);  ///< tcp, udp, sctp

enum class Family : uint8_t { ipv4 = 4, ipv6 = 6 };

/// An IPv4 or IPv6 address in 16 bytes, network order. IPv4 is stored as ::ffff:a.b.c.d
/// (RFC 4291 2.5.5.2), so equality, hashing and ordering need no family. Trivially copyable:
/// it may lie in shared memory. Ordering is by bytes, hence IPv4 sorts as one block.
struct Address {
    std::array<uint8_t, 16> bytes{};

    static Address v4(be32 a) {
        Address r;
        r.bytes[10] = r.bytes[11] = 0xff;
        const uint32_t raw = a.raw();
        std::memcpy(&r.bytes[12], &raw, 4);
        return r;
    }
    static Address v6(const void* sixteen_bytes) {
        Address r;
        std::memcpy(r.bytes.data(), sixteen_bytes, 16);
        return r;
    }
    bool is_v4() const {
        uint64_t high;
        uint32_t mid;
        std::memcpy(&high, bytes.data(), 8);
        std::memcpy(&mid, bytes.data() + 8, 4);
        return high == 0 && mid == 0xffff0000u;
    }
    Family family() const { return is_v4() ? Family::ipv4 : Family::ipv6; }
    /// The IPv4 address; meaningful only when is_v4().
    be32 as_v4() const {
        uint32_t raw;
        std::memcpy(&raw, bytes.data() + 12, 4);
        return be32::from_raw(raw);
    }
    bool is_unspecified() const;  ///< 0.0.0.0 or ::
    bool is_multicast() const;    ///< 224/4 or ff00::/8
    bool is_loopback() const;     ///< 127/8 or ::1
    bool is_link_local() const;   ///< 169.254/16 or fe80::/10
    bool is_broadcast() const;    ///< 255.255.255.255

    friend bool operator==(const Address&, const Address&) = default;
    friend auto operator<=>(const Address&, const Address&) = default;
};
static_assert(sizeof(Address) == 16);

std::string to_string(const Address&);            ///< 192.0.2.1, 2001:db8::1 (RFC 5952)
Result<Address> parse_address(std::string_view);  ///< full dotted quad or IPv6; no names

/// An address block. `length` counts bits of the family at hand (0-32, 0-128).
struct Prefix {
    Address address;
    uint8_t length = 0;
    bool contains(const Address&) const;
    Prefix masked() const;  ///< the same block with host bits cleared
    friend bool operator==(const Prefix&, const Prefix&) = default;
    friend auto operator<=>(const Prefix&, const Prefix&) = default;
};
std::string to_string(const Prefix&);
Result<Prefix> parse_prefix(std::string_view);

/// Address and port. Printed 192.0.2.1:80 and [2001:db8::1]:80.
struct Endpoint {
    Address address;
    uint16_t port = 0;
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};
std::string to_string(const Endpoint&);
Result<Endpoint> parse_endpoint(std::string_view);

/// An Ethernet address.
struct Mac {
    std::array<uint8_t, 6> bytes{};
    bool is_zero() const { return *this == Mac{}; }
    friend bool operator==(const Mac&, const Mac&) = default;
};
std::string to_string(const Mac&);
Result<Mac> parse_mac(std::string_view);

}  // namespace torii

template <>
struct std::hash<torii::Address> {
    size_t operator()(const torii::Address& a) const noexcept {
        uint64_t x, y;
        std::memcpy(&x, a.bytes.data(), 8);
        std::memcpy(&y, a.bytes.data() + 8, 8);
        return (x * 0x9e3779b97f4a7c15u) ^ (y * 0xc2b2ae3d27d4eb4fu);
    }
};
