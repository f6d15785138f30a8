// lblc, lblcr: locality-based least connections, for services of many addresses (marks), as before
// caches. A destination address keeps its target (lblcr: a set of targets, of which the least
// loaded takes the connection) until that is overloaded: it has more active connections than its
// weight while another target has fewer than half of its own. Then wlc chooses for the whole
// service, and lblc moves the destination there, lblcr adds the target to the set. A set that has
// not changed for lblcr_expiration loses its most loaded member.

#include "dataplane/scheduler/least.h"
#include "dataplane/scheduler/locality.h"
#include "dataplane/scheduler/rows.h"

namespace torii::scheduler {
namespace {

bool busy(const ServiceView& view, const Loads& loads, const Target& target) {
    if (loads.of(target.backend).active <= int64_t(target.weight)) return false;
    for (const Target& t : view.targets)
        if (loads.of(t.backend).active * 2 < int64_t(t.weight)) return true;
    return false;
}

const Target* target_of(const ServiceView& view, const Loads& loads, uint32_t backend) {
    if (loads.position != nullptr) {
        const uint32_t at = loads.position(loads.context, backend);
        return at < view.targets.size() && view.targets[at].backend == backend ? &view.targets[at]
                                                                               : nullptr;
    }
    for (const Target& t : view.targets)
        if (t.backend == backend) return &t;
    return nullptr;
}

struct Member {
    const Target* target = nullptr;
    int64_t overhead = 0;
    uint32_t position = 0;
    /// Whether this one is busier for its weight.
    bool busier(const Member& o) const {
        return overhead * o.target->weight > o.overhead * target->weight;
    }
};

Member member(const ServiceView& view, const Loads& loads, const Local& set, uint32_t i) {
    Member m{target_of(view, loads, set.backends[i]), 0, i};
    if (m.target) m.overhead = loads.of(m.target->backend).overhead();
    return m;
}

const Target* least_of(const ServiceView& view, const Loads& loads, const Local& set) {
    Member least;
    for (uint32_t i = 0; i < set.size; ++i) {
        const Member m = member(view, loads, set, i);
        if (m.target == nullptr || !loads.eligible(*m.target)) continue;
        if (least.target == nullptr || least.busier(m)) least = m;
    }
    return least.target;
}

// The kernel looks for the most loaded of those with a weight, and keeps the first among equals.
void drop_most(const ServiceView& view, const Loads& loads, Local& set) {
    Member most;
    for (uint32_t i = 0; i < set.size; ++i) {
        const Member m = member(view, loads, set, i);
        if (m.target == nullptr || m.target->weight == 0) continue;
        if (most.target == nullptr || m.busier(most)) most = m;
    }
    if (most.target != nullptr) set.drop(most.position);
}

}  // namespace

uint32_t lblc_pick(const ServiceView& view, Cursor& cursor, const Loads& loads, const Key& key) {
    Local* known = cursor.locality ? cursor.locality->find(cursor.service, key.virtual_address,
                                                           key.now, view.lblc_expiration)
                                   : nullptr;
    if (known) {
        const Target* t = target_of(view, loads, known->backends[0]);
        if (t && t->weight > 0 && !busy(view, loads, *t)) return t->backend;
    }
    const uint32_t backend = least_overhead(view, loads);
    if (backend == kNoBackend || !cursor.locality) return backend;
    if (Local* l = cursor.locality->make(cursor.service, key.virtual_address, key.now))
        l->add(backend, key.now);
    return backend;
}

uint32_t lblcr_pick(const ServiceView& view, Cursor& cursor, const Loads& loads, const Key& key) {
    if (!cursor.locality) return least_overhead(view, loads);
    Local* set =
        cursor.locality->find(cursor.service, key.virtual_address, key.now, view.lblcr_expiration);
    if (set) {
        const Target* least = least_of(view, loads, *set);
        if (set->size > 1 && key.now - set->changed > view.lblcr_expiration)
            drop_most(view, loads, *set);
        if (least && !busy(view, loads, *least)) return least->backend;
    }
    const uint32_t backend = least_overhead(view, loads);
    if (backend == kNoBackend) return backend;
    if (!set) set = cursor.locality->make(cursor.service, key.virtual_address, key.now);
    if (set) set->add(backend, key.now);
    return backend;
}

}  // namespace torii::scheduler
