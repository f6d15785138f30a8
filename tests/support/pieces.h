#pragma once
// IP packets in fragments, and put together again, written from the RFCs and not from the code
// under test. Frames have an Ethernet header without tags.

#include <vector>

#include "tests/support/frame.h"

namespace torii::test {

/// Bytes `offset` to `offset + length` of a packet's data (all behind the IPv4 header, or behind
/// the 40 bytes of IPv6) as a fragment in a frame. `packet` begins with its IP header.
Bytes piece(const Bytes& packet, size_t offset, size_t length, bool more, uint32_t id = 1);

/// The whole packet in fragments of up to `most` bytes of data (a multiple of 8), in order.
std::vector<Bytes> in_pieces(const Frame&, size_t most, uint32_t id);

/// The packet that these frames make, in whatever order; empty if they do not make one.
Bytes together(const std::vector<Bytes>& frames);

}  // namespace torii::test
