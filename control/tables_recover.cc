// From a generation back to the tables that it was compiled from.

#include "control/tables.h"

namespace torii::control {

using scheduler::ListState;
using scheduler::Target;

namespace {

// But for its destinations.
Service recover_service(const shm::Services& from, const shm::ServiceRecord& r) {
    Service s;
    s.key = {r.address, r.port.host(), r.protocol, r.mark};
    s.name = from.name(r);
    s.scheduler = r.scheduler;
    s.scheduler_flags = r.scheduler_flags;
    s.persistence_timeout = r.flags & shm::kPersistent ? r.persistence_timeout : 0;
    s.persistence_mask = r.persistence_mask;
    s.one_packet = r.flags & shm::kOnePacket;
    s.pe = r.pe;
    s.drain = r.drain;
    return s;
}

}  // namespace

Result<Tables> recover(const shm::Services& from) {
    Tables t;
    t.desired.timeouts = from.header->timeouts;
    t.desired.behaviour = from.header->behaviour;
    t.desired.marks.assign(from.marks.begin(), from.marks.end());
    t.slots = recover_slots(from);
    std::vector<Lists::Entry> lists;
    for (const shm::ServiceRecord& r : from.services) {
        const uint64_t size = from.places[r.piece].size();
        if (!shm::inside<Target>(r.targets, size) ||
            !shm::inside<scheduler::Change>(r.changes, size))
            return fail(Errc::layout, "a list of backends lies outside the file");
        Service s = recover_service(from, r);
        const auto targets = from.section<Target>(r, r.targets);
        for (auto it = targets.rbegin(); it != targets.rend(); ++it) {
            if (it->backend >= from.backends.size() || !from.backends[it->backend].present)
                return fail(Errc::layout, "a list of backends names an unused slot");
            const shm::BackendRecord& b = from.backends[it->backend];
            if (t.slots.backends[it->backend].service != s.key)
                return fail(Errc::layout, "a list of backends names another service's slot");
            s.destinations.push_back({{b.address, b.port.host()},
                                      std::string(from.name(b)),
                                      uint16_t(b.weight),
                                      b.upper,
                                      b.lower,
                                      b.forward,
                                      b.tunnel});
        }
        scheduler::ServiceView view;
        view.targets = targets;
        view.changes = from.section<scheduler::Change>(r, r.changes);
        view.change_seq = r.change_seq;
        view.max_weight = r.max_weight;
        view.gcd = r.gcd;
        lists.emplace_back(s.key, ListState::restore(view));
        t.desired.services.push_back(std::move(s));
    }
    t.lists = Lists{}.with(std::move(lists), {});
    return t;
}

}  // namespace torii::control
