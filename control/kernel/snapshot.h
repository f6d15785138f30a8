#pragma once
// What the kernel knows about links, addresses, routes and neighbours, as plain values.
// A Snapshot is a copy: it may be handed to any thread and kept as long as one likes.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/base/address.h"

namespace torii::kernel {

/// An 802.1Q or 802.1ad device on top of another link.
struct Vlan {
    uint32_t parent = 0;     ///< ifindex of the link below; 0 when that lies in another namespace
    uint16_t id = 0;         ///< 1-4094
    uint16_t tpid = 0x8100;  ///< 0x8100 or 0x88a8, host order
    friend bool operator==(const Vlan&, const Vlan&) = default;
};

struct Link {
    uint32_t ifindex = 0;
    std::string name;
    Mac mac;           ///< zero where the link has no Ethernet address
    uint32_t mtu = 0;  ///< bytes of layer 3
    bool up = false;   ///< set up by the administrator, and has a carrier
    bool loopback = false;
    std::optional<Vlan> vlan;
    uint32_t master = 0;  ///< ifindex of the bond, bridge or VRF it belongs to; 0 for none
    friend bool operator==(const Link&, const Link&) = default;
};

/// One of the host's own addresses. `prefix.address` keeps its host bits; on a point-to-point link
/// the length is that of a single address.
struct LocalAddress {
    Prefix prefix;
    uint32_t ifindex = 0;
    friend bool operator==(const LocalAddress&, const LocalAddress&) = default;
};

struct Hop {
    uint32_t ifindex = 0;
    std::optional<Address>
        gateway;  ///< none: the destination is on the link. May be of the other family (RFC 5549)
    uint16_t weight = 1;  ///< 1-256
    friend bool operator==(const Hop&, const Hop&) = default;
};

enum class RouteType : uint8_t { unicast, local, blackhole, unreachable, prohibit };
std::string_view to_string(RouteType);

/// A route of the main table. Hops that the kernel has marked dead are left out.
struct Route {
    Prefix destination;   ///< host bits are zero; its family is the route's
    uint32_t metric = 0;  ///< lower wins among routes of one destination
    RouteType type = RouteType::unicast;
    std::optional<Address> preferred_source;
    uint32_t mtu = 0;       ///< 0: the link's
    std::vector<Hop> hops;  ///< at least one for unicast, sorted; none for blackhole and its kind
    Family family() const { return destination.address.family(); }
    friend bool operator==(const Route&, const Route&) = default;
};

/// An ARP or NDP entry. Neither usable nor failed: resolution is under way.
struct Neighbour {
    uint32_t ifindex = 0;
    Address address;
    Mac mac;              ///< meaningful when usable
    bool usable = false;  ///< reachable, stale, delay, probe, permanent or noarp
    bool failed = false;  ///< the kernel asked and nobody answered
    friend bool operator==(const Neighbour&, const Neighbour&) = default;
};

/// All of one network namespace at one moment.
struct Snapshot {
    std::vector<Link> links;              ///< by ifindex
    std::vector<LocalAddress> addresses;  ///< by (prefix, ifindex)
    std::vector<Route> routes;  ///< by (destination, metric); equals are in the kernel's order
    std::vector<Neighbour> neighbours;  ///< by (ifindex, address)
    friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

/// Binary searches (find_link by name is linear). The pointers live as long as the snapshot is
/// neither changed nor destroyed; null when there is no such thing.
const Link* find_link(const Snapshot&, uint32_t ifindex);
const Link* find_link(const Snapshot&, std::string_view name);
const Neighbour* find_neighbour(const Snapshot&, uint32_t ifindex, const Address&);
/// Whether the address is one of the host's own, on any link.
bool is_local(const Snapshot&, const Address&);

}  // namespace torii::kernel
