#pragma once
// The packet's path through torii. pipeline.cc is the only place where the order of the stages is
// written. Nothing here logs, allocates, locks, calls the kernel or reads a clock.

#include <span>
#include <string_view>

#include "dataplane/stages/context.h"
#include "dataplane/stages/packet.h"

namespace torii::dataplane {

using stages::Context;
using stages::Packet;
using stages::Verdict;
using stages::View;
using stages::WorkerState;

inline constexpr size_t kMaxBurst = 64;

/// Takes a burst of up to kMaxBurst packets (fresh Packet values in which the adapter has set data,
/// length, headroom, tailroom, in_port and owner) through every stage. Afterwards each packet
/// either has a verdict other than open, or is `held`: rewritten, waiting for its neighbour. What
/// is to be done follows from info(verdict).outcome: forwarded and answered packets leave by
/// `out_port`, kernel packets are untouched and go to the kernel, dropped ones are freed. Counts
/// nothing but connections: the caller may still change a verdict (drop_tx_full, drop_no_kernel,
/// drop_no_neighbour for a held packet it has no room for; clear `held` then) and then calls
/// account().
void process(Context&, std::span<Packet> burst);

/// One step of process(), and what it makes of what, for people: --print-pipeline.
struct Stage {
    std::string_view name, does;
    void (*run)(Context&, std::span<Packet>);
    uint8_t only = 0;  ///< bits of stages::Found: left out of bursts without; 0 = for every burst
};
std::span<const Stage> stages_in_order();

/// Counts the burst: received, verdicts, rows of services and backends, and `waiting` for the
/// packets still held. Once for every burst that went through process().
void account(Context&, std::span<const Packet> burst);

/// process() and account(), for a caller whose transmission cannot fail.
void run(Context&, std::span<Packet> burst);

/// Tries again with the context's (newer) view. True once the packet is no longer held: it then has
/// its verdict, is ready to leave by `out_port` (or to be dropped), and has been counted.
bool resolve_held(Context&, Packet&);

/// The neighbour did not answer in time: drop_no_neighbour, counted.
void abandon_held(Context&, Packet&);

}  // namespace torii::dataplane
