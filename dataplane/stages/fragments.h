#pragma once
// fragments: datagrams that come in pieces. The first fragment goes through the stages like a whole
// packet; the others are set aside and follow what became of it. All fragments of a datagram are
// handled by one worker, which their addresses and identification tell; the others give them to it.
// Out of line: whole packets never come here.

#include <span>

#include "dataplane/stages/context.h"
#include "dataplane/stages/packet.h"

namespace torii::stages {

/// A fragment to or from a service's addresses: left open if it is the first one of its datagram
/// and this worker's; else closed with what is wrong with it, with its datagram's verdict, or set
/// aside.
void gather(Context&, Packet&);

/// What became of first fragments, for the others of their datagrams.
void settle_fragments(Context&, std::span<const Packet> burst);

/// First fragments that gather() has set aside until their datagrams' length was known: as they
/// came, to be taken through all stages again. Returns how many.
size_t resume_fragments(Context&, std::span<Packet> out);

/// Fragments that need not wait any longer: open, with their connection or backend, or closed.
/// Returns how many; fewer than `out` has room for: there are no more.
size_t release_fragments(Context&, std::span<Packet> out);

/// NAT for a fragment without ports: addresses. (The first one's checksum covers the datagram.)
bool forward_nat_later(Context&, Packet&, Notes&);

}  // namespace torii::stages
