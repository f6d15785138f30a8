#include "control/kernel/snapshot.h"

#include <algorithm>
#include <tuple>

namespace torii::kernel {

std::string_view to_string(RouteType type) {
    switch (type) {
        case RouteType::unicast:
            return "unicast";
        case RouteType::local:
            return "local";
        case RouteType::blackhole:
            return "blackhole";
        case RouteType::unreachable:
            return "unreachable";
        case RouteType::prohibit:
            return "prohibit";
    }
    return "unknown";
}

const Link* find_link(const Snapshot& snapshot, uint32_t ifindex) {
    auto it = std::lower_bound(snapshot.links.begin(), snapshot.links.end(), ifindex,
                               [](const Link& link, uint32_t i) { return link.ifindex < i; });
    return it != snapshot.links.end() && it->ifindex == ifindex ? &*it : nullptr;
}

const Link* find_link(const Snapshot& snapshot, std::string_view name) {
    for (const auto& link : snapshot.links)
        if (link.name == name) return &link;
    return nullptr;
}

const Neighbour* find_neighbour(const Snapshot& snapshot, uint32_t ifindex,
                                const Address& address) {
    auto it = std::lower_bound(
        snapshot.neighbours.begin(), snapshot.neighbours.end(), std::tie(ifindex, address),
        [](const Neighbour& n, const auto& key) { return std::tie(n.ifindex, n.address) < key; });
    return it != snapshot.neighbours.end() && it->ifindex == ifindex && it->address == address
               ? &*it
               : nullptr;
}

bool is_local(const Snapshot& snapshot, const Address& address) {
    auto it = std::lower_bound(
        snapshot.addresses.begin(), snapshot.addresses.end(), address,
        [](const LocalAddress& own, const Address& a) { return own.prefix.address < a; });
    return it != snapshot.addresses.end() && it->prefix.address == address;
}

}  // namespace torii::kernel
