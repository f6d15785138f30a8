#pragma once
// View: one pair of generations (services, routes) with what is derived from it, immutable while in
// force. Built by the dataplane's main thread (or a test); workers see one View for a whole burst.

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <tuple>
#include <vector>

#include "dataplane/scheduler/ranking.h"
#include "dataplane/scheduler/scheduler.h"
#include "dataplane/shm/routes.h"
#include "dataplane/shm/services.h"
#include "dataplane/stages/marks.h"

namespace torii::stages {

struct ServiceRuntime {
    const scheduler::Scheduler* scheduler = nullptr;
    scheduler::ServiceView view;
    std::span<const uint32_t> consistent;  ///< empty for NAT services
    bool weighs = false;                   ///< its choices depend on loads or thresholds
    uint32_t rank_at = 0;                  ///< where its ranking lies in each worker's memory
    uint32_t rank_size = 0;                ///< 0: it has none
    uint32_t rank_shift = 0;               ///< see scheduler::rank_shift()
    scheduler::Ranking::Shape rank_shape;
};

/// What every packet asks about its backend, close together.
struct BackendHop {
    uint32_t generation = 0;  ///< of the backend; 0: the slot is unused, or its backend removed
    uint32_t next_hop = shm::kNoNextHop;  ///< index into routes.next_hops, or kNoNextHop
};

struct View {
    shm::Services services;
    shm::Routes routes;
    std::vector<ServiceRuntime> runtime;  ///< one a service, same order
    std::vector<BackendHop> backend_store;
    std::span<const BackendHop> backends;  ///< the same, by slot
    uint32_t routes_stamp = 0;             ///< changes with every routes generation; never 0
    uint64_t serial = 0;                   ///< no other View of this process has it; never 0

    /// A set bit for every virtual address: "no" is certain, "yes" is a guess (see may_be_vip).
    std::array<uint64_t, 64> vip_filter{};
    std::vector<Address> nat_backends;  ///< sorted, each once
    /// Where NAT backends listen; any: every protocol. Sorted; only with nat_icmp_send.
    std::vector<std::tuple<Address, uint16_t, Protocol>> nat_ports;
    std::vector<uint32_t> deadlines;  ///< ticks at which drains are over, sorted
    Marks marks;                      ///< empty when no service has a mark

    static uint32_t filter_bit4(uint32_t raw) { return raw * 0x9e3779b1u >> 20; }
    static uint32_t filter_bit6(const uint8_t* a) {
        uint32_t w[4];
        std::memcpy(w, a, 16);
        return filter_bit4(w[0] ^ w[1] * 3 ^ w[2] * 5 ^ w[3] * 7);
    }
    bool may_be_vip(uint32_t bit) const { return vip_filter[bit >> 6] >> (bit & 63) & 1; }
    /// An address that packets of some service are sent to: a virtual one, or a marked one.
    bool is_virtual(const Address& a) const {
        return services.is_vip(a) || (!marks.empty() && marks.cover(a));
    }
    bool is_nat_port(const Address& a, uint16_t port, Protocol p) const {
        const auto has = [&](Protocol of) {
            return std::binary_search(nat_ports.begin(), nat_ports.end(), std::tuple(a, port, of));
        };
        return has(p) || has(Protocol::any);
    }
    bool is_nat_backend(const Address& a) const {
        return std::binary_search(nat_backends.begin(), nat_backends.end(), a);
    }

    /// The slot's backend if it still belongs to `generation` (which no connection has as 0), else
    /// nullptr.
    const BackendHop* backend(uint32_t slot, uint32_t generation) const {
        if (slot >= backends.size()) return nullptr;
        const BackendHop& b = backends[slot];
        return b.generation == generation ? &b : nullptr;
    }
    uint32_t next_hop_of(uint32_t slot) const {
        return slot < backends.size() ? backends[slot].next_hop : shm::kNoNextHop;
    }

    /// Resolves schedulers by name and a next hop for every backend. Errc::layout for an unknown
    /// scheduler or sections that do not fit its types. The objects must outlive the View. Views
    /// are made by one thread. `before`, or null: what it says of next hops by the same routes is
    /// taken over; nothing refers to it later.
    static Result<std::unique_ptr<View>> make(const shm::Services&, const shm::Routes&,
                                              uint32_t routes_stamp, const View* before = nullptr);
};

}  // namespace torii::stages
