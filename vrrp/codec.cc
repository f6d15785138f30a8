#include "vrrp/codec.h"

#include <algorithm>
#include <bitset>
#include <cstring>

namespace torii::vrrp {
namespace {

constexpr uint8_t kAdvertisement = 1;  // the only type there is
constexpr size_t kHeader = 8;
constexpr size_t kPasswordBytes = 8;  // version 2 ends in them, also without authentication
constexpr uint8_t kNoAuth = 0, kPassAuth = 1;

using Bytes = std::span<const std::byte>;

uint8_t byte_at(Bytes message, size_t offset) { return uint8_t(message[offset]); }

size_t address_bytes(Family family) { return family == Family::ipv4 ? 4 : 16; }

/// The address as it lies in a packet of its family.
Bytes wire(const Address& a) {
    const auto all = std::as_bytes(std::span(a.bytes));
    return a.is_v4() ? all.subspan(12) : all;
}

Address address_at(Bytes bytes, Family family) {
    if (family == Family::ipv6) return Address::v6(bytes.data());
    uint32_t raw;
    std::memcpy(&raw, bytes.data(), sizeof raw);
    return Address::v4(be32::from_raw(raw));
}

/// Adds 16-bit words (RFC 1071); an odd last byte counts as the high half of one.
uint64_t sum(Bytes bytes, uint64_t total) {
    for (size_t i = 0; i + 1 < bytes.size(); i += 2)
        total += uint64_t(byte_at(bytes, i)) << 8 | byte_at(bytes, i + 1);
    if (bytes.size() % 2 != 0) total += uint64_t(byte_at(bytes, bytes.size() - 1)) << 8;
    return total;
}

/// What a pseudo header adds: that of RFC 791/793 for IPv4 and of RFC 8200 section 8.1 for IPv6 are
/// the same words.
uint64_t pseudo_sum(const Address& source, const Address& destination, size_t length) {
    return sum(wire(destination), sum(wire(source), kIpProtocol + uint64_t(length)));
}

/// 0xffff where the sum covers a right checksum.
uint16_t fold(uint64_t total) {
    while (total >> 16 != 0) total = (total & 0xffff) + (total >> 16);
    return uint16_t(total);
}

bool checksum_is_good(const Received& in, unsigned version) {
    const uint64_t plain = sum(in.message, 0);
    const bool plain_good = fold(plain) == 0xffff;
    if (version == 2) return plain_good;
    const uint64_t pseudo = pseudo_sum(in.source, in.destination, in.message.size());
    // RFC 5798 is read both ways for IPv4: keepalived and FRR cover a pseudo header, others not.
    return fold(plain + pseudo) == 0xffff || (in.source.is_v4() && plain_good);
}

size_t message_bytes(unsigned version, Family family, size_t addresses) {
    return kHeader + addresses * address_bytes(family) + (version == 2 ? kPasswordBytes : 0);
}

/// The rules that need no configuration, in the order of RFC 5798 section 7.1 from the version on.
std::optional<Refusal> refuse_form(const Received& in, unsigned version) {
    if (byte_at(in.message, 0) >> 4 != version) return Refusal::version;
    if ((byte_at(in.message, 0) & 0xf) != kAdvertisement) return Refusal::type;
    const size_t wanted = message_bytes(version, in.source.family(), byte_at(in.message, 3));
    if (in.message.size() != wanted) return Refusal::length;
    if (!checksum_is_good(in, version)) return Refusal::checksum;
    return std::nullopt;
}

std::optional<Refusal> refuse_sender(const Received& in, const Identity& us) {
    if (in.destination.is_multicast() == us.unicast) return Refusal::destination;
    if (in.source == us.local) return Refusal::own;
    if (us.unicast && std::ranges::find(us.peers, in.source) == us.peers.end())
        return Refusal::peer;
    return std::nullopt;
}

bool is_authentic(Bytes message, const Identity& us) {
    const uint8_t type = byte_at(message, 4);
    if (!us.password) return type == kNoAuth;
    const Bytes secret = message.last(kPasswordBytes);
    return type == kPassAuth &&
           std::equal(secret.begin(), secret.end(), std::as_bytes(std::span(*us.password)).begin());
}

Duration interval_of(Bytes message, unsigned version) {
    if (version == 2) return std::chrono::seconds(byte_at(message, 5));
    const unsigned centiseconds = (byte_at(message, 4) & 0xfu) << 8 | byte_at(message, 5);
    return std::chrono::milliseconds(10 * centiseconds);
}

/// Whether the list is the configured one, in any order.
bool same_addresses(Bytes list, const Identity& us) {
    const size_t size = address_bytes(us.family);
    if (list.size() != us.addresses.size() * size) return false;
    std::bitset<kMaxAddresses> found;
    for (size_t at = 0; at < list.size(); at += size) {
        const Address one = address_at(list.subspan(at, size), us.family);
        // Peers mostly list them in the same order, so the first look is at the same place.
        size_t k = us.addresses[at / size] == one
                       ? at / size
                       : size_t(std::ranges::find(us.addresses, one) - us.addresses.begin());
        if (k == us.addresses.size() || found.test(k)) return false;
        found.set(k);
    }
    return true;
}

void put16(std::span<std::byte> out, size_t offset, unsigned value) {
    out[offset] = std::byte(value >> 8);
    out[offset + 1] = std::byte(value & 0xff);
}

}  // namespace

Address group_address(Family family) {
    if (family == Family::ipv4) return Address::v4(be32::from_host(0xe0000012));
    Address group;
    group.bytes = {0xff, 0x02};
    group.bytes[15] = 0x12;
    return group;
}

Mac virtual_mac(Family family, uint8_t router_id) {
    return {{0x00, 0x00, 0x5e, 0x00, uint8_t(family == Family::ipv4 ? 1 : 2), router_id}};
}

Password make_password(std::string_view text) {
    Password password{};
    std::ranges::copy(text.substr(0, password.size()), password.begin());
    return password;
}

size_t encode(const Identity& us, uint8_t priority, const Address& destination,
              std::span<std::byte> out) {
    const size_t length = message_bytes(us.version, us.family, us.addresses.size());
    if (length > out.size() || us.addresses.size() > kMaxAddresses) return 0;
    out = out.first(length);
    std::ranges::fill(out, std::byte(0));
    out[0] = std::byte(us.version << 4 | kAdvertisement);
    out[1] = std::byte(us.router_id);
    out[2] = std::byte(priority);
    out[3] = std::byte(us.addresses.size());
    if (us.version == 2) {
        out[4] = std::byte(us.password ? kPassAuth : kNoAuth);
        out[5] = std::byte(us.interval / std::chrono::seconds(1));
    } else {
        put16(out, 4, unsigned(us.interval / std::chrono::milliseconds(10)) & 0xfff);
    }
    auto to = out.begin() + kHeader;
    for (const Address& a : us.addresses) to = std::ranges::copy(wire(a), to).out;
    if (us.version == 2 && us.password)
        std::ranges::copy(std::as_bytes(std::span(*us.password)), to);
    uint64_t total = sum(out, 0);
    if (us.version == 3 && (us.family == Family::ipv6 || us.pseudo_header))
        total += pseudo_sum(us.local, destination, length);
    put16(out, 6, uint16_t(~fold(total)));
    return length;
}

std::optional<uint8_t> router_id_of(Bytes message) {
    if (message.size() < kHeader) return std::nullopt;
    return byte_at(message, 1);
}

tl::expected<Advert, Refusal> decode(const Received& in, const Identity& us) {
    const auto refuse = [](Refusal r) { return tl::unexpected(r); };
    if (in.ttl < (us.unicast ? us.min_ttl : kTtl)) return refuse(Refusal::ttl);
    if (in.message.size() < kHeader) return refuse(Refusal::truncated);
    if (in.source.family() != us.family) return refuse(Refusal::length);
    if (const auto form = refuse_form(in, us.version)) return refuse(*form);
    if (byte_at(in.message, 1) != us.router_id) return refuse(Refusal::router_id);
    if (const auto sender = refuse_sender(in, us)) return refuse(*sender);
    if (us.version == 2 && !is_authentic(in.message, us)) return refuse(Refusal::authentication);
    const Duration interval = interval_of(in.message, us.version);
    if (us.version == 2 ? interval != us.interval : interval.count() == 0)
        return refuse(Refusal::interval);
    const uint8_t priority = byte_at(in.message, 2);
    const size_t listed = byte_at(in.message, 3) * address_bytes(us.family);
    const bool other = !same_addresses(in.message.subspan(kHeader, listed), us);
    // RFC 3768 section 7.1 drops other lists unless the owner sends them. RFC 5798 only reports
    // them: one that is dropped while both ends are reconfigured in turn makes two routers active.
    if (other && us.version == 2 && priority != kOwner) return refuse(Refusal::addresses);
    return Advert{priority, interval, in.source, other};
}

Refusal refuse_stranger(const Received& in) {
    if (in.destination.is_multicast() && in.ttl < kTtl) return Refusal::ttl;
    if (in.message.size() < kHeader) return Refusal::truncated;
    const unsigned version = byte_at(in.message, 0) >> 4;
    if (version != 2 && version != 3) return Refusal::version;
    return refuse_form(in, version).value_or(Refusal::router_id);
}

}  // namespace torii::vrrp
