#include "control/kernel/tables.h"

#include <algorithm>

namespace torii::kernel {
namespace {

Kind address_kind(const Address& a) { return a.is_v4() ? Kind::addresses4 : Kind::addresses6; }
Kind neighbour_kind(const Address& a) { return a.is_v4() ? Kind::neighbours4 : Kind::neighbours6; }
Kind route_kind(Family f) { return f == Family::ipv4 ? Kind::routes4 : Kind::routes6; }

auto key_of(const LocalAddress& a) { return std::pair(a.prefix, a.ifindex); }
auto key_of(const Neighbour& n) { return std::pair(n.ifindex, n.address); }

template <class T>
bool take(std::vector<T>& into, std::vector<T> fresh) {
    if (into == fresh) return false;
    into = std::move(fresh);
    return true;
}

}  // namespace

void Tables::begin(Kind kind) {
    ++mark_.generation;
    mark_.running = kind;
    disturbed_ = false;
}

void Tables::dumped(const Change& change) {
    const uint64_t now = mark_.generation;
    // A kernel without a family may answer its dump with the other one's: not what was asked, so
    // not swept either.
    if (const auto* link = std::get_if<LinkChange>(&change); link && !link->removed) {
        links_changed_ |= links_.dump(link->link.ifindex, {link->link, link->flags}, now);
    } else if (const auto* address = std::get_if<AddressChange>(&change)) {
        const auto& value = address->address;
        if (!address->removed && mark_.running == address_kind(value.prefix.address))
            addresses_changed_ |= addresses_.dump(key_of(value), value, now);
    } else if (const auto* route = std::get_if<RouteChange>(&change)) {
        if (mark_.running == route_kind(route->route.family()))
            disturbed_ |= !routes_.dump(*route, now);
    } else if (const auto* neighbour = std::get_if<NeighbourChange>(&change)) {
        const auto& value = neighbour->neighbour;
        if (mark_.running == neighbour_kind(value.address))
            neighbours_changed_ |= neighbours_.dump(key_of(value), value, now);
    }
}

bool Tables::end() {
    const uint64_t now = mark_.generation;
    const Kind kind = *mark_.running;
    mark_.running.reset();
    switch (kind) {
        case Kind::links:
            links_changed_ |= links_.sweep(now, [](uint32_t) { return true; });
            break;
        case Kind::addresses4:
        case Kind::addresses6:
            addresses_changed_ |= addresses_.sweep(
                now, [&](auto& key) { return address_kind(key.first.address) == kind; });
            break;
        case Kind::routes4:
            routes_.sweep(now, Family::ipv4);
            break;
        case Kind::routes6:
            routes_.sweep(now, Family::ipv6);
            break;
        case Kind::neighbours4:
        case Kind::neighbours6:
            neighbours_changed_ |= neighbours_.sweep(
                now, [&](auto& key) { return neighbour_kind(key.second) == kind; });
            break;
    }
    if (kind == Kind::routes4 || kind == Kind::routes6) routes_changed_ = true;
    return !std::exchange(disturbed_, false);
}

void Tables::notified_link(const LinkChange& change) {
    const uint32_t ifindex = change.link.ifindex;
    const LinkEntry* before = links_.find(ifindex);
    // The kernel drops or revives the routes of a link that changes state, IPv4 without a word.
    const bool turned = change.removed || (before && before->flags != change.flags);
    if (turned && routes_.uses_link(ifindex)) wanted_ |= bit(Kind::routes4) | bit(Kind::routes6);
    links_changed_ |= change.removed
                          ? links_.tell_removed(ifindex, mark_, Kind::links)
                          : links_.tell(ifindex, {change.link, change.flags}, mark_.generation);
}

void Tables::notified_address(const AddressChange& change) {
    const auto& value = change.address;
    const Address& address = value.prefix.address;
    if (!change.removed) {
        addresses_changed_ |= addresses_.tell(key_of(value), value, mark_.generation);
        return;
    }
    addresses_changed_ |= addresses_.tell_removed(key_of(value), mark_, address_kind(address));
    // Routes that name it as their source go or change with it, without a word.
    if (routes_.uses_source(address)) wanted_ |= bit(route_kind(address.family()));
}

void Tables::notified_route(const RouteChange& change) {
    const Kind kind = route_kind(change.route.family());
    switch (routes_.tell(change, mark_)) {
        case RouteTable::Effect::none:
            return;
        case RouteTable::Effect::changed:
            break;
        case RouteTable::Effect::unclear:
            if (mark_.running == kind)
                disturbed_ = true;
            else
                wanted_ |= bit(kind);
            break;
    }
    routes_changed_ = true;
}

void Tables::notified(const Change& change) {
    if (const auto* link = std::get_if<LinkChange>(&change)) {
        notified_link(*link);
    } else if (const auto* address = std::get_if<AddressChange>(&change)) {
        notified_address(*address);
    } else if (const auto* route = std::get_if<RouteChange>(&change)) {
        notified_route(*route);
    } else if (const auto* neighbour = std::get_if<NeighbourChange>(&change)) {
        const auto& value = neighbour->neighbour;
        neighbours_changed_ |=
            neighbour->removed
                ? neighbours_.tell_removed(key_of(value), mark_, neighbour_kind(value.address))
                : neighbours_.tell(key_of(value), value, mark_.generation);
    } else if (std::holds_alternative<NexthopChange>(change)) {
        if (routes_.uses_nexthop_objects(Family::ipv4)) wanted_ |= bit(Kind::routes4);
        if (routes_.uses_nexthop_objects(Family::ipv6)) wanted_ |= bit(Kind::routes6);
    }
}

bool Tables::update(Snapshot& snapshot) {
    bool changed = false;
    if (std::exchange(links_changed_, false)) {
        std::vector<Link> links;
        links_.each([&](const LinkEntry& entry) { links.push_back(entry.link); });
        changed |= take(snapshot.links, std::move(links));
    }
    if (std::exchange(addresses_changed_, false)) {
        std::vector<LocalAddress> addresses;
        addresses_.each([&](const LocalAddress& value) { addresses.push_back(value); });
        changed |= take(snapshot.addresses, std::move(addresses));
    }
    if (std::exchange(neighbours_changed_, false)) {
        std::vector<Neighbour> neighbours;
        neighbours_.each([&](const Neighbour& value) { neighbours.push_back(value); });
        changed |= take(snapshot.neighbours, std::move(neighbours));
    }
    if (std::exchange(routes_changed_, false)) changed |= take(snapshot.routes, routes_.routes());
    return changed;
}

}  // namespace torii::kernel
