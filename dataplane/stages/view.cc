#include "dataplane/stages/view.h"

#include <fmt/format.h>

#include <algorithm>

#include "dataplane/scheduler/ranking.h"

namespace torii::stages {
namespace {

tl::unexpected<Error> refuse(std::string why) {
    return fail(Errc::layout, "services generation: " + std::move(why));
}

// Services::view() has checked all but these two sections, whose types it does not know. An object
// that was never stamped (a test's) does not know its size and is trusted.
bool fits(const shm::Services& s, const shm::ServiceRecord& r) {
    const bool whole = r.piece != 0 || s.header->header.size != 0;
    const uint64_t size = whole ? s.places[r.piece].size() : UINT64_MAX;
    return shm::inside<scheduler::Target>(r.targets, size) &&
           shm::inside<scheduler::Change>(r.changes, size);
}

Result<ServiceRuntime> runtime_of(const shm::Services& s, const shm::ServiceRecord& r, size_t i) {
    ServiceRuntime out;
    out.scheduler = scheduler::find_scheduler(r.scheduler);
    if (!out.scheduler)
        return refuse(fmt::format("service {} has an unknown scheduler '{}'", i, r.scheduler));
    if (!fits(s, r)) return refuse(fmt::format("service {} has a bad list", i));
    out.view.targets = s.section<scheduler::Target>(r, r.targets);
    out.view.changes = s.section<scheduler::Change>(r, r.changes);
    out.view.table = s.section<uint32_t>(r, r.table);
    out.view.change_seq = r.change_seq;
    out.view.max_weight = r.max_weight;
    out.view.gcd = r.gcd;
    out.view.flags = r.scheduler_flags;
    out.view.lblc_expiration = s.header->behaviour.lblc_expiration;
    out.view.lblcr_expiration = s.header->behaviour.lblcr_expiration;
    if (!scheduler::well_formed(*out.scheduler, out.view))
        return refuse(fmt::format("service {} has weights or a table that do not fit its list", i));
    out.consistent = s.section<uint32_t>(r, r.consistent);
    for (const scheduler::Target& t : out.view.targets)
        if (t.backend >= s.backends.size() || !s.backends[t.backend].present ||
            s.backends[t.backend].service != i)
            return refuse(fmt::format("service {} lists a backend that is not its own", i));
    const bool limited = std::ranges::any_of(
        out.view.targets, [&](const auto& t) { return s.backends[t.backend].upper != 0; });
    out.weighs = limited || out.scheduler->weighs || out.scheduler->rank != nullptr;
    return out;
}

// Rankings lie one after the other in a worker's memory.
void place_rankings(std::vector<ServiceRuntime>& all) {
    uint32_t at = 0;
    for (ServiceRuntime& r : all) {
        if (r.scheduler->rank == nullptr || r.view.targets.empty()) continue;
        r.rank_at = at;
        r.rank_shift = scheduler::rank_shift(r.view.max_weight);
        r.rank_shape = scheduler::Ranking::Shape(r.view.targets.size(), r.rank_shift);
        r.rank_size = r.rank_shape.words();
        at += r.rank_size;
    }
}

uint64_t next_serial() {
    static uint64_t last = 0;
    return ++last;
}

uint32_t hop_of(const shm::Routes& routes, const Address& a) {
    if (a.is_loopback() || routes.is_local(a)) return shm::kNoNextHop;  // see why_no_hop()
    const shm::RouteResult r = routes.lookup(a, 0);
    const bool usable = r.kind == shm::RouteKind::gateway || r.kind == shm::RouteKind::connected;
    return usable ? r.next_hop : shm::kNoNextHop;
}

/// Next hops of a generation of services over the same routes, where a slot has the same server.
class FormerHops {
public:
    FormerHops(const View* before, uint32_t routes_stamp)
        : before_(before && before->routes_stamp == routes_stamp ? before : nullptr) {}
    uint32_t of(size_t slot, const shm::BackendRecord& b, const shm::Routes& routes) const {
        if (before_ && slot < before_->services.backends.size()) {
            const shm::BackendRecord& was = before_->services.backends[slot];
            if (was.present && was.address == b.address)
                return before_->next_hop_of(uint32_t(slot));
        }
        return hop_of(routes, b.address);
    }

private:
    const View* before_;
};

void note_virtual(View& v, const Address& a) {
    const auto set = [&](uint32_t bit) { v.vip_filter[bit >> 6] |= uint64_t(1) << (bit & 63); };
    if (a.is_v4()) set(View::filter_bit4(a.as_v4().raw()));
    set(View::filter_bit6(a.bytes.data()));  // also of IPv4: no mapped address may pass for it
}

void note_nat_ports(View& v) {
    for (const shm::BackendRecord& b : v.services.backends)
        if (b.present && b.forward == shm::Forward::nat)
            v.nat_ports.emplace_back(b.address, b.port.host(), b.protocol);
    std::ranges::sort(v.nat_ports);
}

// Packets to marked destinations are found without the filter, but are taken for replies first.
// Of larger blocks every address would fill it.
void note_marked(View& v) {
    constexpr unsigned kFew = 8;  // bits
    for (const Marks::Block& block : v.marks.blocks()) {
        const unsigned bits =
            (block.destination.address.is_v4() ? 32 : 128) - block.destination.length;
        if (bits > kFew) continue;
        Address a = block.destination.address;
        const uint8_t first = a.bytes[15];
        for (unsigned n = 0; n < 1u << bits; ++n) {
            a.bytes[15] = uint8_t(first + n);
            note_virtual(v, a);
        }
    }
}

}  // namespace

Result<std::unique_ptr<View>> View::make(const shm::Services& services, const shm::Routes& routes,
                                         uint32_t routes_stamp, const View* before) {
    auto v = std::make_unique<View>();
    v->services = services;
    v->routes = routes;
    v->routes_stamp = routes_stamp ? routes_stamp : 1;
    v->runtime.reserve(services.services.size());
    for (size_t i = 0; i < services.services.size(); ++i) {
        auto runtime = runtime_of(services, services.services[i], i);
        if (!runtime) return tl::unexpected(runtime.error());
        v->runtime.push_back(*runtime);
        if (services.services[i].mark == 0) note_virtual(*v, services.services[i].address);
    }
    v->serial = next_serial();
    place_rankings(v->runtime);
    if (services.header->flags & shm::kHasMarks) v->marks = Marks(services.marks);
    note_marked(*v);
    v->backend_store.reserve(services.backends.size());
    const FormerHops hops(before, v->routes_stamp);
    for (size_t i = 0; i < services.backends.size(); ++i) {
        const shm::BackendRecord& b = services.backends[i];
        v->backend_store.push_back(b.present ? BackendHop{b.generation, hops.of(i, b, routes)}
                                             : BackendHop{});
        if (b.present && b.forward == shm::Forward::nat) v->nat_backends.push_back(b.address);
    }
    v->backends = v->backend_store;
    if (services.header->behaviour.nat_icmp_send) note_nat_ports(*v);
    for (const shm::BackendRecord& b : services.backends)
        if (b.drain_until != 0) v->deadlines.push_back(b.drain_until);
    std::ranges::sort(v->deadlines);
    // In the order of slots they often are in order already, and there may be tens of thousands.
    if (!std::ranges::is_sorted(v->nat_backends)) std::ranges::sort(v->nat_backends);
    v->nat_backends.erase(std::unique(v->nat_backends.begin(), v->nat_backends.end()),
                          v->nat_backends.end());
    return v;
}

}  // namespace torii::stages
