#include "control/compile_routes.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "control/kernel/routes.h"

namespace torii::control {
namespace {

using kernel::Hop;
using kernel::RouteIndex;
using kernel::Link;
using kernel::RouteType;
using kernel::Snapshot;
using shm::NextHop;
using shm::RouteKind;
using Ports = std::span<const shm::PortInfo>;

// A multipath route is a row of equal next hops; weights become repetitions, up to this many.
constexpr size_t kMostHops = 256;

NextHop hop_on(const Snapshot& s, Ports ports, uint32_t ifindex, uint32_t route_mtu) {
    const Attachment way = attachment(s, ports, ifindex);
    const Link* link = kernel::find_link(s, ifindex);
    NextHop h{};
    h.ifindex = ifindex;
    h.port = way.port;
    h.vlan = way.vlan;
    h.source = way.mac;
    h.mtu = link ? link->mtu : 0;
    if (route_mtu != 0 && (h.mtu == 0 || route_mtu < h.mtu)) h.mtu = route_mtu;
    return h;
}

void resolve(const Snapshot& s, NextHop& h, const Address& neighbour) {
    h.address = neighbour;
    const kernel::Neighbour* n = kernel::find_neighbour(s, h.ifindex, neighbour);
    if (n == nullptr || !n->usable) return;
    h.destination = n->mac;
    h.resolved = 1;
}

// Hops that can carry packets now; all of them when none can.
std::vector<Hop> usable_hops(const Snapshot& s, const kernel::Route& r) {
    std::vector<Hop> up;
    for (const Hop& h : r.hops) {
        const Link* link = kernel::find_link(s, h.ifindex);
        if (link && link->up) up.push_back(h);
    }
    return up.empty() ? r.hops : up;
}

shm::RouteDescription gateways(const RouteIndex& index, Ports ports, const kernel::Route& r,
                               std::vector<Hop> hops) {
    const Snapshot& s = index.snapshot();
    shm::RouteDescription out{r.destination, RouteKind::gateway, {}};
    std::erase_if(hops, [](const Hop& h) { return !h.gateway; });
    uint32_t divisor = 0, total = 0;
    for (const Hop& h : hops) {
        divisor = std::gcd(divisor, uint32_t(h.weight));
        total += h.weight;
    }
    for (const Hop& h : hops) {
        uint32_t times = divisor ? h.weight / divisor : 1;
        if (divisor && total / divisor > kMostHops)
            times = std::max<uint32_t>(1, uint32_t(uint64_t(h.weight) * kMostHops / total));
        NextHop hop = hop_on(s, ports, h.ifindex, r.mtu);
        resolve(s, hop, *h.gateway);
        hop.local = index.source_for(r, h, r.destination.address).value_or(Address{});
        out.hops.insert(out.hops.end(), times, hop);
    }
    return out;
}

shm::RouteDescription route(const RouteIndex& index, Ports ports, const kernel::Route& r) {
    const Snapshot& s = index.snapshot();
    switch (r.type) {
        case RouteType::local:
            return {r.destination, RouteKind::local, {}};
        case RouteType::unicast:
            break;
        default:
            return {r.destination, RouteKind::unreachable, {}};
    }
    std::vector<Hop> hops = usable_hops(s, r);
    if (hops.empty()) return {r.destination, RouteKind::unreachable, {}};
    // A row is either gateways or one link: of a mixed route the gateways are used.
    if (std::ranges::any_of(hops, [](const Hop& h) { return h.gateway.has_value(); }))
        return gateways(index, ports, r, std::move(hops));
    NextHop hop = hop_on(s, ports, hops.front().ifindex, r.mtu);
    hop.local = index.source_for(r, hops.front(), r.destination.address).value_or(Address{});
    return {r.destination, RouteKind::connected, {hop}};
}

// Two a port: what ICMP errors that leave there are sent from. The interface's own addresses come
// before those of its VLAN devices, global ones before link-local ones.
std::vector<Address> port_addresses(const Snapshot& s, Ports ports) {
    std::vector<Address> out(ports.size() * 2);
    std::vector<int> rank(out.size(), -1);
    for (const kernel::LocalAddress& a : s.addresses) {
        const Attachment way = attachment(s, ports, a.ifindex);
        if (way.port == shm::kNoPort) continue;
        const Address& address = a.prefix.address;
        const size_t at = way.port * 2u + (address.is_v4() ? 0 : 1);
        const int score = (address.is_link_local() ? 0 : 2) + (way.vlan == 0 ? 1 : 0);
        if (score <= rank[at]) continue;
        rank[at] = score;
        out[at] = address;
    }
    return out;
}

}  // namespace

Attachment attachment(const Snapshot& s, Ports ports, uint32_t ifindex) {
    const Link* link = kernel::find_link(s, ifindex);
    const auto port_of = [&](uint32_t device) {
        for (size_t i = 0; i < ports.size(); ++i)
            if (device != 0 && ports[i].ifindex == device) return uint16_t(i);
        return shm::kNoPort;
    };
    uint16_t vlan = 0;
    uint16_t port = port_of(ifindex);
    if (port == shm::kNoPort && link && link->vlan && link->vlan->tpid == 0x8100) {
        port = port_of(link->vlan->parent);
        vlan = link->vlan->id;
    }
    if (port == shm::kNoPort) return {};
    return {port, vlan, link && !link->mac.is_zero() ? link->mac : ports[port].mac};
}

shm::RoutesDescription compile(const Snapshot& s, Ports ports) {
    shm::RoutesDescription d;
    const RouteIndex index(s);
    for (const kernel::Route* r : kernel::best_routes(s))
        d.routes.push_back(route(index, ports, *r));
    for (const kernel::Neighbour& n : s.neighbours) {
        if (!n.usable) continue;
        NextHop h = hop_on(s, ports, n.ifindex, 0);
        if (h.port == shm::kNoPort) continue;
        h.address = n.address;
        h.destination = n.mac;
        h.resolved = 1;
        h.local = index.lookup(n.address).source.value_or(Address{});
        d.neighbours.push_back(h);
    }
    for (const kernel::LocalAddress& a : s.addresses)
        d.locals.push_back({a.prefix.address, a.ifindex});
    d.port_addresses = port_addresses(s, ports);
    return d;
}

}  // namespace torii::control
