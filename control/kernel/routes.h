#pragma once
// Questions about the routes of a Snapshot. Pure functions: the answers are those the kernel would
// give from its main table and its own addresses; rules (ip-rule(8)), TOS and source routing are
// not looked at.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/kernel/snapshot.h"

namespace torii::kernel {

struct Resolved {
    /// blackhole stands for unreachable and prohibit too; none: no route at all.
    enum class Kind : uint8_t { none, unicast, local, blackhole };
    Kind kind = Kind::none;
    uint32_t ifindex = 0;  ///< unicast: where it goes out; local: the link that has the address
    Address next_hop;      ///< unicast: the gateway, or the address itself when it is on the link
    std::optional<Address> source;  ///< unicast: the address the host would send from
    uint32_t mtu = 0;  ///< unicast: of the route, else of the link; 0 when the link is unknown
    friend bool operator==(const Resolved&, const Resolved&) = default;
};

/// The routes that count: one for each destination, that of the lowest metric (the first in the
/// kernel's order among equals). In the order of Snapshot::routes, into which the pointers point.
std::vector<const Route*> best_routes(const Snapshot&);

/// Longest-prefix lookup, built once for a snapshot and asked many times. Keeps a reference: the
/// snapshot must outlive it unchanged. Const calls may come from any thread.
class RouteIndex {
public:
    explicit RouteIndex(const Snapshot&);
    explicit RouteIndex(Snapshot&&) = delete;

    /// The best route that holds the address, or null. The host's own addresses are not looked at.
    const Route* route(const Address&) const;
    /// Where a packet to the address goes. Among several hops `spread` chooses by weight, and hops
    /// on links that are down are passed over as long as another one is up. Equal arguments give
    /// equal answers.
    Resolved lookup(const Address&, uint32_t spread = 0) const;
    /// The address the host sends from to `destination` by this hop of this route.
    std::optional<Address> source_for(const Route&, const Hop&, const Address& destination) const;
    const Snapshot& snapshot() const { return snapshot_; }

private:
    struct Length {
        uint8_t bits;
        std::unordered_map<Address, const Route*> routes;
    };
    const Snapshot& snapshot_;
    std::array<std::vector<Length>, 2> lengths_;   ///< IPv4 and IPv6, longest first
    std::unordered_map<Address, uint32_t> local_;  ///< own address -> ifindex
    std::unordered_map<uint32_t, std::vector<const LocalAddress*>> addresses_;  ///< by ifindex
};

/// One lookup; for more than a few build a RouteIndex.
Resolved lookup(const Snapshot&, const Address&);

/// Why a server at this address cannot be reached as the kernel stands, as a sentence for the
/// operator; none when it can.
std::optional<std::string> why_unreachable(const RouteIndex&, const Address&);

}  // namespace torii::kernel
