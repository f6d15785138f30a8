#include "control/engine.h"

#include <fmt/format.h>

namespace torii::control {
namespace {

Result<Tables> read_in_force(const std::string& path) {
    const auto m = shm::Mapping::open(path, shm::Mapping::Access::read_only);
    if (!m) return tl::unexpected(m.error());
    if (auto ok = shm::verify(*m, shm::Kind::services, shm::kServicesLayout, path, true); !ok)
        return tl::unexpected(ok.error());
    const auto services = shm::Services::view({m->data(), m->size()});
    if (!services) return tl::unexpected(services.error());
    return recover(*services);
}

}  // namespace

Engine::Engine(shm::Location location, shm::ControlBlock& control, Publisher& publisher,
               const DataplaneLink& link, std::string& problem)
    : control_(control), publisher_(publisher), link_(link) {
    const uint64_t number = publisher.next_services() - 1;
    if (number == 0) return;
    auto tables = read_in_force(location.generation("services", number));
    if (tables)
        tables_ = std::move(*tables);
    else
        problem = fmt::format("services generation {} cannot be taken over: {}", number,
                              tables.error().message);
}

Tally Engine::tally() const {
    return control::tally(link_.counters(), tables_.slots.services.size(),
                          tables_.slots.backends.size());
}

// Without any dataplane ever there are no connections that could refer to a slot.
uint64_t Engine::in_force() const {
    if (control_.ports_epoch.load(std::memory_order_acquire) == 0)
        return publisher_.next_services() - 1;
    return control_.services_in_force.load(std::memory_order_acquire);
}

Result<Engine::Applied> Engine::apply(Desired next, uint32_t max_backends) {
    const Tally sums = tally();
    SlotFacts facts;
    facts.generation = publisher_.next_services();
    facts.in_force = in_force();
    facts.backends = sums.backends;
    facts.services = sums.services;
    facts.max_backends = facts.max_services = max_backends;
    if (const shm::Counters* c = link_.counters(); c != nullptr && link_.up()) {
        facts.max_backends = c->header().backend_slots;
        facts.max_services = c->header().service_slots;
    }
    Applied done;
    done.difference = difference(tables_.desired, next);
    auto planned = plan(tables_, std::move(next), facts);
    if (!planned) return tl::unexpected(planned.error());
    const auto published = publish(*planned);
    if (!published) return tl::unexpected(published.error());
    tables_ = std::move(*planned);
    done.published = *published;
    done.generation = publisher_.next_services() - 1;
    return done;
}

Result<> Engine::counters_changed() {
    const Tally sums = tally();
    SlotFacts facts;
    facts.backends = sums.backends;
    facts.services = sums.services;
    Tables next = tables_;
    if (link_.counters() == nullptr || !rebase(next.slots, facts)) return {};
    if (auto ok = publish(next); !ok) return tl::unexpected(ok.error());
    tables_ = std::move(next);
    return {};
}

Result<bool> Engine::publish(const Tables& t) {
    auto object = shm::build(compile(t));
    if (!object) return tl::unexpected(object.error());
    const auto published = publisher_.services(*object);
    if (published && *published && !link_.up()) publisher_.remove_superseded();
    return published;
}

}  // namespace torii::control
