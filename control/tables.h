#pragma once
// Tables: everything a services generation is compiled from, and the pure steps from one to the
// next. A restarted toriid recovers them from the generation in force, so that nothing else has to
// be stored and nothing changes by the restart.

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/desired.h"
#include "control/slots.h"
#include "dataplane/scheduler/list_state.h"
#include "dataplane/shm/services.h"

namespace torii::control {

struct Tables {
    Desired desired;
    Slots slots;
    std::map<ServiceKey, scheduler::ListState> lists;
};

/// What changes when `next` takes the place of `now`, for the log.
struct Difference {
    size_t services_added = 0, services_removed = 0, services_edited = 0;
    size_t backends_added = 0, backends_removed = 0, backends_edited = 0;
    bool timeouts = false, behaviour = false, marks = false;
    bool any() const;
    friend bool operator==(const Difference&, const Difference&) = default;
};
Difference difference(const Desired& now, const Desired& next);

/// The tables for `next`. Each service's list gets the changes as ipvsadm would have made them:
/// removals, then edits, then additions; a service whose scheduler changes is rebound. Errc::full
/// when there are not enough slots.
Result<Tables> plan(const Tables& now, Desired next, const SlotFacts&);

/// What was worked out from a service's list. It need not be again for the same state of the list.
struct Lookup {
    uint32_t slot_generation = 0;
    uint64_t change_seq = 0;
    std::string scheduler;
    std::vector<uint32_t> table, consistent;
};
using Lookups = std::unordered_map<ServiceKey, Lookup, KeyHash>;

/// The description of one generation (generation number 0). `kept` comes from the compilation
/// before, and becomes that of this one; tables that were never put into force must not leave
/// anything in it.
shm::ServicesDescription compile(const Tables&, Lookups& kept);
shm::ServicesDescription compile(const Tables&);

/// The tables that a generation was compiled from. Errc::layout when its lists contradict it.
Result<Tables> recover(const shm::Services&);

}  // namespace torii::control
