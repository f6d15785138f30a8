#pragma once
// Which slot of the counters, and which generation of it, belongs to which service and backend.
//
// A slot is stable: a reload and a restart of toriid keep it. A removed backend keeps its slot
// while connections still refer to it, so that adding it again lets them go on (as LVS's trash
// does). Afterwards the slot may be given to another backend, under the next generation, with what
// was counted until then as its base. Pure functions; everything needed to go on after a restart is
// in services.<n>.

#include <cstdint>
#include <functional>
#include <span>
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
    Paged<BackendSlot> backends;
    Paged<ServiceSlot> services;
    Shared<std::vector<uint32_t>> absent = {};  ///< backend slots that nobody has now, ascending
    friend bool operator==(const Slots&, const Slots&) = default;
};

/// What must be known besides: numbers of generations, what was counted, and how many slots there
/// are.
struct SlotFacts {
    uint64_t generation = 0;  ///< the one being made
    uint64_t in_force = 0;    ///< the last one that every worker has passed to
    uint32_t now = 0;         ///< flow::Tick
    /// Of one slot; none: nothing was counted. Asked for few slots.
    std::function<Usage(uint32_t)> backend = {}, service = {};
    uint32_t max_backends = 65536, max_services = 65536;
};

/// A service that comes, goes, or is another than before.
struct ServiceChange {
    const Service* before = nullptr;  ///< none: it comes
    const Service* after = nullptr;   ///< none: it goes
    /// It was deleted and added again in between: only connections that live on are carried over.
    bool anew = false;
    std::vector<uint32_t> slots_before;      ///< of the destinations of `before`
    std::vector<uint32_t> slots_after = {};  ///< of those of `after`; assign() fills it in
};

/// The next assignment. What is not among the changes keeps its slots. Errc::full when there are
/// not enough.
Result<Slots> assign(Slots, std::span<ServiceChange>, const SlotFacts&);

/// Clears bases that lie above what is counted: the counters were made anew. True if any was.
bool rebase(Slots&, const SlotFacts&);

/// What a backend record carries of its owner (protocol, forward and `owner`), so that a removed
/// one is known again.
void remember(const BackendSlot&, const ServiceSlot&, shm::BackendRecord&);
/// The assignment that a generation was compiled with.
Slots recover_slots(const shm::Services&);

}  // namespace torii::control
