#include "control/edits.h"

#include <algorithm>
#include <tuple>
#include <unordered_set>

namespace torii::control {
namespace {

// Destinations by their place: after those of the file, by age.
void lay_over(Service& s, const std::map<Endpoint, DestinationEdit>& edits) {
    if (edits.empty()) return;
    std::vector<Destination> all, added;
    for (Destination& d : s.destinations) {
        const auto it = edits.find(d.key);
        if (it == edits.end())
            all.push_back(std::move(d));
        else if (it->second.now)
            all.push_back(*it->second.now), all.back().name = d.name;
    }
    for (const auto& [key, edit] : edits)
        if (!edit.file && edit.now) added.push_back(*edit.now);
    std::ranges::stable_sort(added, {}, &Destination::added);
    all.insert(all.end(), std::make_move_iterator(added.begin()),
               std::make_move_iterator(added.end()));
    s.destinations = std::move(all);
}

template <class T>
bool same(const std::optional<T>& a, const T* b) {
    return a ? b != nullptr && set_alike(*a, *b) : b == nullptr;
}

const Destination* find(const Service* s, const Endpoint& key) {
    if (s == nullptr) return nullptr;
    const auto it = std::ranges::find(s->destinations, key, &Destination::key);
    return it == s->destinations.end() ? nullptr : &*it;
}

// What is left of one service's edit beside the file's service, which may not be there.
ServiceEdit kept(ServiceEdit e, const Service* file) {
    if (e.edited && !same(e.file, file)) e.edited = false, e.file = e.now = std::nullopt;
    std::erase_if(e.destinations, [&](const auto& item) {
        return !same(item.second.file, find(file, item.first));
    });
    // A service that is not there takes its destinations with it.
    if (e.edited ? !e.now : file == nullptr) e.destinations.clear();
    return e;
}

}  // namespace

bool Edits::empty() const {
    return services.empty() &&
           std::ranges::none_of(timeouts, [](const auto& t) { return t.has_value(); });
}

const ServiceEdit* Edits::find(const ServiceKey& key) const {
    const auto it = services.find(key);
    return it == services.end() ? nullptr : it->second.get();
}

ServiceEdit& Edits::at(const ServiceKey& key) {
    std::shared_ptr<ServiceEdit>& e = services[key];
    if (!e)
        e = std::make_shared<ServiceEdit>();
    else if (e.use_count() > 1)
        e = std::make_shared<ServiceEdit>(*e);
    return *e;
}

void Edits::tidy(const ServiceKey& key) {
    const auto it = services.find(key);
    if (it != services.end() && it->second->empty()) services.erase(it);
}

bool operator==(const Edits& a, const Edits& b) {
    return a.timeouts == b.timeouts &&
           std::ranges::equal(a.services, b.services, [](const auto& x, const auto& y) {
               return x.first == y.first && *x.second == *y.second;
           });
}

uint32_t& timeout_of(shm::Timeouts& t, size_t which) {
    return which == 0 ? t.tcp[1] : which == 1 ? t.tcp[4] : t.udp;
}

bool set_alike(const Service& a, const Service& b) {
    const auto settings = [](const Service& s) {
        return std::tie(s.scheduler, s.scheduler_flags, s.persistence_timeout, s.persistence_mask,
                        s.one_packet, s.pe);
    };
    return settings(a) == settings(b);
}

bool set_alike(const Destination& a, const Destination& b) {
    const auto settings = [](const Destination& d) {
        return std::tie(d.weight, d.upper, d.lower, d.forward, d.tunnel);
    };
    return settings(a) == settings(b);
}

namespace {

// A service of the file, or one that only edits know.
Service edited_service(const Service* file, const ServiceEdit& e) {
    Service s = file != nullptr ? *file : *e.now;
    if (file != nullptr && e.now) {
        s = *e.now;  // what ipvsadm cannot set is the file's
        s.name = file->name;
        s.drain = file->drain;
        s.destinations = file->destinations;
    }
    lay_over(s, e.destinations);
    return s;
}

}  // namespace

Desired apply_edits(const Desired& file, const Edits& edits, EditsMemory& memory) {
    Desired d{file.timeouts, file.behaviour, file.marks, {}};
    for (size_t i = 0; i < edits.timeouts.size(); ++i)
        if (edits.timeouts[i]) timeout_of(d.timeouts, i) = edits.timeouts[i]->now;
    std::unordered_set<const ServiceEdit*> done;
    for (const ServiceHandle& s : file.services.handles()) {
        const auto it = edits.services.find(s->key);
        if (it == edits.services.end()) {
            d.services.push_back(s);
            continue;
        }
        const auto& e = it->second;
        done.insert(e.get());
        if (e->edited && !e->now) continue;
        d.services.push_back(memory.of(s->key, s, e, [&] { return edited_service(&*s, *e); }));
    }
    std::vector<ServiceHandle> added;
    for (const auto& [key, e] : edits.services)
        if (e->now && !done.contains(e.get()))
            added.push_back(memory.of(key, memory.nothing(), e,
                                      [&, e = e] { return edited_service(nullptr, *e); }));
    std::ranges::stable_sort(added, {}, [](const ServiceHandle& s) { return s->added; });
    for (ServiceHandle& s : added) d.services.push_back(std::move(s));
    memory.sweep();
    return d;
}

Desired apply_edits(const Desired& file, const Edits& edits) {
    EditsMemory none;
    return apply_edits(file, edits, none);
}

Edits keep_beside(const Desired& file, Edits edits) {
    std::unordered_map<ServiceKey, const Service*, KeyHash> services;
    for (const Service& s : file.services) services.emplace(s.key, &s);
    Edits out;
    out.last = edits.last;
    shm::Timeouts timeouts = file.timeouts;
    for (size_t i = 0; i < edits.timeouts.size(); ++i)
        if (edits.timeouts[i] && edits.timeouts[i]->file == timeout_of(timeouts, i))
            out.timeouts[i] = edits.timeouts[i];
    for (const auto& [key, e] : edits.services) {
        const auto it = services.find(key);
        ServiceEdit left = kept(*e, it == services.end() ? nullptr : it->second);
        if (left.empty()) continue;
        out.services.emplace(key, left == *e ? e : std::make_shared<ServiceEdit>(std::move(left)));
    }
    return out;
}

}  // namespace torii::control
