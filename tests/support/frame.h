#pragma once
// Frames for tests: built from words, with right lengths and checksums unless a test says
// otherwise.
//
//     Frame().ip("198.51.100.1", "192.0.2.10").ttl(64).tcp(40000, 80, kSyn).payload("x").bytes()

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/base/address.h"

namespace torii::test {

using Bytes = std::vector<std::byte>;

inline constexpr uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10;

Bytes bytes_of(std::initializer_list<int>);
Bytes bytes_of(std::string_view);
Bytes filler(size_t n);  ///< n bytes that differ from their neighbours

class Frame {
public:
    Frame& eth(std::string_view source, std::string_view destination);
    Frame& vlan(uint16_t id, uint8_t priority = 0, uint16_t tpid = 0x8100);  ///< outer tag first
    Frame& type(uint16_t ethertype);  ///< no IP: payload follows the link header

    Frame& ip(std::string_view source, std::string_view destination);  ///< family by address
    Frame& ttl(uint8_t);
    Frame& tos(uint8_t);
    static constexpr uint16_t kIdentification = 0x1234;  ///< of IPv4, unless id() says another
    Frame& id(uint16_t);
    Frame& dont_fragment(bool = true);
    Frame& fragment(uint16_t offset, bool more);       ///< IPv6: adds a fragment header
    Frame& options(Bytes);                             ///< IPv4, a multiple of 4 bytes
    Frame& extension(uint8_t type, Bytes after_type);  ///< IPv6: header without its first byte

    Frame& tcp(uint16_t source, uint16_t destination, uint8_t flags, Bytes options = {});
    Frame& udp(uint16_t source, uint16_t destination);
    Frame& no_checksum();                                        ///< UDP: 0
    Frame& icmp(uint8_t type, uint8_t code, uint32_t rest = 0);  ///< ICMPv6 on IPv6
    Frame& protocol(uint8_t);  ///< any other; payload follows the IP header
    Frame& payload(Bytes);
    Frame& payload(std::string_view text) { return payload(bytes_of(text)); }
    Frame& pad_to(size_t frame_bytes);  ///< Ethernet padding behind the IP packet

    Bytes bytes() const;   ///< the whole frame
    Bytes packet() const;  ///< from the IP header on, without padding
    size_t link() const { return 14 + 4 * tags_.size(); }

private:
    struct Tag {
        uint16_t tpid, tci;
    };
    struct Extension {
        uint8_t type;
        Bytes rest;
    };
    Bytes upper() const;
    Bytes ipv4(const Bytes& upper) const;
    Bytes ipv6(const Bytes& upper) const;

    Mac source_mac_{{0x02, 0, 0, 0, 0, 0x01}}, destination_mac_{{0x02, 0, 0, 0, 0, 0x02}};
    std::vector<Tag> tags_;
    uint16_t type_ = 0;  // 0: from the address family
    Address source_, destination_;
    uint8_t ttl_ = 64, tos_ = 0, protocol_ = 0, tcp_flags_ = 0, icmp_type_ = 0, icmp_code_ = 0;
    uint16_t id_ = kIdentification, fragment_ = 0, source_port_ = 0, destination_port_ = 0;
    uint32_t icmp_rest_ = 0;
    bool checksum_ = true, fragmented_ = false;
    Bytes options_, tcp_options_, payload_;
    std::vector<Extension> extensions_;
    size_t pad_to_ = 0;
};

/// Recomputes every checksum of the frame from nothing; empty if all are right, else what is wrong.
/// Of a fragment, only the IP header's.
std::string wrong_checksums(const Bytes& frame);

/// Two hex dumps side by side with the differing bytes marked; empty if equal.
std::string diff(const Bytes& got, const Bytes& want);

}  // namespace torii::test
