#include "control/kernel/routes.h"

#include <algorithm>
#include <functional>

namespace torii::kernel {
namespace {

size_t slot(const Address& address) { return address.is_v4() ? 0 : 1; }

/// The hop that `spread` falls on, by weight; among those on links that are up if there are any.
const Hop& choose(const Snapshot& snapshot, const Route& route, uint32_t spread) {
    const auto alive = [&](const Hop& hop) {
        const Link* link = find_link(snapshot, hop.ifindex);
        return link && link->up;
    };
    const bool any_alive = std::any_of(route.hops.begin(), route.hops.end(), alive);
    uint32_t total = 0;
    for (const auto& hop : route.hops)
        if (!any_alive || alive(hop)) total += hop.weight;
    uint32_t rest = total ? spread % total : 0;
    for (const auto& hop : route.hops) {
        if (any_alive && !alive(hop)) continue;
        if (rest < hop.weight) return hop;
        rest -= hop.weight;
    }
    return route.hops.front();
}

}  // namespace

std::vector<const Route*> best_routes(const Snapshot& snapshot) {
    std::vector<const Route*> best;
    best.reserve(snapshot.routes.size());
    for (const auto& route :
         snapshot.routes)  // by (destination, metric): the first one is the best
        if (best.empty() || best.back()->destination != route.destination) best.push_back(&route);
    return best;
}

RouteIndex::RouteIndex(const Snapshot& snapshot) : snapshot_(snapshot) {
    for (const Route* route : best_routes(snapshot)) {
        auto& lengths = lengths_[slot(route->destination.address)];
        const uint8_t bits = route->destination.length;
        auto at = std::lower_bound(lengths.begin(), lengths.end(), bits,
                                   [](const Length& l, uint8_t b) { return l.bits > b; });
        if (at == lengths.end() || at->bits != bits) at = lengths.insert(at, Length{bits, {}});
        at->routes.emplace(route->destination.address, route);
    }
    for (const auto& own : snapshot.addresses) {
        local_.emplace(own.prefix.address, own.ifindex);
        addresses_[own.ifindex].push_back(&own);
    }
}

const Route* RouteIndex::route(const Address& address) const {
    for (const auto& length : lengths_[slot(address)]) {
        const auto it = length.routes.find(Prefix{address, length.bits}.masked().address);
        if (it != length.routes.end()) return it->second;
    }
    return nullptr;
}

// The kernel's rules in short (inet_select_addr, RFC 6724): what the route says; else an address of
// the outgoing link, rather in the next hop's subnet, of the destination's scope.
std::optional<Address> RouteIndex::source_for(const Route& route, const Hop& hop,
                                              const Address& destination) const {
    if (route.preferred_source) return route.preferred_source;
    const Address& next = hop.gateway ? *hop.gateway : destination;
    std::optional<Address> fallback;
    const auto usable = [&](const LocalAddress& own) {
        const Address& a = own.prefix.address;
        return a.is_v4() == destination.is_v4() && !a.is_loopback() &&
               (a.is_v4() || a.is_link_local() == destination.is_link_local());
    };
    if (auto it = addresses_.find(hop.ifindex); it != addresses_.end()) {
        for (const LocalAddress* own : it->second) {
            if (!usable(*own)) continue;
            if (own->prefix.contains(next)) return own->prefix.address;
            if (!fallback) fallback = own->prefix.address;
        }
    }
    if (fallback) return fallback;
    for (const auto& own : snapshot_.addresses)  // an unnumbered link borrows
        if (usable(own) && !own.prefix.address.is_link_local()) return own.prefix.address;
    return std::nullopt;
}

Resolved RouteIndex::lookup(const Address& address, uint32_t spread) const {
    using Kind = Resolved::Kind;
    Resolved result;
    if (auto own = local_.find(address); own != local_.end()) {
        result.kind = Kind::local;
        result.ifindex = own->second;
        return result;
    }
    if (address.is_loopback()) {
        result.kind = Kind::local;
        return result;
    }
    const Route* found = route(address);
    if (!found) return result;
    switch (found->type) {
        case RouteType::unicast:
            break;
        case RouteType::local:
            result.kind = Kind::local;
            if (!found->hops.empty()) result.ifindex = found->hops.front().ifindex;
            return result;
        case RouteType::blackhole:
        case RouteType::unreachable:
        case RouteType::prohibit:
            result.kind = Kind::blackhole;
            return result;
    }
    if (found->hops.empty()) return result;
    const Hop& hop = choose(snapshot_, *found, spread);
    result.kind = Kind::unicast;
    result.ifindex = hop.ifindex;
    result.next_hop = hop.gateway ? *hop.gateway : address;
    result.source = source_for(*found, hop, address);
    const Link* link = find_link(snapshot_, hop.ifindex);
    result.mtu = link ? link->mtu : 0;
    if (found->mtu && (!result.mtu || found->mtu < result.mtu)) result.mtu = found->mtu;
    return result;
}

Resolved lookup(const Snapshot& snapshot, const Address& address) {
    return RouteIndex(snapshot).lookup(address);
}

std::optional<std::string> why_unreachable(const RouteIndex& index, const Address& address) {
    const std::string name = to_string(address);
    const Resolved found = index.lookup(address);
    switch (found.kind) {
        case Resolved::Kind::none:
            return "there is no route to " + name +
                   ": add a route (ip route add) or correct the address";
        case Resolved::Kind::blackhole: {
            const Route& route = *index.route(address);
            return name + " is cut off by the " + std::string(to_string(route.type)) + " route " +
                   to_string(route.destination) + ": remove that route or add a more specific one";
        }
        case Resolved::Kind::local:
            return std::nullopt;
        case Resolved::Kind::unicast:
            break;
    }
    const Link* link = find_link(index.snapshot(), found.ifindex);
    if (link && link->up) return std::nullopt;
    return "the route to " + name + " leaves by " +
           (link ? link->name + ", which is down" : "a link that does not exist") +
           ": set the link up (ip link set up) and check its cable";
}

}  // namespace torii::kernel
