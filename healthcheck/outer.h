#pragma once
// Outer: sends whole IP packets to a server by the way of a service, as the dataplane would: with
// only another next hop, or with an outer header that the kernel makes. One thread.

#include <map>
#include <span>
#include <tuple>

#include "healthcheck/probe.h"
#include "healthcheck/source.h"

namespace torii::healthcheck {

class Outer {
public:
    /// To `server`; no tunnel is direct routing. 0, or an errno.
    int send(std::span<const uint8_t> packet, const Address& server,
             const std::optional<config::Tunnel>&);

private:
    // Family, type, protocol, and whether UDP goes without a checksum.
    using Kind = std::tuple<int, int, int, bool>;
    tl::expected<int, int> socket(const Kind&);
    std::map<Kind, Descriptor> sockets_;
};

/// RFC 1071, begun with `sum`.
uint16_t internet_checksum(std::span<const uint8_t>, uint32_t sum = 0);
/// Fills in the checksum of the TCP or UDP packet, which its sender left to the hardware.
void complete_checksum(std::span<uint8_t> ip_packet);

}  // namespace torii::healthcheck
