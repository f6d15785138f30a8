#pragma once
// Frames built by hand, header by header, from the inside out.

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "config/base/address.h"

namespace torii::xdp {

using Bytes = std::vector<uint8_t>;

inline Bytes join(std::initializer_list<Bytes> parts) {
    Bytes all;
    for (const Bytes& p : parts) all.insert(all.end(), p.begin(), p.end());
    return all;
}

inline Bytes word(uint16_t v) { return {uint8_t(v >> 8), uint8_t(v)}; }

inline Address at(const char* text) { return *parse_address(text); }

/// An Ethernet header to 02:00:00:00:00:01 unless told otherwise.
inline Bytes eth(uint16_t type, const Bytes& rest, Bytes to = {2, 0, 0, 0, 0, 1}) {
    return join({to, {2, 0, 0, 0, 0, 9}, word(type), rest});
}

/// A tag's four bytes, which begin with the type of what follows the Ethernet addresses.
inline Bytes tag(uint16_t id, uint16_t inner, const Bytes& rest) {
    return join({word(id), word(inner), rest});
}

/// TCP's first 20 bytes; UDP and SCTP begin with the same ports.
inline Bytes ports(uint16_t source, uint16_t destination) {
    return join({word(source), word(destination), Bytes(16)});
}

struct V4 {
    uint8_t protocol = 6;
    uint8_t options = 0;    ///< bytes of no-operation options, a multiple of 4
    uint16_t fragment = 0;  ///< flags and offset as in the header
};
inline Bytes ip4(const char* from, const char* to, const Bytes& rest, V4 how = {}) {
    const uint8_t header = uint8_t(20 + how.options);
    const Address s = at(from), d = at(to);
    return join({{uint8_t(0x40 | header / 4), 0},
                 word(uint16_t(header + rest.size())),
                 {0, 1},
                 word(how.fragment),
                 {64, how.protocol, 0, 0},
                 Bytes(s.bytes.begin() + 12, s.bytes.end()),
                 Bytes(d.bytes.begin() + 12, d.bytes.end()),
                 Bytes(how.options, 1),
                 rest});
}

inline Bytes ip6(const char* from, const char* to, uint8_t next, const Bytes& rest) {
    const Address s = at(from), d = at(to);
    return join({{0x60, 0, 0, 0},
                 word(uint16_t(rest.size())),
                 {next, 64},
                 Bytes(s.bytes.begin(), s.bytes.end()),
                 Bytes(d.bytes.begin(), d.bytes.end()),
                 rest});
}

/// An IPv6 extension header of 8 * (extra + 1) bytes: hop-by-hop, routing, destination options.
inline Bytes extension(uint8_t next, const Bytes& rest, uint8_t extra = 0) {
    return join({{next, extra}, Bytes(6 + 8 * extra), rest});
}
inline Bytes authentication(uint8_t next, const Bytes& rest) {
    return join({{next, 4}, Bytes(22), rest});  // (4 + 2) * 4 bytes
}
/// `offset` in units of 8 bytes.
inline Bytes fragment6(uint8_t next, uint16_t offset, bool more, const Bytes& rest) {
    return join({{next, 0}, word(uint16_t(offset << 3 | more)), {0, 0, 0, 7}, rest});
}

/// An ICMP or ICMPv6 message with the quoted packet behind its eight bytes.
inline Bytes icmp(uint8_t type, const Bytes& quoted) {
    return join({{type, 1, 0, 0, 0, 0, 0, 0}, quoted});
}

}  // namespace torii::xdp
