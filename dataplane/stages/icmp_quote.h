#pragma once
// The packet quoted inside an ICMP error (RFC 792, RFC 4443), as far as it is there.

#include <cstdint>

#include "dataplane/stages/context.h"
#include "dataplane/stages/packet.h"

namespace torii::stages {

struct Quote {
    uint16_t l3 = 0, l4 = 0;  ///< offsets from the frame's start
    uint16_t room = 0;        ///< quoted bytes from l4 on, at least 4: the ports
    uint8_t protocol = 0;     ///< TCP, UDP or SCTP
    uint16_t source_port = 0, destination_port = 0;  ///< raw
};

/// Reads the packet that begins at `at` and of which the frame holds what lies before `end`. False
/// if it is no first fragment of a balanced protocol, or ends before its ports do.
bool read_quote_at(const Packet&, uint32_t at, uint32_t end, bool v6, Quote&);
/// The packet quoted by the ICMP error `p`, which is of the same family.
bool read_quote(const Packet& p, Quote&);

/// The connection that the quoted packet is a request of, or flow::kNone; sets p.hash to its hash.
uint32_t find_quoted_request(const Context&, Packet& p, const Quote&, bool v6);

bool icmp_checksum_ok(const Packet&);

}  // namespace torii::stages
