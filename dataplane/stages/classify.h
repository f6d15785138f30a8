#pragma once
// classify: which connection, or else which service, a packet belongs to. Three steps of three
// passes, so that the table's cache lines of a whole burst are on their way at once. What few
// packets need is in classify.cc.

#include <bit>

#include "dataplane/stages/context.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/packet.h"

namespace torii::stages {
namespace detail {

// A source that no host may use (RFC 1122 3.2.1.3, RFC 6890): multicast, reserved or broadcast,
// loopback, "this network"; or the destination itself (land attack).
inline bool martian4(uint32_t source, uint32_t destination) {
    const uint32_t first = source & 0xff;  // byte of the address
    return (first - 1 >= 0xdf) | (first == 127) | (source == destination);
}
static_assert(std::endian::native == std::endian::little);

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

inline bool martian6(const uint8_t* source, const uint8_t* destination) {
    const Halves s(source), d(destination);
    return s.multicast() || s.loopback_or_unspecified() || s.mapped() || d.mapped() || s == d;
}

// Source and destination as they lie in the packet, one behind the other.
inline uint32_t ports_of(const Packet& p) {
    static_assert(offsetof(Packet, destination_port) == offsetof(Packet, source_port) + 2);
    uint32_t both;
    std::memcpy(&both, &p.source_port, sizeof both);
    return both;
}
inline uint64_t addresses4(const Packet& p) {
    uint64_t both;
    std::memcpy(&both, &p.at<wire::Ipv4>(p.l3)->source, sizeof both);
    return both;
}
inline const uint8_t* addresses6(const Packet& p) { return p.at<wire::Ipv6>(p.l3)->source; }

inline bool may_be_vip(const View& view, uint64_t ends) {
    return view.may_be_vip(View::filter_bit4(uint32_t(ends >> 32)));
}
inline bool may_be_vip(const View& view, const uint8_t* ends) {
    return view.may_be_vip(View::filter_bit6(ends + 16));
}
inline bool martian(uint64_t ends) { return martian4(uint32_t(ends), uint32_t(ends >> 32)); }
inline bool martian(const uint8_t* ends) { return martian6(ends, ends + 16); }

// Of the client's end: the source of a request, the destination of a reply.
inline uint16_t client_port(const Packet& p, bool reply) {
    return uint16_t(ports_of(p) >> reply * 16);
}
[[gnu::always_inline]] inline uint64_t hash(const Context& c, const Packet& p, uint64_t ends,
                                            bool reply) {
    return flow::hash4(c.state.seed, p.protocol, uint32_t(ends >> reply * 32),
                       client_port(p, reply));
}
[[gnu::always_inline]] inline uint64_t hash(const Context& c, const Packet& p, const uint8_t* ends,
                                            bool reply) {
    return flow::hash6(c.state.seed, p.protocol, ends + reply * size_t(16), client_port(p, reply));
}

inline uint32_t find_side(const Context& c, const Packet& p, bool reply) {
    return p.ipv6 ? c.flows.find6(reply, p.hash, p.protocol, addresses6(p), ports_of(p))
                  : c.flows.find4(reply, p.hash, p.protocol, addresses4(p), ports_of(p));
}
[[gnu::always_inline]] inline bool is_side(const flow::Head& cell, const Packet& p, bool reply) {
    if (p.ipv6)
        return flow::same6(reinterpret_cast<const flow::Cell6&>(cell), reply, p.protocol,
                           addresses6(p), ports_of(p));
    return flow::same4(reinterpret_cast<const flow::Cell4&>(cell), reply, p.protocol, addresses4(p),
                       ports_of(p));
}

/// Fragments, sources that no host may use, and what may be another balancer's. What goes on is
/// like any other packet.
bool aim_odd(Context&, Packet&, bool martian);
/// Not the candidate: another entry, that of the other side, else the service.
bool look_further(Context&, Packet&);

template <class Ends>
[[gnu::always_inline]] inline bool aim_by(Context& c, Packet& p, Ends ends) {
    const bool reply = !may_be_vip(c.view, ends), odd = martian(ends);
    if (p.is_fragment | odd | c.state.standby.any()) [[unlikely]]
        if (!aim_odd(c, p, odd)) return false;
    p.direction = Direction(reply);
    if (p.is_icmp_error) [[unlikely]] {
        c.found |= kIcmpErrors;
        return false;
    }
    const uint64_t h = hash(c, p, ends, reply);
    p.hash = h;
    c.flows.prefetch_bucket(h);
    return true;
}

}  // namespace detail

/// The likelier direction, the hash of that side, and its bucket on its way. Closes martians,
/// fragments and what another balancer has; leaves ICMP errors to relate_icmp().
[[gnu::always_inline]] inline bool aim(Context& c, Packet& p, Notes&) {
    return p.ipv6 ? detail::aim_by(c, p, detail::addresses6(p))
                  : detail::aim_by(c, p, detail::addresses4(p));
}

/// The bucket's candidate, on its way. (Of an ICMP error's, nobody makes use.)
[[gnu::always_inline]] inline bool fetch(Context& c, Packet& p, Notes&) {
    p.entry = c.flows.prefetch_cell(p.hash);
    if (p.ipv6) __builtin_prefetch(reinterpret_cast<const std::byte*>(&c.flows.head(p.entry)) + 64);
    return true;
}

/// Finds the connection, `p.entry` being the candidate, or else the service. Closes what is not
/// torii's; leaves packets of a service that belong to no connection to schedule().
[[gnu::always_inline]] inline bool look_up(Context& c, Packet& p, Notes& n) {
    if (p.is_icmp_error) [[unlikely]]
        return false;
    n.word = n.cell->word.load(std::memory_order_acquire);  // before the rest is looked at
    if (flow::Phase(n.word & 3) == flow::Phase::live && detail::is_side(*n.cell, p, n.reply))
        [[likely]]
        return true;
    if (!detail::look_further(c, p)) return false;
    n = Notes(c, p);
    n.word = n.cell->word.load(std::memory_order_acquire);
    return true;
}

}  // namespace torii::stages
