#pragma once
// What the stages of one worker work with: the view in force, the worker's hold on the connection
// table, its own counters, and the little it remembers between bursts.

#include <cstdint>
#include <vector>

#include "dataplane/flow/table.h"
#include "dataplane/flow/tcp_state.h"
#include "dataplane/scheduler/locality.h"
#include "dataplane/scheduler/ranking.h"
#include "dataplane/scheduler/scheduler.h"
#include "dataplane/shm/counters.h"
#include "dataplane/shm/events.h"
#include "dataplane/shm/standby.h"
#include "dataplane/stages/fragment_table.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/packet.h"
#include "dataplane/stages/view.h"

namespace torii::stages {

/// At most `rate` a second on average and `burst` at once. Time is the caller's, in microseconds.
struct TokenBucket {
    uint32_t rate = 1000, burst = 50;
    uint64_t credit_us = 0;  ///< time not yet spent; a token costs 1'000'000 / rate of it
    uint64_t last_us = 0;    ///< 0: never asked, so the bucket is full

    bool take(uint64_t now_us) {
        const uint64_t price = 1'000'000 / rate;
        const uint64_t passed = last_us == 0 ? price * burst : now_us - last_us;
        if (now_us >= last_us) {
            credit_us = credit_us + passed < price * burst ? credit_us + passed : price * burst;
            last_us = now_us ? now_us : 1;
        }
        if (credit_us < price) return false;
        credit_us -= price;
        return true;
    }
};

/// One service's scheduling state; by counter slot of the service.
struct ServiceState {
    uint32_t slot_generation = 0;  ///< whose state this is; another one starts afresh
    scheduler::Cursor cursor{};
    uint64_t others_at_us = 0;  ///< when the other workers' counts below were last added up
    uint64_t ranked_in = 0;     ///< serial of the View that its ranking was built for
};

/// What one worker last saw the others count on a backend, and its overload flag; by backend slot.
struct alignas(64) BackendState {
    static constexpr int64_t kNotCounted = INT64_MIN;  ///< there was no threshold then
    uint32_t generation = 0;                           ///< whose state this is
    uint32_t upper = 0;  ///< the upper threshold when it was last looked at
    int64_t total = 0;   ///< all workers' connections when they were last looked at; kNotCounted
    int64_t active = 0, inactive = 0;  ///< sums over the other workers
    // As the ranking of its service has it.
    uint64_t ranked_in = 0;   ///< serial of the View that the rest is of
    uint32_t service = 0;     ///< index of its service
    uint32_t position = ~0u;  ///< in the list
    uint32_t weight = 0;
    bool by_load = false;  ///< it has a weight and no threshold: nothing but its load counts
    bool overloaded = false;
};

/// Where patrol() is.
struct Patrol {
    uint64_t serial = 0;   ///< of the View it was last begun for
    flow::Tick done = 0;   ///< drains that were over by then have been dealt with
    flow::Tick since = 0;  ///< when it was begun
    uint32_t at = 0;       ///< the next entry
    bool under_way = false;
    bool removed = false;  ///< connections of removed backends end too
};

/// Everything a worker keeps between bursts outside shared memory. Owned by the worker; never
/// shared. Sized once: slots beyond the vectors are not scheduled to.
struct WorkerState {
    WorkerState(const flow::Seed& table_seed, uint32_t service_slots, uint32_t backend_slots,
                uint32_t datagrams)
        : seed(table_seed),
          services(service_slots),
          backends(backend_slots),
          ranks(scheduler::Ranking::room_for(backend_slots)),
          locality(scheduler::Locality::create()),
          fragments(table_seed, datagrams) {}

    /// Identification of the next IPv6 packet that this worker cuts up; no other worker uses it.
    uint32_t next_cut_id(uint32_t workers, uint32_t worker) { return cut_id++ * workers + worker; }

    flow::Seed seed;  ///< of the connection table: Table::seed()
    std::vector<ServiceState> services;
    std::vector<BackendState> backends;
    std::vector<uint64_t> ranks;  ///< rankings of all services; see ServiceRuntime::rank_at
    scheduler::Locality locality;
    Patrol patrol;
    FragmentTable fragments;
    shm::Standby standby;         ///< what is another balancer's, as of this burst
    uint32_t ending = ~0u;        ///< slot of a connection that has ended and still counts
    TokenBucket icmp{1000, 50};   ///< ICMP errors made here (Linux: icmp_msgs_per_sec, _burst)
    TokenBucket wanted{200, 64};  ///< neighbour_wanted events
    uint16_t ip_id = 1;           ///< identification of the next IPv4 packet made here
    uint32_t cut_id = uint32_t(seed.b);  ///< next_cut_id(); begins where nobody knows
    uint64_t full_seen = 0;      ///< the workers' table_full counts added up, when last looked at
    uint64_t full_until_us = 0;  ///< stateless forwarding of unknown flows is allowed until then
    uint64_t full_looked_us = 0;
};

/// What a burst can hold besides requests and replies of known connections. Whoever first knows
/// of such a packet says so in Context::found; the steps for it are left out of other bursts.
enum Found : uint8_t {
    kIcmpErrors = 1,
    kUnknown = 2,         ///< packets of a service, but of no connection
    kFirstFragments = 8,  ///< of datagrams in pieces, which settle_fragments() tells about
    kBegun = 4,           ///< a packet that has begun a connection
};

/// One burst's surroundings. Cheap to make; valid for one call.
struct Context {
    const View& view;
    flow::Table::Worker& flows;
    WorkerState& state;
    shm::Counters counters;
    uint32_t worker;         ///< number of this worker: its block of `counters`
    flow::Tick now;          ///< coarse clock, see flow::Tick
    uint64_t now_us;         ///< CLOCK_MONOTONIC or BOOTTIME in microseconds, never going back
    shm::EventRing* events;  ///< this worker's ring, or nullptr
    uint8_t found = 0;       ///< bits of Found, of the burst under way
    flow::Deadlines deadlines{view.services.header->timeouts, now};
};

/// What one step of a pass notes for the next ones, about one packet: values that are in registers
/// then. Made anew in every pass, from the packet.
struct Notes {
    Notes(const Context& c, const Packet& p)
        : reply(p.direction == Direction::reply),
          tcp(p.protocol == wire::kTcp),
          nat(p.nat),
          cell(&c.flows.head(p.entry)),
          backend_hop(c.view.next_hop_of(p.backend)) {}

    bool reply, tcp;
    bool nat;                           ///< the connection is forwarded by NAT
    flow::Head* cell;                   ///< of p.entry; not to be looked at if that is flow::kNone
    uint64_t word = 0;                  ///< of the cell, when look_up() found it live
    uint32_t backend_hop;               ///< next hop of the backend, or kNoNextHop
    const shm::NextHop* hop = nullptr;  ///< where the packet leaves
};

}  // namespace torii::stages
