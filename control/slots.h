#pragma once
// Which slot of the counters, and which generation of it, belongs to which service and backend.
//
// A slot is stable: a reload and a restart of toriid keep it. A removed backend keeps its slot
// while connections still refer to it, so that adding it again lets them go on (as LVS's trash
// does). Afterwards the slot may be given to another backend, under the next generation, with what
// was counted until then as its base. Pure functions; everything needed to go on after a restart is
// in services.<n>.

#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/base/error.h"
#include "control/desired.h"
#include "dataplane/shm/services.h"

namespace torii::control {

/// What the workers have counted for one slot, added up.
struct Usage {
    int64_t references = 0;  ///< connections and templates that still exist
    shm::CounterBase counted;
};

struct BackendSlot {
    uint32_t generation = 0;  ///< 0: never used
    bool present = false;
    ServiceKey service;  ///< of the owner, or of the last one
    Endpoint backend;
    shm::Forward forward = shm::Forward::nat;  ///< of the owner, or of the last one
    uint32_t service_slot = 0;
    uint64_t removed_in = 0;  ///< the services generation that first lacked it
    shm::CounterBase base;
    uint32_t drain = 0;        ///< seconds its service gives it when it leaves; 0 = for ever
    uint32_t drain_until = 0;  ///< flow::Tick; it has left, and then its connections end
    friend bool operator==(const BackendSlot&, const BackendSlot&) = default;
};

struct ServiceSlot {
    uint32_t generation = 0;  ///< the services generation that brought the service; 0: never used
    bool present = false;
    ServiceKey key;
    shm::CounterBase base;
    friend bool operator==(const ServiceSlot&, const ServiceSlot&) = default;
};

struct Slots {
    std::vector<BackendSlot> backends;
    std::vector<ServiceSlot> services;
    friend bool operator==(const Slots&, const Slots&) = default;
};

/// What assign() must know besides: numbers of generations, sums by slot (missing ones count as
/// zero), and how many slots there are.
struct SlotFacts {
    uint64_t generation = 0;  ///< the one being made
    uint64_t in_force = 0;    ///< the last one that every worker has passed to
    uint32_t now = 0;         ///< flow::Tick
    std::span<const Usage> backends = {}, services = {};
    uint32_t max_backends = 65536, max_services = 65536;
};

/// The next assignment. Errc::full, and nothing changed, when there are not enough slots.
Result<Slots> assign(const Slots&, const Desired&, const SlotFacts&);

/// Finds slots of present services and backends; asking for another is a mistake of the caller.
class SlotIndex {
public:
    explicit SlotIndex(const Slots&);
    uint32_t of(const ServiceKey&) const;
    uint32_t of(const ServiceKey&, const Endpoint&) const;

private:
    std::unordered_map<ServiceKey, uint32_t, KeyHash> services_;
    std::unordered_map<std::pair<ServiceKey, Endpoint>, uint32_t, KeyHash> backends_;
};

/// Clears bases that lie above what is counted: the counters were made anew. True if any was.
bool rebase(Slots&, const SlotFacts&);

/// What a backend record carries of its owner (protocol, forward and `owner`), so that a removed
/// one is known again.
void remember(const BackendSlot&, const ServiceSlot&, shm::BackendRecord&);
/// The assignment that a generation was compiled with.
Slots recover_slots(const shm::Services&);

}  // namespace torii::control
