#include "control/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "dataplane/flow/reader.h"

namespace torii::control {
namespace {

Result<Tables> read_in_force(const shm::Location& location, uint64_t number, Compiler& compiler) {
    const auto file = shm::ServicesFile::open(location, number);
    if (!file) return tl::unexpected(file.error());
    const auto services = file->view();
    if (!services) return tl::unexpected(services.error());
    auto tables = recover(*services);
    if (tables) compiler.resume(*file, *services);
    return tables;
}

// A generation does not say when things were added; those that are still there are no new ones.
void take_ages(Desired& recovered, const Desired& next) {
    std::map<ServiceKey, const Service*> services;
    for (const Service& s : next.services) services.emplace(s.key, &s);
    for (size_t i = 0; i < recovered.services.size(); ++i) {
        Service& s = recovered.services.edit(i);
        const auto it = services.find(s.key);
        if (it == services.end()) continue;
        s.added = it->second->added;
        std::map<Endpoint, const Destination*> destinations;
        for (const Destination& d : it->second->destinations) destinations.emplace(d.key, &d);
        for (Destination& d : s.destinations)
            if (const auto same = destinations.find(d.key); same != destinations.end()) {
                d.added = same->second->added;
                d.edited = same->second->edited;
            }
    }
}

}  // namespace

Engine::Engine(shm::Location location, shm::ControlBlock& control, Publisher& publisher,
               const DataplaneLink& link, std::string& problem)
    : control_(control), publisher_(publisher), link_(link) {
    const uint64_t number = publisher.next_services() - 1;
    if (number == 0) return;
    auto tables = read_in_force(location, number, compiler_);
    recovered_ = tables.has_value();
    if (tables)
        tables_ = std::make_shared<Tables>(std::move(*tables));
    else
        problem = fmt::format("services generation {} cannot be taken over: {}", number,
                              tables.error().message);
}

Tally Engine::tally() const {
    return control::tally(link_.counters(), tables_->slots.services.size(),
                          tables_->slots.backends.size());
}

// Without any dataplane ever there are no connections that could refer to a slot.
uint64_t Engine::in_force() const {
    if (control_.ports_epoch.load(std::memory_order_acquire) == 0)
        return publisher_.next_services() - 1;
    return control_.services_in_force.load(std::memory_order_acquire);
}

Result<Engine::Applied> Engine::apply(Desired next, uint32_t max_backends, const Zero& anew) {
    if (std::exchange(recovered_, false)) {
        Tables aged = *tables_;
        take_ages(aged.desired, next);
        tables_ = std::make_shared<Tables>(std::move(aged));
    }
    SlotFacts facts = this->facts();
    facts.generation = publisher_.next_services();
    facts.now = flow::tick_now();
    facts.in_force = in_force();
    facts.max_backends = facts.max_services = max_backends;
    if (const shm::Counters* c = link_.counters(); c != nullptr && link_.up()) {
        facts.max_backends = c->header().backend_slots;
        facts.max_services = c->header().service_slots;
    }
    Applied done;
    done.difference = difference(tables_->desired, next);
    auto planned = plan(*tables_, std::move(next), facts);
    if (!planned) return tl::unexpected(planned.error());
    zero(planned->slots, anew);
    const auto published = publish(*planned);
    if (!published) return tl::unexpected(published.error());
    tables_ = std::make_shared<Tables>(std::move(*planned));
    done.published = *published;
    done.generation = publisher_.next_services() - 1;
    return done;
}

SlotFacts Engine::facts() const {
    SlotFacts facts;
    const shm::Counters* c = link_.counters();
    facts.backend = [c](uint32_t slot) { return backend_usage(c, slot); };
    facts.service = [c](uint32_t slot) { return service_usage(c, slot); };
    return facts;
}

Result<> Engine::counters_changed() {
    Tables next = *tables_;
    if (link_.counters() == nullptr || !rebase(next.slots, facts())) return {};
    if (auto ok = publish(next); !ok) return tl::unexpected(ok.error());
    tables_ = std::make_shared<Tables>(std::move(next));
    return {};
}

void Engine::estimate() {
    const Tally sums = tally();
    estimator_.tick(sums.services, sums.backends, tables_->slots);
}

// Counting goes on; what was counted so far is no longer shown.
void Engine::zero(Slots& slots, const Zero& anew) {
    if (!anew.any()) return;
    const Tally sums = tally();
    const std::set<ServiceKey> keys(anew.services.begin(), anew.services.end());
    const auto wanted = [&](const ServiceKey& key) { return anew.all || keys.contains(key); };
    for (uint32_t i = 0; i < std::min(slots.services.size(), sums.services.size()); ++i) {
        if (!wanted(slots.services[i].key)) continue;
        slots.services.edit(i).base = sums.services[i].counted;
        estimator_.zero_service(i, sums.services[i].counted);
    }
    for (uint32_t i = 0; i < std::min(slots.backends.size(), sums.backends.size()); ++i) {
        if (!wanted(slots.backends[i].service)) continue;
        slots.backends.edit(i).base = sums.backends[i].counted;
        estimator_.zero_backend(i, sums.backends[i].counted);
    }
}

Result<bool> Engine::publish(const Tables& t) {
    auto object = compiler_.next(t, publisher_.next_services());
    const auto published = object ? publisher_.services(std::move(object->root), object->piece)
                                  : tl::unexpected(object.error());
    if (!published) compiler_.forget();
    if (published && *published && !link_.up()) publisher_.remove_superseded();
    return published;
}

}  // namespace torii::control
