#include "control/slots.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "dataplane/flow/entry.h"

namespace torii::control {
namespace {

using BackendKey = std::pair<ServiceKey, Endpoint>;

Usage used(const std::function<Usage(uint32_t)>& of, uint32_t slot) {
    return of ? of(slot) : Usage{};
}

// One assignment in the making.
class Assignment {
public:
    Assignment(Slots from, const SlotFacts& facts) : slots_(std::move(from)), facts_(facts) {
        for (uint32_t i = 0; i < slots_.services.size(); ++i)
            if (slots_.services[i].present) known_services_.emplace(slots_.services[i].key, i);
    }

    Result<Slots> run(std::span<ServiceChange> changes) {
        for (const ServiceChange& c : changes)
            if (c.before != nullptr) leave(c);
        for (ServiceChange& c : changes)
            if (c.after != nullptr)
                if (auto ok = take(c); !ok) return tl::unexpected(ok.error());
        settle_absent();
        return std::move(slots_);
    }

private:
    using ByEndpoint = std::unordered_map<Endpoint, uint32_t, KeyHash>;

    // Whom the next generation lacks.
    void leave(const ServiceChange& c) {
        std::unordered_set<Endpoint, KeyHash> stay;
        if (c.after != nullptr && !c.anew)
            for (const Destination& d : c.after->destinations) stay.insert(d.key);
        for (size_t i = 0; i < c.before->destinations.size(); ++i) {
            const Endpoint& key = c.before->destinations[i].key;
            if (stay.contains(key)) continue;
            BackendSlot& b = slots_.backends.edit(c.slots_before[i]);
            b.present = false;
            b.removed_in = facts_.generation;
            drain(b, true);
            left_.push_back(c.slots_before[i]);
            // Its connections wait for it, if it should be there again already.
            if (c.anew) reserved_.emplace(BackendKey{c.before->key, key}, c.slots_before[i]);
        }
        if (c.after != nullptr && !c.anew) return;
        const auto known = known_services_.find(c.before->key);
        if (known == known_services_.end()) return;
        slots_.services.edit(known->second).present = false;
        // Nobody means its slot any more when it had no backends.
        if (c.anew && c.before->destinations.empty()) known_services_.erase(known);
    }

    Result<> take(ServiceChange& c) {
        const auto service = take_service(c.after->key);
        if (!service) return tl::unexpected(service.error());
        ByEndpoint had;
        if (c.before != nullptr && !c.anew)
            for (size_t i = 0; i < c.slots_before.size(); ++i)
                had.emplace(c.before->destinations[i].key, c.slots_before[i]);
        for (const Destination& d : c.after->destinations) {
            auto it = had.find(d.key);
            if (it == had.end()) {
                const auto slot = take_backend({c.after->key, d.key}, *service);
                if (!slot) return tl::unexpected(slot.error());
                it = had.emplace(d.key, *slot).first;
            }
            c.slots_after.push_back(it->second);
            BackendSlot& b = slots_.backends.edit(it->second);
            b.forward = d.forward;
            b.drain = c.after->drain;
            drain(b, d.weight == 0);
        }
        return {};
    }

    // A backend that leaves (by weight 0, then perhaps altogether) has its time from the first
    // step.
    void drain(BackendSlot& b, bool leaves) const {
        if (!leaves || b.drain == 0)
            b.drain_until = 0;
        else if (b.drain_until == 0)
            b.drain_until = std::max(facts_.now + b.drain * flow::kTicksPerSecond, 1u);
    }

    // Slots without an owner: free, or kept for connections that still mean the former one. Looked
    // at only where somebody comes.
    void look_at_absent() {
        if (std::exchange(looked_, true)) return;
        for (const uint32_t i : *slots_.absent) {
            const BackendSlot& b = slots_.backends[i];
            // Others may be created under the old generation until every worker has passed on.
            if (b.removed_in > facts_.in_force || used(facts_.backend, i).references != 0) {
                reserved_.emplace(BackendKey{b.service, b.backend}, i);
                known_services_.emplace(b.service, b.service_slot);
            } else {
                free_.push_back(i);
            }
        }
    }

    Result<uint32_t> take_service(const ServiceKey& key) {
        const auto owner = [&](auto it) -> const ServiceSlot& {
            return slots_.services[it->second];
        };
        auto it = known_services_.find(key);
        if (it != known_services_.end() && owner(it).present && owner(it).key == key)
            return it->second;
        look_at_absent();
        it = known_services_.find(key);
        // Sums over the workers are a moment's estimate: somebody else may have it by now.
        if (it != known_services_.end() && owner(it).present) it = known_services_.end();
        const auto slot = it != known_services_.end() ? it->second : free_service();
        if (!slot) return tl::unexpected(slot.error());
        // A service that was removed and came back keeps the slot that its connections name, but
        // counts from zero, as in LVS. The number of this generation is one it never had before.
        ServiceSlot& s = slots_.services.edit(*slot);
        s.generation = uint32_t(facts_.generation);
        s.present = true;
        s.key = key;
        s.base = used(facts_.service, *slot).counted;
        known_services_[key] = *slot;
        return *slot;
    }

    // Present slots of before stay out of reach even when their service is going: a connection made
    // under the generation in force may still count there.
    Result<uint32_t> free_service() {
        if (taken_services_.empty()) {
            taken_services_.resize(slots_.services.size());
            for (const auto& [key, slot] : known_services_) taken_services_[slot] = true;
        }
        for (; next_service_ < taken_services_.size(); ++next_service_)
            if (!taken_services_[next_service_]) return next_service_++;
        if (slots_.services.size() >= facts_.max_services)
            return fail(Errc::full,
                        fmt::format("there are only {} slots for services", facts_.max_services));
        slots_.services.push_back({});
        taken_services_.push_back(true);
        return next_service_ = uint32_t(slots_.services.size()) - 1;
    }

    Result<uint32_t> take_backend(const BackendKey& key, uint32_t service_slot) {
        look_at_absent();
        if (const auto it = reserved_.find(key); it != reserved_.end()) {
            BackendSlot& b = slots_.backends.edit(it->second);
            b.service_slot = service_slot;
            b.present = true;
            // With a service that came back it counts from zero too, without it went on.
            if (slots_.services[service_slot].generation >= b.removed_in)
                b.base = used(facts_.backend, it->second).counted;
            came_back_ = true;
            return it->second;
        }
        uint32_t slot;
        if (next_free_ < free_.size()) {
            slot = free_[next_free_++];
            came_back_ = true;
        } else if (slots_.backends.size() < facts_.max_backends) {
            slot = uint32_t(slots_.backends.size());
            slots_.backends.push_back({});
        } else {
            return fail(Errc::full,
                        fmt::format("all {} backend slots are taken (some may still have "
                                    "connections of removed servers): raise dataplane.backends",
                                    facts_.max_backends));
        }
        BackendSlot& b = slots_.backends.edit(slot);
        if (++b.generation == 0) b.generation = 1;
        b = {b.generation, true,         key.first, key.second,
             {},           service_slot, 0,         used(facts_.backend, slot).counted};
        return slot;
    }

    void settle_absent() {
        if (left_.empty() && !came_back_) return;
        std::ranges::sort(left_);
        std::vector<uint32_t> all;
        std::ranges::set_union(*slots_.absent, left_, std::back_inserter(all));
        std::erase_if(all, [&](uint32_t i) { return slots_.backends[i].present; });
        slots_.absent = std::move(all);
    }

    Slots slots_;
    const SlotFacts& facts_;
    std::unordered_map<ServiceKey, uint32_t, KeyHash> known_services_;
    std::unordered_map<BackendKey, uint32_t, KeyHash> reserved_;
    bool looked_ = false, came_back_ = false;
    std::vector<uint32_t> free_, left_;
    size_t next_free_ = 0;
    std::vector<bool> taken_services_;
    uint32_t next_service_ = 0;
};

bool above(const shm::CounterBase& base, const shm::CounterBase& counted) {
    return base.connections > counted.connections || base.in_packets > counted.in_packets ||
           base.in_bytes > counted.in_bytes || base.out_packets > counted.out_packets ||
           base.out_bytes > counted.out_bytes;
}

}  // namespace

Result<Slots> assign(Slots from, std::span<ServiceChange> changes, const SlotFacts& facts) {
    return Assignment(std::move(from), facts).run(changes);
}

bool rebase(Slots& slots, const SlotFacts& facts) {
    bool any = false;
    for (uint32_t i = 0; i < slots.backends.size(); ++i)
        if (above(slots.backends[i].base, used(facts.backend, i).counted))
            slots.backends.edit(i).base = {}, any = true;
    for (uint32_t i = 0; i < slots.services.size(); ++i)
        if (above(slots.services[i].base, used(facts.service, i).counted))
            slots.services.edit(i).base = {}, any = true;
    return any;
}

void remember(const BackendSlot& b, const ServiceSlot& s, shm::BackendRecord& r) {
    r.owner = {b.service.address,
               be16::from_host(b.service.port),
               {},
               b.service.mark,
               b.service_slot,
               s.generation,
               b.removed_in};
    r.protocol = b.service.protocol;
    r.forward = b.forward;
    r.drain_until = b.drain_until;
}

Slots recover_slots(const shm::Services& from) {
    Slots slots;
    const auto service_at = [&](uint32_t i) -> ServiceSlot& {
        slots.services.resize(size_t(i) + 1);
        return slots.services.edit(i);
    };
    // A foreign slot number must not make us allocate without bound.
    constexpr uint32_t kMost = 1u << 20;
    for (const shm::ServiceRecord& s : from.services)
        if (s.slot < kMost)
            service_at(s.slot) = {
                s.slot_generation, true, {s.address, s.port.host(), s.protocol, s.mark}, s.base};
    std::vector<uint32_t> absent;
    for (const shm::BackendRecord& r : from.backends) {
        BackendSlot b{r.generation, r.present != 0, {}, {r.address, r.port.host()}, r.forward, 0, 0,
                      r.base};
        const shm::BackendOwner& owner = r.owner;
        b.service = {owner.address, owner.port.host(), r.protocol, owner.mark};
        b.service_slot = owner.service_slot;
        b.removed_in = owner.removed_in;
        b.drain_until = r.drain_until;
        if (b.present && r.service < from.services.size()) b.drain = from.services[r.service].drain;
        if (b.generation != 0 && b.service_slot < kMost) {
            ServiceSlot& s = service_at(b.service_slot);
            if (s.generation == 0) s = {owner.service_generation, false, b.service, {}};
        } else if (b.generation != 0) {
            b.service_slot = 0;
        }
        if (!b.present) absent.push_back(uint32_t(slots.backends.size()));
        slots.backends.push_back(b);
    }
    slots.absent = std::move(absent);
    return slots;
}

}  // namespace torii::control
