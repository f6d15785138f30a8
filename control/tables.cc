#include "control/tables.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <tuple>

#include "dataplane/scheduler/consistent.h"

namespace torii::control {
namespace {

using scheduler::ListState;
using scheduler::Target;

using ByKey = std::map<Endpoint, const Destination*>;

ByKey by_key(const Service& s) {
    ByKey m;
    for (const Destination& d : s.destinations) m.emplace(d.key, &d);
    return m;
}

// What ipvsadm -e would be called for; a new name alone is nothing to LVS.
bool edited(const Destination& from, const Destination& to) {
    return from.weight != to.weight || from.upper != to.upper || from.lower != to.lower ||
           from.forward != to.forward || from.tunnel != to.tunnel || from.edited != to.edited;
}

// Deleted and added again by ipvsadm since; what the file has instead of an addition is the same
// one.
template <class T>
bool added_again(const T& from, const T& to) {
    return to.added > from.added;
}

struct BothSlots {
    const SlotIndex &now, &next;
};

// The slots of before name what is removed, those of now what is added.
void replay(ListState& list, const Service& from, const Service& to, const BothSlots& slots) {
    const ByKey old = by_key(from), fresh = by_key(to);
    for (const Destination& d : from.destinations)
        if (const auto it = fresh.find(d.key); it == fresh.end() || added_again(d, *it->second))
            list.remove(slots.now.of(from.key, d.key));
    for (const Destination& d : to.destinations)
        if (const auto it = old.find(d.key); it != old.end() && edited(*it->second, d))
            list.edit(slots.next.of(to.key, d.key), d.weight);
    for (const Destination& d : to.destinations)
        if (const auto it = old.find(d.key); it == old.end() || added_again(*it->second, d))
            list.add(slots.next.of(to.key, d.key), d.weight);
    if (from.scheduler != to.scheduler) list.rebind();
}

template <class T>
std::vector<std::byte> bytes_of(std::span<const T> values) {
    const auto raw = std::as_bytes(values);
    return {raw.begin(), raw.end()};
}

using Members = std::unordered_map<uint32_t, const Destination*>;  // by backend slot

// Flows that find the table full go by hash, and only to servers that need no translation.
std::vector<uint32_t> consistent(std::vector<Target> targets, const Members& members) {
    bool any = false;
    for (Target& t : targets) {
        if (members.at(t.backend)->forward == shm::Forward::nat)
            t.weight = 0;
        else
            any = true;
    }
    return any ? scheduler::build_consistent(targets) : std::vector<uint32_t>{};
}

shm::BackendRecord backend_record(const Destination& d, const BackendSlot& slot,
                                  const ServiceSlot& service_slot, uint32_t service) {
    shm::BackendRecord r{};
    r.address = d.key.address;
    r.port = be16::from_host(d.key.port);
    r.present = 1;
    r.generation = slot.generation;
    r.service = service;
    r.weight = d.weight;
    r.upper = d.upper;
    r.lower = d.lower;
    r.tunnel = d.tunnel;
    r.base = slot.base;
    remember(slot, service_slot, r);
    return r;
}

// A slot that nobody has now: its connections wait, in case the backend comes back.
shm::BackendRecord absent_record(const BackendSlot& slot, const Slots& slots) {
    shm::BackendRecord r{};
    r.address = slot.backend.address;
    r.port = be16::from_host(slot.backend.port);
    r.generation = slot.generation;
    r.base = slot.base;
    const ServiceSlot service = slot.service_slot < slots.services.size()
                                    ? slots.services[slot.service_slot]
                                    : ServiceSlot{};
    remember(slot, service, r);
    return r;
}

shm::ServiceDescription service_description(const Service& s, const ServiceSlot& slot,
                                            uint32_t number, const ListState& list,
                                            const Members& members, Lookup& lookup) {
    shm::ServiceDescription d;
    shm::ServiceRecord& r = d.record;
    r.address = s.key.address;
    r.port = be16::from_host(s.key.port);
    r.protocol = s.key.protocol;
    r.slot = number;
    r.slot_generation = slot.generation;
    std::strncpy(r.scheduler, s.scheduler.c_str(), sizeof r.scheduler - 1);
    r.scheduler_flags = s.scheduler_flags;
    r.version = list.version();
    r.max_weight = list.max_weight();
    r.gcd = list.gcd();
    r.change_seq = list.change_seq();
    r.base = slot.base;
    r.mark = s.key.mark;
    r.persistence_timeout = s.persistence_timeout;
    r.persistence_mask = s.persistence_mask;
    r.flags = uint16_t((s.persistence_timeout != 0 ? shm::kPersistent : 0) |
                       (s.one_packet ? shm::kOnePacket : 0));
    r.drain = s.drain;
    std::strncpy(r.pe, s.pe.c_str(), sizeof r.pe - 1);
    const std::vector<Target> targets = list.targets();
    d.targets = bytes_of(std::span<const Target>(targets));
    d.target_size = sizeof(Target);
    d.changes = bytes_of(list.changes());
    d.change_size = sizeof(scheduler::Change);
    const bool known = lookup.slot_generation == slot.generation &&
                       lookup.change_seq == list.change_seq() && lookup.scheduler == s.scheduler;
    if (!known) {
        lookup = {slot.generation, list.change_seq(), s.scheduler, {}, {}};
        std::vector<Endpoint> ends;
        for (const Target& t : targets) ends.push_back(members.at(t.backend)->key);
        if (const auto* row = scheduler::find_scheduler(s.scheduler))
            lookup.table = scheduler::build_table(*row, targets, ends);
        lookup.consistent = consistent(targets, members);
    }
    d.table = lookup.table;
    d.consistent = lookup.consistent;
    d.name = s.name;
    return d;
}

}  // namespace

namespace {

// But for their destinations.
bool alike(const Service& a, const Service& b) {
    const auto rest = [](const Service& s) {
        return std::tie(s.scheduler, s.scheduler_flags, s.name, s.persistence_timeout,
                        s.persistence_mask, s.one_packet, s.pe, s.drain);
    };
    return rest(a) == rest(b);
}

}  // namespace

bool Difference::any() const { return *this != Difference{}; }

Difference difference(const Desired& now, const Desired& next) {
    Difference d;
    d.timeouts = now.timeouts != next.timeouts;
    d.behaviour = now.behaviour != next.behaviour;
    d.marks = now.marks != next.marks;
    std::map<ServiceKey, const Service*> before, after;
    for (const Service& s : now.services) before.emplace(s.key, &s);
    for (const Service& s : next.services) after.emplace(s.key, &s);
    for (const auto& [key, s] : before)
        if (!after.contains(key)) ++d.services_removed;
    for (const auto& [key, s] : after) {
        const auto was = before.find(key);
        if (was == before.end()) {
            ++d.services_added;
            d.backends_added += s->destinations.size();
            continue;
        }
        const Service& old = *was->second;
        if (!alike(old, *s)) ++d.services_edited;
        if (old.destinations == s->destinations) continue;
        const ByKey from = by_key(old), to = by_key(*s);
        for (const auto& [endpoint, x] : from)
            if (!to.contains(endpoint)) ++d.backends_removed;
        for (const auto& [endpoint, x] : to) {
            const auto it = from.find(endpoint);
            if (it == from.end())
                ++d.backends_added;
            else if (*it->second != *x)
                ++d.backends_edited;
        }
    }
    return d;
}

namespace {

// Services of before by key, without those that were deleted and added again: they are new ones.
std::map<ServiceKey, const Service*> lasting(const Desired& now, const Desired& next,
                                             std::set<ServiceKey>& ended) {
    std::map<ServiceKey, const Service*> old;
    for (const Service& s : now.services) old.emplace(s.key, &s);
    for (const Service& s : next.services) {
        const auto it = old.find(s.key);
        if (it == old.end() || !added_again(*it->second, s)) continue;
        ended.insert(s.key);
        old.erase(it);
    }
    return old;
}

// The slots as they would be had those services been removed by a generation of their own.
Slots without(Slots slots, const std::set<ServiceKey>& ended, uint64_t generation) {
    if (ended.empty()) return slots;
    for (ServiceSlot& s : slots.services)
        if (ended.contains(s.key)) s.present = false;
    for (BackendSlot& b : slots.backends)
        if (b.present && ended.contains(b.service)) b.present = false, b.removed_in = generation;
    return slots;
}

}  // namespace

Result<Tables> plan(const Tables& now, Desired next, const SlotFacts& facts) {
    std::set<ServiceKey> ended;
    const std::map<ServiceKey, const Service*> old = lasting(now.desired, next, ended);
    auto slots = assign(without(now.slots, ended, facts.generation), next, facts);
    if (!slots) return tl::unexpected(slots.error());
    const SlotIndex before(now.slots), after(*slots);
    Tables t{std::move(next), std::move(*slots), {}};
    for (const Service& s : t.desired.services) {
        const auto was = old.find(s.key);
        Service nothing;
        nothing.key = s.key;
        nothing.scheduler = s.scheduler;
        ListState list = was == old.end() ? ListState() : now.lists.at(s.key);
        if (was == old.end() || *was->second != s)
            replay(list, was == old.end() ? nothing : *was->second, s, {before, after});
        t.lists.emplace(s.key, std::move(list));
    }
    return t;
}

shm::ServicesDescription compile(const Tables& t) {
    Lookups none;
    return compile(t, none);
}

shm::ServicesDescription compile(const Tables& t, Lookups& kept) {
    Lookups next;
    next.reserve(t.desired.services.size());
    shm::ServicesDescription d;
    d.timeouts = t.desired.timeouts;
    d.behaviour = t.desired.behaviour;
    d.marks = t.desired.marks;
    const SlotIndex index(t.slots);
    for (const BackendSlot& b : t.slots.backends)
        d.backends.push_back({absent_record(b, t.slots), {}});
    for (const Service& s : t.desired.services) {
        const uint32_t number = index.of(s.key);
        const ServiceSlot& slot = t.slots.services[number];
        Members members;
        for (const Destination& b : s.destinations) {
            const uint32_t at = index.of(s.key, b.key);
            members.emplace(at, &b);
            d.backends[at] = {
                backend_record(b, t.slots.backends[at], slot, uint32_t(d.services.size())), b.name};
        }
        Lookup& lookup = next[s.key];
        if (const auto before = kept.find(s.key); before != kept.end())
            lookup = std::move(before->second);
        d.services.push_back(
            service_description(s, slot, number, t.lists.at(s.key), members, lookup));
    }
    kept = std::move(next);
    return d;
}

namespace {

// But for its destinations.
Service recover_service(const shm::Services& from, const shm::ServiceRecord& r) {
    Service s;
    s.key = {r.address, r.port.host(), r.protocol, r.mark};
    s.name = from.text(r.name);
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
    for (const shm::ServiceRecord& r : from.services) {
        const uint64_t size = from.header->header.size;
        if (!shm::inside<Target>(r.targets, size) ||
            !shm::inside<scheduler::Change>(r.changes, size))
            return fail(Errc::layout, "a list of backends lies outside the file");
        Service s = recover_service(from, r);
        const auto targets = from.section<Target>(r.targets);
        for (auto it = targets.rbegin(); it != targets.rend(); ++it) {
            if (it->backend >= from.backends.size() || !from.backends[it->backend].present)
                return fail(Errc::layout, "a list of backends names an unused slot");
            const shm::BackendRecord& b = from.backends[it->backend];
            if (t.slots.backends[it->backend].service != s.key)
                return fail(Errc::layout, "a list of backends names another service's slot");
            s.destinations.push_back({{b.address, b.port.host()},
                                      std::string(from.text(b.name)),
                                      uint16_t(b.weight),
                                      b.upper,
                                      b.lower,
                                      b.forward,
                                      b.tunnel});
        }
        scheduler::ServiceView view;
        view.targets = targets;
        view.changes = from.section<scheduler::Change>(r.changes);
        view.change_seq = r.change_seq;
        view.max_weight = r.max_weight;
        view.gcd = r.gcd;
        t.lists.emplace(s.key, ListState::restore(view));
        t.desired.services.push_back(std::move(s));
    }
    return t;
}

}  // namespace torii::control
