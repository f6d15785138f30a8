// classify: which connection, or else which service, a packet belongs to. In three passes, so that
// the table's cache lines of a whole burst are on their way at once.

#include <bit>

#include "dataplane/stages/headers.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

// A source that no host may use (RFC 1122 3.2.1.3, RFC 6890): multicast, reserved or broadcast,
// loopback, "this network"; or the destination itself (land attack).
bool martian4(uint32_t source, uint32_t destination) {
    const uint32_t s = wire::host32(source);
    return s >= 0xe0000000 || s >> 24 == 127 || s >> 24 == 0 || source == destination;
}

// RFC 4291 2.7, 2.5.2, 2.5.3 of the source; an IPv4-mapped address must not appear on the wire
// (RFC 4038 4.2). In words of eight bytes, because every packet is looked at.
struct Halves {
    uint64_t high, low;
    explicit Halves(const uint8_t* a) {
        std::memcpy(&high, a, 8);
        std::memcpy(&low, a + 8, 8);
    }
    bool multicast() const { return (high & 0xff) == 0xff; }
    bool loopback_or_unspecified() const { return high == 0 && be64::from_raw(low).host() <= 1; }
    bool mapped() const { return high == 0 && uint32_t(low) == 0xffff0000; }
    bool operator==(const Halves&) const = default;
};

bool martian6(const uint8_t* source, const uint8_t* destination) {
    const Halves s(source), d(destination);
    return s.multicast() || s.loopback_or_unspecified() || s.mapped() || d.mapped() || s == d;
}

// The ends of a packet as the side says that it is taken for: the client's half, then the other.
// {source, destination} of a reply are exchanged by a rotation, without a branch.
struct Ports {
    uint16_t client, other;
};
Ports ports_of(const Packet& p, bool reply) {
    static_assert(offsetof(Packet, destination_port) == offsetof(Packet, source_port) + 2);
    uint32_t both;
    std::memcpy(&both, &p.source_port, sizeof both);
    both = std::rotr(both, int(reply) * 16);
    return {uint16_t(both), uint16_t(both >> 16)};
}
struct Ends4 {
    uint32_t client, other;
};
Ends4 ends4(const Packet& p, bool reply) {
    uint64_t both;
    std::memcpy(&both, &p.at<wire::Ipv4>(p.l3)->source, sizeof both);
    both = std::rotr(both, int(reply) * 32);
    return {uint32_t(both), uint32_t(both >> 32)};
}
struct Ends6 {
    const uint8_t *client, *other;
};
Ends6 ends6(const Packet& p, bool reply) {
    const auto* ip = p.at<wire::Ipv6>(p.l3);
    return {ip->source + reply * 16, ip->destination - reply * 16};
}

[[gnu::always_inline]] inline uint64_t hash_side(const Context& c, const Packet& p, bool reply) {
    const uint16_t port = ports_of(p, reply).client;
    return p.ipv6 ? flow::hash6(c.state.seed, p.protocol, ends6(p, reply).client, port)
                  : flow::hash4(c.state.seed, p.protocol, ends4(p, reply).client, port);
}

[[gnu::always_inline]] inline uint32_t find_side(const Context& c, const Packet& p, bool reply,
                                                 uint32_t candidate = flow::kNone) {
    const Ports ports = ports_of(p, reply);
    if (!p.ipv6) {
        const Ends4 ends = ends4(p, reply);
        return c.flows.find4(reply, candidate, p.hash, p.protocol, ends.client, ports.client,
                             ends.other, ports.other);
    }
    const Ends6 ends = ends6(p, reply);
    return c.flows.find6(reply, candidate, p.hash, p.protocol, ends.client, ports.client,
                         ends.other, ports.other);
}

void fragment(const View& view, Packet& p) {
    const Address to = destination_of(p);
    if (view.services.is_vip(to)) return p.close(Verdict::drop_fragment);
    const bool reply = !view.routes.is_local(to) && view.is_nat_backend(source_of(p));
    p.close(reply ? Verdict::drop_fragment : Verdict::kernel_not_ours);
}

// The likelier direction, the hash of that side, and the bucket on its way.
void aim(Context& c, Packet& p) {
    bool vip, odd;
    if (!p.ipv6) {
        const Ends4 ends = ends4(p, false);
        vip = c.view.may_be_vip(View::filter_bit4(ends.other));
        odd = martian4(ends.client, ends.other);
    } else {
        const Ends6 ends = ends6(p, false);
        vip = c.view.may_be_vip(View::filter_bit6(ends.other));
        odd = martian6(ends.client, ends.other);
    }
    if (p.is_fragment) [[unlikely]]
        return fragment(c.view, p);
    if (odd && c.view.services.is_vip(destination_of(p))) [[unlikely]]
        return p.close(Verdict::drop_martian);
    p.direction = Direction(!vip);
    if (p.is_icmp_error) [[unlikely]] {
        c.found |= kIcmpErrors;
        return;
    }
    const uint64_t hash = hash_side(c, p, !vip);
    p.hash = hash;
    c.flows.prefetch_bucket(hash);
}

bool is_reply(const Packet& p) { return p.direction == Direction::reply; }

// Not a connection as the packet was taken for: the other side, else the service.
[[gnu::noinline]] void look_further(Context& c, Packet& p) {
    const Direction guess = p.direction;
    const uint64_t guess_hash = p.hash;
    p.direction = guess == Direction::request ? Direction::reply : Direction::request;
    p.hash = hash_side(c, p, is_reply(p));
    p.entry = find_side(c, p, is_reply(p));
    if (p.entry != flow::kNone) return;
    p.direction = Direction::request;
    if (guess == Direction::request) p.hash = guess_hash;
    c.found |= kUnknown;
    if (!find_service(c.view, p)) p.close(Verdict::kernel_not_ours);
}

// `p.entry` is the candidate whose line has been sent for.
void look_up(Context& c, Packet& p) {
    p.entry = find_side(c, p, is_reply(p), p.entry);
    if (p.entry == flow::kNone) [[unlikely]]
        look_further(c, p);
}

}  // namespace

uint32_t find_request(const Context& c, const Packet& p) { return find_side(c, p, false); }

bool find_service(const View& view, Packet& p) {
    const auto* service =
        view.services.find(destination_of(p), p.destination_port, Protocol(p.protocol));
    if (!service) return false;
    p.service = uint32_t(service - view.services.services.data());
    return true;
}

void classify(Context& c, std::span<Packet> burst) {
    each_open(burst, [&](Packet& p) { aim(c, p); });
    each_open(burst, [&](Packet& p) {
        if (!p.is_icmp_error) p.entry = c.flows.prefetch_cell(p.hash);
    });
    each_open(burst, [&](Packet& p) {
        if (!p.is_icmp_error) look_up(c, p);
    });
}

}  // namespace torii::stages
