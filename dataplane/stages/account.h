#pragma once
// What a burst adds to its worker's counters.

#include <span>

#include "dataplane/shm/counters.h"
#include "dataplane/stages/packet.h"

namespace torii::stages {

/// received, waiting, one verdict a packet, and the rows of services and backends: in_packets and
/// in_bytes (length of the IP packet as it came) for requests, out_* for replies.
/// What is another worker's is left to that one.
void account(const shm::Counters&, uint32_t worker, std::span<const Packet>);

/// Fragments, which account() has counted as received and waiting, and now have a verdict or
/// wait for their neighbour: the rows' bytes (packets
/// of first fragments) and what account_held() counts.
void account_released(const shm::Counters&, uint32_t worker, std::span<const Packet>);

/// A packet counted as waiting has got its verdict.
void account_held(const shm::Counters&, uint32_t worker, Verdict);

}  // namespace torii::stages
