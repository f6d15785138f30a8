#pragma once
// The packet's path through torii. pipeline.cc is the only place where the order of the steps is
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
/// length, headroom, tailroom, in_port and owner) through every step. Afterwards each packet
/// either has a verdict other than open, or is `held`: rewritten, waiting for its neighbour. With
/// the verdict `aside` a held packet is a fragment that the worker's FragmentTable keeps until
/// release_fragments() gives it back, or that is to be given to the worker `give_to`; if that is
/// not possible, clear `held` and `give_to` and close it. Packets with `cut_to` leave in pieces
/// (stages/cut.h). What is to be done follows from info(verdict).outcome: forwarded and answered
/// packets leave by `out_port`, kernel packets are untouched and go to the kernel, dropped ones are
/// freed. Counts nothing but connections: the caller may still change a verdict (drop_tx_full,
/// drop_no_kernel, drop_no_neighbour for a held packet it has no room for; clear `held` then) and
/// then calls account().
void process(Context&, std::span<Packet> burst);

/// What a packet comes to, and what it makes of what, for people: --print-pipeline. `take` is for
/// an open packet; false when the packet goes no further in this pass.
struct Step {
    std::string_view name, does;
    bool (*take)(Context&, Packet&, stages::Notes&);
};
/// Steps that are taken in one pass over the burst.
struct Pass {
    std::span<const Step> steps;
    void (*run)(Context&, std::span<Packet>);
    uint8_t only;  ///< bits of stages::Found: left out of bursts without; 0 = for every burst
};
std::span<const Pass> passes_in_order();

/// Counts the burst: received, verdicts, rows of services and backends, and `waiting` for the
/// packets still held. Once for every burst that went through process().
void account(Context&, std::span<const Packet> burst);

/// process() and account(), for a caller whose transmission cannot fail.
void run(Context&, std::span<Packet> burst);

/// Fragments that were set aside and have their verdict now, or wait for their neighbour: to be
/// treated as after process(), then counted with account_released(). After every burst, and after
/// the table's expire(); again and again until it returns 0.
size_t release_fragments(Context&, std::span<Packet> out);
void account_released(Context&, std::span<const Packet> burst);

/// Tries again with the context's (newer) view. True once the packet is no longer held: it then has
/// its verdict, is ready to leave by `out_port` (or to be dropped), and has been counted.
bool resolve_held(Context&, Packet&);

/// The neighbour did not answer in time: drop_no_neighbour, counted.
void abandon_held(Context&, Packet&);

}  // namespace torii::dataplane
