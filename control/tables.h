#pragma once
// Tables: everything a services generation is compiled from, and the pure steps from one to the
// next. A restarted toriid recovers them from the generation in force, so that nothing else has to
// be stored and nothing changes by the restart.

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "control/desired.h"
#include "control/slots.h"
#include "dataplane/scheduler/list_state.h"
#include "dataplane/shm/services.h"

namespace torii::control {

/// The list of each service, by key.
class Lists {
public:
    using Entry = std::pair<ServiceKey, Shared<scheduler::ListState>>;
    /// Asking for one that is not there is a mistake of the caller.
    const Shared<scheduler::ListState>& at(const ServiceKey&) const;
    size_t size() const { return all_.size(); }
    bool empty() const { return all_.empty(); }
    /// Without `gone`, with `changed` in the place of what was there or besides.
    Lists with(std::vector<Entry> changed, std::vector<ServiceKey> gone) const;

private:
    std::vector<Entry> all_;  // sorted: copying a tree of thousands is most of a change
};

struct Tables {
    Desired desired;
    Slots slots;
    Lists lists;
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

/// The tables for `next`; those of services that are as they were are handed on. Each service's
/// list gets the changes as ipvsadm would have made them: removals, then edits, then additions; a
/// service whose scheduler changes is rebound. Errc::full when there are not enough slots.
Result<Tables> plan(const Tables& now, Desired next, const SlotFacts&);

/// What workers need of one service, and the records of its destinations by slot. `number`: its
/// place among the services.
struct Compiled {
    shm::ServiceDescription service;
    std::vector<std::pair<uint32_t, shm::BackendRecord>> backends;
    std::vector<std::string_view> names;  ///< of `backends`, in their order; of `t`
};
Compiled compile_service(const Tables& t, const Service&, const scheduler::ListState&,
                         uint32_t service_slot, uint32_t number);
/// A slot that nobody has now: its connections wait, in case the backend comes back.
shm::BackendRecord absent_record(const Slots&, uint32_t slot);
/// The slots of services that are present.
std::unordered_map<ServiceKey, uint32_t, KeyHash> service_slots(const Slots&);
/// The slots of the service's destinations, in their order. `list`: its own.
std::vector<uint32_t> slots_of(const Service&, const scheduler::ListState& list, const Slots&);

/// The description of one generation (generation number 0) that holds everything itself.
shm::ServicesDescription compile(const Tables&);

/// The tables that a generation was compiled from. Errc::layout when its lists contradict it.
Result<Tables> recover(const shm::Services&);

}  // namespace torii::control
