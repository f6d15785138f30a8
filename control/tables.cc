#include "control/tables.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <tuple>

#include "dataplane/scheduler/consistent.h"

namespace torii::control {
namespace {

using scheduler::ListState;
using scheduler::Target;

using ByKey = std::unordered_map<Endpoint, uint32_t, KeyHash>;  // place among the destinations

ByKey by_key(const Service& s) {
    ByKey m;
    m.reserve(s.destinations.size());
    for (uint32_t i = 0; i < s.destinations.size(); ++i) m.emplace(s.destinations[i].key, i);
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

// The slots of before name what is removed, those of now what is added.
void replay(ListState& list, const Service& from, const Service& to, const ServiceChange& slots) {
    const ByKey old = by_key(from), fresh = by_key(to);
    for (size_t i = 0; i < from.destinations.size(); ++i) {
        const Destination& d = from.destinations[i];
        const auto it = fresh.find(d.key);
        if (it == fresh.end() || added_again(d, to.destinations[it->second]))
            list.remove(slots.slots_before[i]);
    }
    for (size_t i = 0; i < to.destinations.size(); ++i) {
        const Destination& d = to.destinations[i];
        if (const auto it = old.find(d.key);
            it != old.end() && edited(from.destinations[it->second], d))
            list.edit(slots.slots_after[i], d.weight);
    }
    for (size_t i = 0; i < to.destinations.size(); ++i) {
        const Destination& d = to.destinations[i];
        if (const auto it = old.find(d.key);
            it == old.end() || added_again(from.destinations[it->second], d))
            list.add(slots.slots_after[i], d.weight);
    }
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

shm::ServiceDescription service_description(const Service& s, const ServiceSlot& slot,
                                            uint32_t number, const ListState& list,
                                            const Members& members) {
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
    std::vector<Endpoint> ends;
    for (const Target& t : targets) ends.push_back(members.at(t.backend)->key);
    if (const auto* row = scheduler::find_scheduler(s.scheduler))
        d.table = scheduler::build_table(*row, targets, ends);
    d.consistent = consistent(targets, members);
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

constexpr uint32_t kNone = ~0u;

// Which service of before is which of now; those that are one and the same handle are left out.
struct Pairs {
    std::vector<std::pair<uint32_t, uint32_t>> others;  // place before (or kNone) and now
    std::vector<uint32_t> gone;                         // places before
};
Pairs pair_up(const ServiceList& before, const ServiceList& now) {
    const auto old = before.handles(), fresh = now.handles();
    Pairs pairs;
    std::unordered_map<ServiceKey, uint32_t, KeyHash> open;  // by key, where the places differ
    for (uint32_t i = 0; i < old.size(); ++i)
        if (i >= fresh.size() || !old[i].same(fresh[i])) open.emplace(old[i]->key, i);
    for (uint32_t i = 0; i < fresh.size(); ++i) {
        if (i < old.size() && old[i].same(fresh[i])) continue;
        const auto it = open.find(fresh[i]->key);
        if (it == open.end()) {
            pairs.others.emplace_back(kNone, i);
            continue;
        }
        if (!old[it->second].same(fresh[i])) pairs.others.emplace_back(it->second, i);
        open.erase(it);
    }
    for (const auto& [key, i] : open) pairs.gone.push_back(i);
    std::ranges::sort(pairs.gone);
    return pairs;
}

}  // namespace

bool Difference::any() const { return *this != Difference{}; }

Difference difference(const Desired& now, const Desired& next) {
    Difference d;
    d.timeouts = now.timeouts != next.timeouts;
    d.behaviour = now.behaviour != next.behaviour;
    d.marks = now.marks != next.marks;
    const Pairs pairs = pair_up(now.services, next.services);
    d.services_removed = pairs.gone.size();
    for (const auto& [was, is] : pairs.others) {
        const Service& s = *next.services.handles()[is];
        if (was == kNone) {
            ++d.services_added;
            d.backends_added += s.destinations.size();
            continue;
        }
        const Service& old = *now.services.handles()[was];
        if (!alike(old, s)) ++d.services_edited;
        if (old.destinations == s.destinations) continue;
        const ByKey from = by_key(old), to = by_key(s);
        for (const auto& [endpoint, i] : from)
            if (!to.contains(endpoint)) ++d.backends_removed;
        for (const auto& [endpoint, i] : to) {
            const auto it = from.find(endpoint);
            if (it == from.end())
                ++d.backends_added;
            else if (old.destinations[it->second] != s.destinations[i])
                ++d.backends_edited;
        }
    }
    return d;
}

const Shared<ListState>& Lists::at(const ServiceKey& key) const {
    const auto it = std::ranges::lower_bound(all_, key, {}, &Entry::first);
    assert(it != all_.end() && it->first == key);
    return it->second;
}

Lists Lists::with(std::vector<Entry> changed, std::vector<ServiceKey> gone) const {
    std::ranges::stable_sort(changed, {}, &Entry::first);
    std::ranges::sort(gone);
    Lists out;
    out.all_.reserve(all_.size() + changed.size());
    auto next = changed.begin();
    const auto take_changed = [&](const ServiceKey* before) {
        for (; next != changed.end() && (before == nullptr || next->first < *before); ++next)
            if (out.all_.empty() || out.all_.back().first != next->first)  // twice: the first
                out.all_.push_back(std::move(*next));
    };
    for (const Entry& e : all_) {
        take_changed(&e.first);
        const bool other = next != changed.end() && next->first == e.first;
        if (!other && !std::ranges::binary_search(gone, e.first)) out.all_.push_back(e);
    }
    take_changed(nullptr);
    return out;
}

std::vector<uint32_t> slots_of(const Service& s, const ListState& list, const Slots& slots) {
    std::unordered_map<Endpoint, uint32_t, KeyHash> by_endpoint;
    for (const Target& t : list.targets())
        by_endpoint.emplace(slots.backends[t.backend].backend, t.backend);
    std::vector<uint32_t> all;
    all.reserve(s.destinations.size());
    for (const Destination& d : s.destinations) all.push_back(by_endpoint.at(d.key));
    return all;
}

std::unordered_map<ServiceKey, uint32_t, KeyHash> service_slots(const Slots& slots) {
    std::unordered_map<ServiceKey, uint32_t, KeyHash> all;
    all.reserve(slots.services.size());
    for (uint32_t i = 0; i < slots.services.size(); ++i)
        if (slots.services[i].present) all.emplace(slots.services[i].key, i);
    return all;
}

Result<Tables> plan(const Tables& now, Desired next, const SlotFacts& facts) {
    Pairs pairs = pair_up(now.desired.services, next.services);
    std::vector<ServiceChange> changes;
    std::vector<std::pair<uint32_t, uint32_t>> kept;
    for (const uint32_t was : pairs.gone) {
        const Service& s = now.desired.services[was];
        changes.push_back({&s, nullptr, false, slots_of(s, *now.lists.at(s.key), now.slots)});
    }
    for (const auto& [was, is] : pairs.others) {
        const Service& to = *next.services.handles()[is];
        if (was == kNone) {
            changes.push_back({nullptr, &to, false, {}});
            continue;
        }
        const ServiceHandle& from = now.desired.services.handles()[was];
        if (*from == to)  // made anew, but no other
            kept.emplace_back(was, is);
        else
            changes.push_back({&*from, &to, added_again(*from, to),
                               slots_of(*from, *now.lists.at(to.key), now.slots)});
    }
    auto slots = assign(now.slots, changes, facts);
    if (!slots) return tl::unexpected(slots.error());
    Tables t{{}, std::move(*slots), {}};
    std::vector<Lists::Entry> lists;
    std::vector<ServiceKey> gone;
    for (const ServiceChange& c : changes) {
        if (c.after == nullptr) {
            gone.push_back(c.before->key);
            continue;
        }
        const bool fresh = c.before == nullptr || c.anew;
        Service nothing;
        nothing.key = c.after->key;
        nothing.scheduler = c.after->scheduler;
        Shared<ListState> list = fresh ? Shared<ListState>() : now.lists.at(c.after->key);
        replay(list.edit(), fresh ? nothing : *c.before, *c.after, c);
        lists.emplace_back(c.after->key, std::move(list));
    }
    t.lists = now.lists.with(std::move(lists), std::move(gone));
    for (const auto& [was, is] : kept) next.services.set(is, now.desired.services.handles()[was]);
    t.desired = std::move(next);
    return t;
}

Compiled compile_service(const Tables& t, const Service& s, const ListState& list,
                         uint32_t service_slot, uint32_t number) {
    Compiled out;
    const ServiceSlot& slot = t.slots.services[service_slot];
    const std::vector<uint32_t> slots = slots_of(s, list, t.slots);
    Members members;
    members.reserve(slots.size());
    for (size_t i = 0; i < slots.size(); ++i) {
        const Destination& d = s.destinations[i];
        members.emplace(slots[i], &d);
        out.backends.emplace_back(slots[i],
                                  backend_record(d, t.slots.backends[slots[i]], slot, number));
        out.names.push_back(d.name);
    }
    out.service = service_description(s, slot, service_slot, list, members);
    return out;
}

shm::BackendRecord absent_record(const Slots& slots, uint32_t number) {
    const BackendSlot& slot = slots.backends[number];
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

shm::ServicesDescription compile(const Tables& t) {
    shm::ServicesDescription d;
    d.timeouts = t.desired.timeouts;
    d.behaviour = t.desired.behaviour;
    d.marks = t.desired.marks;
    const auto slots = service_slots(t.slots);
    for (uint32_t i = 0; i < t.slots.backends.size(); ++i)
        d.backends.push_back({absent_record(t.slots, i), {}});
    for (const Service& s : t.desired.services) {
        Compiled c =
            compile_service(t, s, *t.lists.at(s.key), slots.at(s.key), uint32_t(d.services.size()));
        for (size_t i = 0; i < c.backends.size(); ++i)
            d.backends[c.backends[i].first] = {c.backends[i].second, std::string(c.names[i])};
        d.services.push_back(std::move(c.service));
    }
    return d;
}

}  // namespace torii::control
