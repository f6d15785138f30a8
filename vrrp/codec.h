#pragma once
// VRRP messages on the wire: version 2 (RFC 3768) and version 3 (RFC 5798, RFC 9568), over IPv4 and
// IPv6. Pure functions of bytes: no socket, no allocation on receipt, safe on any thread. What is
// refused has a name, and a counter is made of each.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "config/base/address.h"
#include "vrrp/time.h"

namespace torii::vrrp {

inline constexpr uint8_t kIpProtocol = 112;
inline constexpr uint8_t kTtl = 255;            ///< of every advert: a router in between lowers it
inline constexpr uint8_t kTrafficClass = 0xc0;  ///< internetwork control
inline constexpr uint8_t kOwner = 255;          ///< priority of the router whose addresses they are
inline constexpr uint8_t kResign = 0;           ///< priority of an active router that goes
inline constexpr size_t kMaxAddresses = 255;
inline constexpr size_t kMaxMessage = 8 + 16 * kMaxAddresses;  ///< bytes

/// 224.0.0.18 or ff02::12.
Address group_address(Family);
/// 00:00:5e:00:01:ID or, for IPv6, 00:00:5e:00:02:ID (RFC 5798 section 7.3).
Mac virtual_mac(Family, uint8_t router_id);

/// Version 2's plain password, padded with zeros (RFC 2338 section 5.3.6.1).
using Password = std::array<char, 8>;
Password make_password(std::string_view);  ///< cut after 8 characters

/// One virtual router as its configuration describes it on the wire.
struct Identity {
    uint8_t version = 3;  ///< 2 or 3
    Family family = Family::ipv4;
    uint8_t router_id = 0;             ///< 1-255
    Duration interval{0};              ///< version 2: whole seconds; version 3: 10 ms to 40.95 s
    std::vector<Address> addresses;    ///< told to the peers, in this order
    std::optional<Password> password;  ///< version 2's PASS; none = no authentication
    bool pseudo_header = true;  ///< version 3 over IPv4: whether the checksum we send covers one
    bool unicast = false;
    std::vector<Address> peers;  ///< unicast: whose packets count
    uint8_t min_ttl = 1;         ///< unicast: what their packets must have left; multicast: 255
    Address local;               ///< source of our own adverts
};

/// Writes an advert into `out` and returns its length in bytes, or 0 when it does not fit.
/// `destination` is part of the checksum in version 3. kMaxMessage + 8 bytes always suffice.
size_t encode(const Identity&, uint8_t priority, const Address& destination,
              std::span<std::byte> out);

/// A message as it came, without its IP header.
struct Received {
    Address source, destination;
    uint8_t ttl = 0;  ///< TTL or hop limit
    std::span<const std::byte> message;
};

/// What a good advert says. Both conventions of the version 3 checksum over IPv4 are good.
struct Advert {
    uint8_t priority = 0;
    Duration interval{0};  ///< what the sender keeps; version 3's may differ from ours
    Address sender;
    bool other_addresses = false;  ///< version 3: its list is not ours; counts, but is reported
    friend bool operator==(const Advert&, const Advert&) = default;
};

/// Why a message is refused, in the order it is looked at.
enum class Refusal : uint8_t {
    ttl,
    truncated,
    version,
    type,
    length,
    checksum,
    router_id,
    destination,
    own,
    peer,
    authentication,
    interval,
    addresses,
    kCount
};

struct RefusalInfo {
    Refusal id;
    std::string_view name;  ///< label of the counter
    std::string_view help;
};

inline constexpr std::array kRefusals = {
    RefusalInfo{Refusal::ttl, "ttl", "TTL or hop limit too low: it came through a router"},
    RefusalInfo{Refusal::truncated, "truncated", "shorter than a VRRP header"},
    RefusalInfo{Refusal::version, "version", "not the configured VRRP version"},
    RefusalInfo{Refusal::type, "type", "not an advertisement"},
    RefusalInfo{Refusal::length, "length", "longer or shorter than its address count says"},
    RefusalInfo{Refusal::checksum, "checksum", "wrong checksum"},
    RefusalInfo{Refusal::router_id, "router_id", "a virtual router that is not configured here"},
    RefusalInfo{Refusal::destination, "destination",
                "unicast where multicast is configured, or the reverse"},
    RefusalInfo{Refusal::own, "own", "our own source address"},
    RefusalInfo{Refusal::peer, "peer", "unicast from an address that is not a configured peer"},
    RefusalInfo{Refusal::authentication, "authentication", "other authentication type or password"},
    RefusalInfo{Refusal::interval, "interval",
                "version 2: not the configured interval; version 3: 0"},
    RefusalInfo{Refusal::addresses, "addresses", "version 2: not the configured addresses"},
};
static_assert(kRefusals.size() == size_t(Refusal::kCount));
constexpr const RefusalInfo& info(Refusal r) { return kRefusals[size_t(r)]; }

/// Which virtual router a message is for, to find its Identity; none when it is truncated.
std::optional<uint8_t> router_id_of(std::span<const std::byte> message);

/// The advert, or the first rule of RFC 3768 / RFC 5798 section 7.1 that it breaks.
tl::expected<Advert, Refusal> decode(const Received&, const Identity&);
/// The same for a message whose router_id_of() nobody here has: ttl to checksum, then router_id.
Refusal refuse_stranger(const Received&);

}  // namespace torii::vrrp
