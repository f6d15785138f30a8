#include <algorithm>
#include <tuple>

#include "control/kernel/tables.h"

namespace torii::kernel {
namespace {

bool shares_hop(const Route& a, const Route& b) {
    return a.type == b.type && std::any_of(a.hops.begin(), a.hops.end(), [&](const Hop& hop) {
               return std::any_of(b.hops.begin(), b.hops.end(), [&](const Hop& other) {
                   return hop.ifindex == other.ifindex && hop.gateway == other.gateway;
               });
           });
}

bool has_no_hops(const Route& route) { return route.hops.empty(); }

}  // namespace

// IPv4 (fib_table_insert): an append goes behind the routes of equal metric, a replacement takes
// the place of the first, anything else goes before them. A message always holds one whole route.
RouteTable::Effect RouteTable::add4(Slot& slot, const RouteChange& change) {
    auto& routes = slot.routes;
    const auto same = std::find_if(routes.begin(), routes.end(),
                                   [&](auto& r) { return r.route == change.route; });
    const bool several = routes.size() > 1;
    if (same != routes.end()) {
        *same = change;
    } else if (change.replace && !routes.empty()) {
        routes.front() = change;
    } else {
        routes.insert(change.append ? routes.end() : routes.begin(), change);
    }
    // Which of several was replaced, or moved, is not in the message.
    if (several && change.replace) return Effect::unclear;
    return Effect::changed;
}

RouteTable::Effect RouteTable::remove4(Slot& slot, const RouteChange& change) {
    if (slot.routes.empty()) return Effect::none;
    const auto same = std::find_if(slot.routes.begin(), slot.routes.end(),
                                   [&](auto& r) { return r.route == change.route; });
    if (same == slot.routes.end()) return Effect::unclear;
    slot.routes.erase(same);
    return Effect::changed;
}

// IPv6: every hop is a route of its own to the kernel. A new route comes with all its siblings;
// what it shares a hop with is what it grew from.
RouteTable::Effect RouteTable::add6(Slot& slot, const RouteChange& change) {
    auto& routes = slot.routes;
    bool unclear = false;
    if (change.replace) {
        unclear = routes.size() > 1;
        if (routes.size() == 1) routes.clear();
    }
    std::erase_if(routes, [&](auto& r) {
        return shares_hop(r.route, change.route) ||
               (has_no_hops(r.route) && r.route == change.route);
    });
    routes.push_back(change);
    return unclear ? Effect::unclear : Effect::changed;
}

RouteTable::Effect RouteTable::remove6(Slot& slot, const RouteChange& change) {
    if (slot.routes.empty()) return Effect::none;
    const auto gone = [&](const Hop& hop) {
        return std::any_of(change.route.hops.begin(), change.route.hops.end(), [&](auto& h) {
            return h.ifindex == hop.ifindex && h.gateway == hop.gateway;
        });
    };
    bool found = false;
    for (auto& stored : slot.routes) {
        if (stored.route.type != change.route.type) continue;
        if (has_no_hops(stored.route)) {
            found = true;
            continue;
        }
        found |= std::erase_if(stored.route.hops, gone) > 0;
        std::erase_if(stored.dead, gone);
        if (stored.route.hops.empty()) stored.removed = true;
    }
    std::erase_if(slot.routes, [&](auto& stored) {
        const bool hopless_twin = has_no_hops(change.route) && has_no_hops(stored.route) &&
                                  stored.route.type == change.route.type;
        return stored.removed || hopless_twin;
    });
    return found ? Effect::changed : Effect::unclear;
}

RouteTable::Effect RouteTable::tell(const RouteChange& change, const DumpMark& mark) {
    const bool v4 = change.route.family() == Family::ipv4;
    const bool dumping = mark.running == (v4 ? Kind::routes4 : Kind::routes6);
    const auto it = slots_.try_emplace({change.route.destination, change.route.metric}).first;
    Slot& slot = it->second;
    auto effect = change.removed ? (v4 ? remove4(slot, change) : remove6(slot, change))
                                 : (v4 ? add4(slot, change) : add6(slot, change));
    slot.seen = slot.told = mark.generation;
    if (slot.routes.empty() && !dumping) slots_.erase(it);
    // While a dump runs, siblings may exist that it has not come to; now it never will.
    if (dumping && (slot.routes.size() > 1 || change.append)) effect = Effect::unclear;
    return effect;
}

bool RouteTable::dump(const RouteChange& change, uint64_t generation) {
    Slot& slot = slots_[{change.route.destination, change.route.metric}];
    if (slot.told == generation) {
        // An IPv4 notification is nearly always about the only route of its key. IPv6 has
        // independent routes of one key as a matter of course (fe80::/64 on every link): the ones
        // not told of are still to be learnt here.
        if (change.route.family() == Family::ipv4) return true;
        if (slot.routes.empty()) return false;
        const bool known = std::any_of(slot.routes.begin(), slot.routes.end(), [&](auto& r) {
            return shares_hop(r.route, change.route) || r.route == change.route;
        });
        if (!known) slot.routes.push_back(change);
        return true;
    }
    if (slot.seen != generation) slot.routes.clear();
    slot.seen = generation;
    slot.routes.push_back(change);
    return true;
}

void RouteTable::sweep(uint64_t generation, Family family) {
    std::erase_if(slots_, [&](const auto& item) {
        const auto& [key, slot] = item;
        return key.first.address.family() == family &&
               (slot.seen != generation || slot.routes.empty());
    });
}

bool RouteTable::uses_link(uint32_t ifindex) const {
    for (const auto& [key, slot] : slots_)
        for (const auto& stored : slot.routes)
            for (const auto& hop : stored.route.hops)
                if (hop.ifindex == ifindex) return true;
    return false;
}

bool RouteTable::uses_source(const Address& address) const {
    for (const auto& [key, slot] : slots_)
        for (const auto& stored : slot.routes)
            if (stored.route.preferred_source == address) return true;
    return false;
}

bool RouteTable::uses_nexthop_objects(Family family) const {
    for (const auto& [key, slot] : slots_) {
        if (key.first.address.family() != family) continue;
        for (const auto& stored : slot.routes)
            if (stored.nexthop_object) return true;
    }
    return false;
}

std::vector<Route> RouteTable::routes() const {
    std::vector<Route> all;
    all.reserve(slots_.size());
    for (const auto& [key, slot] : slots_) {
        const auto first = all.size();
        for (const auto& stored : slot.routes) {
            Route route = stored.route;
            if (!stored.dead.empty())
                std::erase_if(route.hops, [&](const Hop& hop) {
                    return std::find(stored.dead.begin(), stored.dead.end(), hop) !=
                           stored.dead.end();
                });
            // Also a route whose nexthop object the kernel was told not to spell out.
            if (route.type == RouteType::unicast && route.hops.empty()) continue;
            all.push_back(std::move(route));
        }
        // The order of IPv6 routes of equal metric is not told; a fixed one makes snapshots
        // comparable.
        if (key.first.address.family() == Family::ipv6)
            std::sort(
                all.begin() + std::ptrdiff_t(first), all.end(), [](const Route& a, const Route& b) {
                    if (a.type != b.type) return a.type < b.type;
                    return std::lexicographical_compare(
                        a.hops.begin(), a.hops.end(), b.hops.begin(), b.hops.end(),
                        [](const Hop& x, const Hop& y) {
                            return std::tie(x.ifindex, x.gateway) < std::tie(y.ifindex, y.gateway);
                        });
                });
    }
    return all;
}

}  // namespace torii::kernel
