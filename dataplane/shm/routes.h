#pragma once
// routes.<n>: one immutable generation of what the kernel knows of the network: local addresses,
// routes, neighbours; resolved to next hops on the dataplane's ports.
//
// Longest-prefix match is a hash table per prefix length in use, longest first: a lookup happens
// once a connection and generation (the result is cached in the connection), so a compact table
// that is built in milliseconds and needs no private copy beats one that answers in a nanosecond.
// Writer: toriid, before publication. Readers: everybody, read only, any thread.

#include <cstdint>
#include <span>
#include <vector>

#include "config/base/address.h"
#include "dataplane/shm/object.h"

namespace torii::shm {

inline constexpr uint16_t kNoPort = 0xffff;
inline constexpr uint32_t kNoNextHop = ~0u;

/// Where a packet leaves: a port, an optional VLAN tag, and Ethernet addresses. 64 bytes.
struct NextHop {
    Address address;   ///< the neighbour: a gateway, or the destination itself
    uint32_t ifindex;  ///< kernel device of the neighbour
    uint16_t port;     ///< dataplane port, or kNoPort when no port carries that device
    uint16_t vlan;     ///< 0 = untagged
    Mac destination;   ///< zero when unresolved
    Mac source;
    uint32_t mtu;
    uint8_t resolved;  ///< 0: the neighbour is not (yet) known
    Address local;     ///< what the host sends from on this way; Address{} = it has none
    uint8_t reserved[7];
};
static_assert(sizeof(NextHop) == 64);

enum class RouteKind : uint8_t {
    gateway,      ///< `next_hop` is the gateway
    connected,    ///< the destination is a neighbour on `ifindex`: look it up among the neighbours
    local,        ///< one of the host's own addresses
    unreachable,  ///< blackhole, unreachable, prohibit
    none          ///< no route
};

struct RouteRecord {
    Address prefix;  ///< masked
    uint8_t length;  ///< in bits of the 16-byte form (IPv4: 96..128)
    RouteKind kind;
    uint16_t hops;  ///< number of consecutive next hops (multipath), chosen by flow hash; >= 1 for
                    ///< gateway
    uint32_t next_hop;      ///< gateway: first index into next_hops
    uint32_t ifindex;       ///< connected: the device
    uint32_t template_hop;  ///< connected: next hop that has port, vlan, source, mtu of the device,
                            ///< unresolved
};
static_assert(sizeof(RouteRecord) == 32);

struct LocalRecord {
    Address address;
    uint32_t ifindex;
};

struct RoutesHeader {
    ObjectHeader header;
    uint64_t generation;
    uint32_t lengths_v4[2];   ///< bitmap of prefix lengths 0..32 in use (bit 32 is bit 0 of [1])
    uint32_t lengths_v6[5];   ///< bitmap of prefix lengths 0..128 in use
    Section next_hops;        ///< NextHop
    Section routes;           ///< RouteRecord
    Section route_index;      ///< uint32_t into routes; open addressing, power of two; ~0u = empty
    Section neighbour_index;  ///< uint32_t into next_hops; open addressing on (ifindex, address)
    Section locals;           ///< LocalRecord, open addressing on address; Address{} = empty
    Section port_addresses;   ///< Address, two a port (IPv4 then IPv6): source of ICMP errors;
                              ///< Address{} = none
};
inline constexpr uint64_t kRoutesLayout = layout_hash(
    {kMixing, sizeof(RoutesHeader), sizeof(NextHop), sizeof(RouteRecord), sizeof(LocalRecord),
     offsetof(NextHop, destination), offsetof(NextHop, local), offsetof(RoutesHeader, next_hops)});

/// The outcome of a lookup. `next_hop` is an index into next_hops; for an unresolved connected
/// neighbour it is the device's template and `wanted` is the address to resolve.
struct RouteResult {
    RouteKind kind = RouteKind::none;
    uint32_t next_hop = kNoNextHop;
    bool resolved = false;
};

struct Routes {
    const RoutesHeader* header = nullptr;
    std::span<const NextHop> next_hops;
    std::span<const RouteRecord> routes;
    std::span<const uint32_t> route_index, neighbour_index;
    std::span<const LocalRecord> locals;
    std::span<const Address> port_addresses;

    static Result<Routes> view(std::span<const std::byte> object);
    /// Longest-prefix match, then the neighbour. `flow_hash` picks among equal next hops.
    RouteResult lookup(const Address& destination, uint32_t flow_hash) const;
    bool is_local(const Address&) const;
};

/// Plain description for build(); prefixes in ordinary lengths.
struct RouteDescription {
    Prefix prefix;
    RouteKind kind = RouteKind::none;
    std::vector<NextHop>
        hops;  ///< gateway: one or more; connected: exactly one, the device's template
};
struct RoutesDescription {
    uint64_t generation = 0;
    std::vector<RouteDescription> routes;
    std::vector<NextHop> neighbours;  ///< resolved neighbours, found by (ifindex, address)
    std::vector<LocalRecord> locals;
    std::vector<Address> port_addresses;
};
Result<std::vector<std::byte>> build(const RoutesDescription&);

}  // namespace torii::shm
