#pragma once
// Cutting a packet into pieces that fit the next link: IPv4 (RFC 791 3.2, "An Example Fragmentation
// Procedure"), and IPv6 where torii is the sender, which is at the mouth of a tunnel (RFC 2473 7.2,
// RFC 8200 4.5). Routers do not cut IPv6 packets (RFC 8200 5).

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/stages/packet.h"

namespace torii::stages {

/// How a packet is cut: equal pieces and a rest. The first has all IP options, the others those
/// whose type says "copied". IPv6 pieces have a fragment header each.
struct CutPlan {
    uint16_t link = 0;                        ///< bytes of link header, in front of each piece
    uint16_t own_header = 0;                  ///< bytes of the packet's IP header
    uint16_t first_header = 0;                ///< of the first piece's
    uint16_t later_header = 0;                ///< of the others'
    uint16_t first_data = 0, later_data = 0;  ///< bytes of data in each but the last
    uint16_t data = 0;                        ///< of the whole packet
    uint16_t count = 0;                       ///< pieces; 0: the link is too small for any
    uint32_t id = 0;                          ///< identification of IPv6 pieces, host order
};

/// For a packet whose IP header is at p.l3 and which has `p.cut_to` < `p.l3_length`. An IPv6 packet
/// has no extension headers, and its pieces get the identification `id`, which no other datagram
/// between the two addresses has at the time; IPv4 packets have their own.
CutPlan plan_cut(const Packet&, uint32_t id);

/// Bytes of a piece with its link header.
uint16_t piece_length(const CutPlan&, uint16_t index);

/// Writes piece `index` (< count) with its link header to `out`, which has piece_length() bytes.
/// The packet may itself be a fragment. "Don't fragment" is not set in a piece.
void write_piece(const Packet&, const CutPlan&, uint16_t index, std::byte* out);

}  // namespace torii::stages
