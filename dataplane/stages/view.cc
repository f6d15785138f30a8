#include "dataplane/stages/view.h"

#include <fmt/format.h>

#include <algorithm>

namespace torii::stages {
namespace {

tl::unexpected<Error> refuse(std::string why) {
    return fail(Errc::layout, "services generation: " + std::move(why));
}

// Services::view() has checked all but these two sections, whose types it does not know. An object
// that was never stamped (a test's) does not know its size and is trusted.
bool fits(const shm::Services& s, const shm::ServiceRecord& r) {
    const uint64_t size = s.header->header.size ? s.header->header.size : UINT64_MAX;
    return shm::inside<scheduler::Target>(r.targets, size) &&
           shm::inside<scheduler::Change>(r.changes, size);
}

Result<ServiceRuntime> runtime_of(const shm::Services& s, const shm::ServiceRecord& r, size_t i) {
    ServiceRuntime out;
    out.scheduler = scheduler::find_scheduler(r.scheduler);
    if (!out.scheduler)
        return refuse(fmt::format("service {} has an unknown scheduler '{}'", i, r.scheduler));
    if (!fits(s, r)) return refuse(fmt::format("service {} has a bad list", i));
    out.view.targets = s.section<scheduler::Target>(r.targets);
    out.view.changes = s.section<scheduler::Change>(r.changes);
    out.view.table = s.section<uint32_t>(r.table);
    out.view.change_seq = r.change_seq;
    out.view.max_weight = r.max_weight;
    out.view.gcd = r.gcd;
    out.view.flags = r.scheduler_flags;
    if (!scheduler::well_formed(*out.scheduler, out.view))
        return refuse(fmt::format("service {} has weights or a table that do not fit its list", i));
    out.consistent = s.section<uint32_t>(r.consistent);
    for (const scheduler::Target& t : out.view.targets)
        if (t.backend >= s.backends.size() || !s.backends[t.backend].present ||
            s.backends[t.backend].service != i)
            return refuse(fmt::format("service {} lists a backend that is not its own", i));
    return out;
}

uint32_t hop_of(const shm::Routes& routes, const Address& a) {
    const shm::RouteResult r = routes.lookup(a, 0);
    const bool usable = r.kind == shm::RouteKind::gateway || r.kind == shm::RouteKind::connected;
    return usable ? r.next_hop : shm::kNoNextHop;
}

}  // namespace

Result<std::unique_ptr<View>> View::make(const shm::Services& services, const shm::Routes& routes,
                                         uint32_t routes_stamp) {
    auto v = std::make_unique<View>();
    v->services = services;
    v->routes = routes;
    v->routes_stamp = routes_stamp ? routes_stamp : 1;
    v->runtime.reserve(services.services.size());
    for (size_t i = 0; i < services.services.size(); ++i) {
        auto runtime = runtime_of(services, services.services[i], i);
        if (!runtime) return tl::unexpected(runtime.error());
        v->runtime.push_back(*runtime);
        const Address& vip = services.services[i].address;
        const auto set = [&](uint32_t bit) {
            v->vip_filter[bit >> 6] |= uint64_t(1) << (bit & 63);
        };
        if (vip.is_v4()) set(filter_bit4(vip.as_v4().raw()));
        set(filter_bit6(vip.bytes.data()));  // also of IPv4: no mapped address may pass for it
    }
    v->backend_next_hop.reserve(services.backends.size());
    for (const shm::BackendRecord& b : services.backends) {
        v->backend_next_hop.push_back(b.present ? hop_of(routes, b.address) : shm::kNoNextHop);
        if (b.present && b.forward == shm::Forward::nat) v->nat_backends.push_back(b.address);
    }
    std::sort(v->nat_backends.begin(), v->nat_backends.end());
    v->nat_backends.erase(std::unique(v->nat_backends.begin(), v->nat_backends.end()),
                          v->nat_backends.end());
    return v;
}

}  // namespace torii::stages
