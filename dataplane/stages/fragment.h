#pragma once
// What a fragment says of itself (RFC 791 3.2, RFC 8200 4.5).

#include <cstdint>

#include "config/base/address.h"
#include "dataplane/flow/key.h"
#include "dataplane/stages/packet.h"

namespace torii::stages {

/// Fragments of one datagram agree in these.
struct DatagramKey {
    Address source, destination;
    uint32_t id = 0;       ///< identification, raw
    uint8_t protocol = 0;  ///< IPv4 only: an IPv6 identification is one of its sender's
    friend bool operator==(const DatagramKey&, const DatagramKey&) = default;
};

struct Fragment {
    DatagramKey key;
    uint32_t offset = 0;  ///< of its data in the datagram's; bytes, a multiple of 8
    uint32_t length = 0;  ///< bytes of data
    uint32_t header = 0;  ///< bytes that the datagram has in front of all data and that count for
                          ///< its length: the IPv4 header, IPv6 extension headers
    bool more = false;    ///< it is not the last one
};

/// Reads a packet that parse() has found to be a fragment.
Fragment read_fragment(const Packet&);

/// Keyed, so that nobody outside can aim at a worker or at a place in its table. The same for all
/// fragments of a datagram on whichever worker.
uint64_t hash_of(const flow::Seed&, const DatagramKey&);

}  // namespace torii::stages
