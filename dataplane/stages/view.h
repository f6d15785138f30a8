#pragma once
// View: one pair of generations (services, routes) with what is derived from it, immutable while in
// force. Built by the dataplane's main thread (or a test); workers see one View for a whole burst.

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/scheduler/scheduler.h"
#include "dataplane/shm/routes.h"
#include "dataplane/shm/services.h"

namespace torii::stages {

struct ServiceRuntime {
    const scheduler::Scheduler* scheduler = nullptr;
    scheduler::ServiceView view;
    std::span<const uint32_t> consistent;  ///< empty for NAT services
};

struct View {
    shm::Services services;
    shm::Routes routes;
    std::vector<ServiceRuntime> runtime;  ///< one a service, same order
    std::vector<uint32_t>
        backend_next_hop;       ///< by slot: index into routes.next_hops, or kNoNextHop
    uint32_t routes_stamp = 0;  ///< changes with every routes generation; never 0

    /// A set bit for every virtual address: "no" is certain, "yes" is a guess (see may_be_vip).
    std::array<uint64_t, 64> vip_filter{};
    std::vector<Address> nat_backends;  ///< sorted, each once

    static uint32_t filter_bit4(uint32_t raw) { return raw * 0x9e3779b1u >> 20; }
    static uint32_t filter_bit6(const uint8_t* a) {
        uint32_t w[4];
        std::memcpy(w, a, 16);
        return filter_bit4(w[0] ^ w[1] * 3 ^ w[2] * 5 ^ w[3] * 7);
    }
    bool may_be_vip(uint32_t bit) const { return vip_filter[bit >> 6] >> (bit & 63) & 1; }
    bool is_nat_backend(const Address& a) const {
        return std::binary_search(nat_backends.begin(), nat_backends.end(), a);
    }

    /// Resolves schedulers by name and a next hop for every backend. Errc::layout for an unknown
    /// scheduler or sections that do not fit its types. The objects must outlive the View.
    static Result<std::unique_ptr<View>> make(const shm::Services&, const shm::Routes&,
                                              uint32_t routes_stamp);
};

}  // namespace torii::stages
