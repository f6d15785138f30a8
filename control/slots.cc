#include "control/slots.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "dataplane/flow/entry.h"

namespace torii::control {
namespace {

using BackendKey = std::pair<ServiceKey, Endpoint>;

Usage at(std::span<const Usage> all, size_t slot) {
    return slot < all.size() ? all[slot] : Usage{};
}

// One assignment in the making.
class Assignment {
public:
    Assignment(const Slots& from, const SlotFacts& facts) : slots_(from), facts_(facts) {
        was_present_.reserve(slots_.backends.size());
        for (uint32_t i = 0; i < slots_.backends.size(); ++i) {
            BackendSlot& b = slots_.backends[i];
            if (b.present) was_present_.emplace(BackendKey{b.service, b.backend}, i);
            // Others may be created under the old generation until every worker has passed on.
            else if (b.removed_in > facts.in_force || at(facts.backends, i).references != 0)
                reserved_.emplace(BackendKey{b.service, b.backend}, i);
            else
                free_.push_back(i);
        }
        for (uint32_t i = 0; i < slots_.services.size(); ++i) {
            const ServiceSlot& s = slots_.services[i];
            if (s.present) known_services_.emplace(s.key, i);
        }
        for (const auto& [key, i] : reserved_)
            known_services_.emplace(key.first, slots_.backends[i].service_slot);
    }

    Result<Slots> run(const Desired& d) {
        std::vector<bool> services(slots_.services.size()), backends(slots_.backends.size());
        for (const Service& s : d.services) {
            auto service = take_service(s.key);
            if (!service) return tl::unexpected(service.error());
            mark(services, *service);
            for (const Destination& b : s.destinations) {
                auto slot = take_backend({s.key, b.key}, *service);
                if (!slot) return tl::unexpected(slot.error());
                mark(backends, *slot);
                slots_.backends[*slot].forward = b.forward;
                slots_.backends[*slot].drain = s.drain;
                drain(slots_.backends[*slot], b.weight == 0);
            }
        }
        for (size_t i = 0; i < slots_.services.size(); ++i)
            slots_.services[i].present = i < services.size() && services[i];
        for (size_t i = 0; i < slots_.backends.size(); ++i) {
            BackendSlot& b = slots_.backends[i];
            const bool wanted = i < backends.size() && backends[i];
            if (b.present && !wanted) {
                b.removed_in = facts_.generation;
                drain(b, true);
            }
            b.present = wanted;
        }
        return std::move(slots_);
    }

private:
    static void mark(std::vector<bool>& set, size_t i) {
        if (set.size() <= i) set.resize(i + 1);
        set[i] = true;
    }

    // A backend that leaves (by weight 0, then perhaps altogether) has its time from the first
    // step.
    void drain(BackendSlot& b, bool leaves) const {
        if (!leaves || b.drain == 0)
            b.drain_until = 0;
        else if (b.drain_until == 0)
            b.drain_until = std::max(facts_.now + b.drain * flow::kTicksPerSecond, 1u);
    }

    Result<uint32_t> take_service(const ServiceKey& key) {
        uint32_t slot;
        if (const auto it = known_services_.find(key); it != known_services_.end()) {
            slot = it->second;
            if (slots_.services[slot].present) return slot;
        } else {
            const auto free = free_service();
            if (!free) return tl::unexpected(free.error());
            slot = *free;
        }
        // A service that was removed and came back keeps the slot that its connections name, but
        // counts from zero, as in LVS. The number of this generation is one it never had before.
        ServiceSlot& s = slots_.services[slot];
        s.generation = uint32_t(facts_.generation);
        s.present = true;
        s.key = key;
        s.base = at(facts_.services, slot).counted;
        known_services_[key] = slot;
        return slot;
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
        slots_.services.emplace_back();
        taken_services_.push_back(true);
        return next_service_ = uint32_t(slots_.services.size()) - 1;
    }

    Result<uint32_t> take_backend(const BackendKey& key, uint32_t service_slot) {
        if (const auto it = was_present_.find(key); it != was_present_.end()) return it->second;
        if (const auto it = reserved_.find(key); it != reserved_.end()) {
            slots_.backends[it->second].service_slot = service_slot;
            slots_.backends[it->second].present = true;
            return it->second;
        }
        uint32_t slot;
        if (next_free_ < free_.size()) {
            slot = free_[next_free_++];
        } else if (slots_.backends.size() < facts_.max_backends) {
            slot = uint32_t(slots_.backends.size());
            slots_.backends.emplace_back();
        } else {
            return fail(Errc::full,
                        fmt::format("all {} backend slots are taken (some may still have "
                                    "connections of removed servers): raise dataplane.backends",
                                    facts_.max_backends));
        }
        BackendSlot& b = slots_.backends[slot];
        if (++b.generation == 0) b.generation = 1;
        b = {b.generation, true,         key.first, key.second,
             {},           service_slot, 0,         at(facts_.backends, slot).counted};
        return slot;
    }

    Slots slots_;
    const SlotFacts& facts_;
    std::unordered_map<BackendKey, uint32_t, KeyHash> was_present_, reserved_;
    std::unordered_map<ServiceKey, uint32_t, KeyHash> known_services_;
    std::vector<uint32_t> free_;
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

Result<Slots> assign(const Slots& from, const Desired& d, const SlotFacts& facts) {
    return Assignment(from, facts).run(d);
}

SlotIndex::SlotIndex(const Slots& slots) {
    services_.reserve(slots.services.size());
    backends_.reserve(slots.backends.size());
    for (uint32_t i = 0; i < slots.services.size(); ++i)
        if (slots.services[i].present) services_.emplace(slots.services[i].key, i);
    for (uint32_t i = 0; i < slots.backends.size(); ++i) {
        const BackendSlot& b = slots.backends[i];
        if (b.present) backends_.emplace(BackendKey{b.service, b.backend}, i);
    }
}

uint32_t SlotIndex::of(const ServiceKey& key) const {
    const auto it = services_.find(key);
    assert(it != services_.end());
    return it->second;
}

uint32_t SlotIndex::of(const ServiceKey& service, const Endpoint& backend) const {
    const auto it = backends_.find({service, backend});
    assert(it != backends_.end());
    return it->second;
}

bool rebase(Slots& slots, const SlotFacts& facts) {
    bool any = false;
    for (size_t i = 0; i < slots.backends.size(); ++i)
        if (above(slots.backends[i].base, at(facts.backends, i).counted))
            slots.backends[i].base = {}, any = true;
    for (size_t i = 0; i < slots.services.size(); ++i)
        if (above(slots.services[i].base, at(facts.services, i).counted))
            slots.services[i].base = {}, any = true;
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
        if (slots.services.size() <= i) slots.services.resize(i + 1);
        return slots.services[i];
    };
    // A foreign slot number must not make us allocate without bound.
    constexpr uint32_t kMost = 1u << 20;
    for (const shm::ServiceRecord& s : from.services)
        if (s.slot < kMost)
            service_at(s.slot) = {
                s.slot_generation, true, {s.address, s.port.host(), s.protocol, s.mark}, s.base};
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
        slots.backends.push_back(b);
    }
    return slots;
}

}  // namespace torii::control
