#pragma once
// Headers as they lie on the wire. Multi-byte fields are raw network-order words: compare them with
// net16() and net32(), read them as numbers with host16() and host32(). Packed, because an IP
// header behind an Ethernet header starts at an odd offset.

#include <cstdint>

#include "config/base/endian.h"

namespace torii::stages::wire {

constexpr uint16_t net16(uint16_t host) { return be16::from_host(host).raw(); }
constexpr uint32_t net32(uint32_t host) { return be32::from_host(host).raw(); }
constexpr uint16_t host16(uint16_t raw) { return be16::from_raw(raw).host(); }
constexpr uint32_t host32(uint32_t raw) { return be32::from_raw(raw).host(); }

struct [[gnu::packed]] Ethernet {
    uint8_t destination[6], source[6];
    uint16_t type;
};
struct [[gnu::packed]] Vlan {  // IEEE 802.1Q: follows the type field that announced it
    uint16_t tci, type;
};
struct [[gnu::packed]] Ipv4 {  // RFC 791
    uint8_t version_ihl, tos;
    uint16_t total_length, id, fragment;
    uint8_t ttl, protocol;
    uint16_t checksum;
    uint32_t source, destination;
};
struct [[gnu::packed]] Ipv6 {  // RFC 8200
    uint32_t version_class_flow;
    uint16_t payload_length;
    uint8_t next_header, hop_limit;
    uint8_t source[16], destination[16];
};
struct [[gnu::packed]] Fragment6 {  // RFC 8200 4.5
    uint8_t next_header, reserved;
    uint16_t offset_more;
    uint32_t id;
};
struct [[gnu::packed]] Tcp {  // RFC 9293
    uint16_t source_port, destination_port;
    uint32_t sequence, acknowledgment;
    uint8_t data_offset, flags;
    uint16_t window, checksum, urgent;
};
struct [[gnu::packed]] Udp {  // RFC 768
    uint16_t source_port, destination_port, length, checksum;
};
struct [[gnu::packed]] Icmp {  // RFC 792, RFC 4443
    uint8_t type, code;
    uint16_t checksum;
    uint32_t rest;
};
static_assert(sizeof(Ethernet) == 14 && sizeof(Ipv4) == 20 && sizeof(Ipv6) == 40 &&
              sizeof(Tcp) == 20 && sizeof(Udp) == 8 && sizeof(Icmp) == 8);

inline constexpr uint16_t kTypeIpv4 = net16(0x0800), kTypeIpv6 = net16(0x86dd),
                          kTypeVlan = net16(0x8100), kTypeQinq = net16(0x88a8);
inline constexpr uint16_t kDontFragment = net16(0x4000), kMoreOrOffset = net16(0x3fff),
                          kOffset = net16(0x1fff);
inline constexpr uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmpv6 = 58;
inline constexpr uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kAck = 0x10;

}  // namespace torii::stages::wire
