#include "dataplane/shm/routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "dataplane/shm/builder.h"
#include "dataplane/shm/services.h"

namespace torii::shm {
namespace {

tl::unexpected<Error> refuse(std::string why) {
    return fail(Errc::layout, "routes generation: " + std::move(why));
}

// Lengths in the 16-byte form: an IPv4 prefix of length n is 96 + n bits of ::ffff:0:0.
Address masked(const Address& a, unsigned bits) {
    Address m = a;
    const unsigned whole = bits / 8;
    if (whole < 16) {
        m.bytes[whole] &= uint8_t(0xff00u >> (bits % 8));
        std::fill(m.bytes.begin() + whole + 1, m.bytes.end(), 0);
    }
    return m;
}
uint32_t route_hash(const Address& masked_prefix, unsigned bits) {
    return mix(masked_prefix, uint16_t(bits), 0);
}
uint32_t neighbour_hash(uint32_t ifindex, const Address& a) {
    return mix(a, uint16_t(ifindex), uint8_t(ifindex >> 16));
}

void set_bit(uint32_t* words, unsigned bit) { words[bit / 32] |= 1u << (bit % 32); }

// The highest set bit at or below `from`, or -1.
int next_length(const uint32_t* words, int from) {
    for (int w = from / 32; w >= 0; --w, from = w * 32 + 31) {
        const uint32_t kept = words[w] & (~0u >> (31 - from % 32));
        if (kept) return w * 32 + 31 - __builtin_clz(kept);
    }
    return -1;
}

template <class Taken>
uint32_t place(size_t size, uint32_t hash, Taken taken) {
    uint32_t at = hash & uint32_t(size - 1);
    while (taken(at)) at = (at + 1) & uint32_t(size - 1);
    return at;
}

bool has_room(std::span<const uint32_t> index, size_t limit) {
    size_t used = 0;
    for (uint32_t i : index) {
        if (i == ~0u) continue;
        if (i >= limit) return false;
        ++used;
    }
    return used * 2 <= index.size();
}

}  // namespace

Result<Routes> Routes::view(std::span<const std::byte> object) {
    const uint64_t size = object.size();
    if (size < sizeof(RoutesHeader)) return refuse("truncated");
    Routes r;
    r.header = reinterpret_cast<const RoutesHeader*>(object.data());
    const RoutesHeader& h = *r.header;
    if (!inside<NextHop>(h.next_hops, size) || !inside<RouteRecord>(h.routes, size) ||
        !inside<uint32_t>(h.route_index, size) || !inside<uint32_t>(h.neighbour_index, size) ||
        !inside<LocalRecord>(h.locals, size) || !inside<Address>(h.port_addresses, size))
        return refuse("a section lies outside the file");
    const auto part = [&]<class T>(const Section& s, T) {
        return std::span<const T>(reinterpret_cast<const T*>(object.data() + s.offset), s.count);
    };
    r.next_hops = part(h.next_hops, NextHop{});
    r.routes = part(h.routes, RouteRecord{});
    r.route_index = part(h.route_index, uint32_t{});
    r.neighbour_index = part(h.neighbour_index, uint32_t{});
    r.locals = part(h.locals, LocalRecord{});
    r.port_addresses = part(h.port_addresses, Address{});
    if (!is_index_size(r.route_index.size()) || !is_index_size(r.neighbour_index.size()) ||
        !is_index_size(r.locals.size()))
        return refuse("bad index size");
    if (!has_room(r.route_index, r.routes.size()) ||
        !has_room(r.neighbour_index, r.next_hops.size()))
        return refuse("bad index");
    if (size_t(std::count_if(r.locals.begin(), r.locals.end(),
                             [](const LocalRecord& l) { return l.address != Address{}; })) *
            2 >
        r.locals.size())
        return refuse("bad index of local addresses");
    for (const RouteRecord& route : r.routes) {
        const bool gateway = route.kind == RouteKind::gateway,
                   connected = route.kind == RouteKind::connected;
        if (route.length > 128 || uint8_t(route.kind) > uint8_t(RouteKind::none) ||
            (gateway &&
             (route.hops == 0 || uint64_t(route.next_hop) + route.hops > r.next_hops.size())) ||
            (connected && route.template_hop >= r.next_hops.size()))
            return refuse("a route is malformed");
    }
    return r;
}

RouteResult Routes::lookup(const Address& destination, uint32_t flow_hash) const {
    const bool v4 = destination.is_v4();
    const uint32_t* lengths = v4 ? header->lengths_v4 : header->lengths_v6;
    const unsigned base = v4 ? 96 : 0;
    const uint32_t mask = uint32_t(route_index.size()) - 1;
    for (int n = next_length(lengths, v4 ? 32 : 128); n >= 0;
         n = n == 0 ? -1 : next_length(lengths, n - 1)) {
        const Address prefix = masked(destination, base + unsigned(n));
        for (uint32_t i = route_hash(prefix, base + unsigned(n)) & mask; route_index[i] != ~0u;
             i = (i + 1) & mask) {
            const RouteRecord& r = routes[route_index[i]];
            if (r.length != base + unsigned(n) || r.prefix != prefix) continue;
            if (r.kind == RouteKind::gateway) {
                const uint32_t hop = r.next_hop + (r.hops > 1 ? flow_hash % r.hops : 0);
                return {r.kind, hop, next_hops[hop].resolved != 0};
            }
            if (r.kind != RouteKind::connected) return {r.kind, kNoNextHop, false};
            const uint32_t nmask = uint32_t(neighbour_index.size()) - 1;
            for (uint32_t j = neighbour_hash(r.ifindex, destination) & nmask;
                 neighbour_index[j] != ~0u; j = (j + 1) & nmask) {
                const NextHop& hop = next_hops[neighbour_index[j]];
                if (hop.ifindex == r.ifindex && hop.address == destination)
                    return {r.kind, neighbour_index[j], hop.resolved != 0};
            }
            return {r.kind, r.template_hop, false};
        }
    }
    return {};
}

bool Routes::is_local(const Address& a) const {
    const uint32_t mask = uint32_t(locals.size()) - 1;
    for (uint32_t i = mix(a) & mask; locals[i].address != Address{}; i = (i + 1) & mask)
        if (locals[i].address == a) return true;
    return false;
}

Result<std::vector<std::byte>> build(const RoutesDescription& d) {
    RoutesHeader h{};
    h.generation = d.generation;
    std::vector<NextHop> hops;
    std::vector<RouteRecord> routes;
    std::vector<uint32_t> route_index(index_size(d.routes.size()), ~0u);
    for (const RouteDescription& r : d.routes) {
        const bool v4 = r.prefix.address.is_v4();
        RouteRecord record{};
        record.length = uint8_t(r.prefix.length + (v4 ? 96 : 0));
        record.prefix = masked(r.prefix.address, record.length);
        record.kind = r.kind;
        if (r.kind == RouteKind::gateway || r.kind == RouteKind::connected) {
            if (r.hops.empty() || (r.kind == RouteKind::connected && r.hops.size() != 1) ||
                r.hops.size() > UINT16_MAX)
                return fail(Errc::invalid, fmt::format("route {} has {} next hops",
                                                       to_string(r.prefix), r.hops.size()));
            record.hops = uint16_t(r.hops.size());
            record.next_hop = record.template_hop = uint32_t(hops.size());
            record.ifindex = r.hops.front().ifindex;
            hops.insert(hops.end(), r.hops.begin(), r.hops.end());
        }
        const uint32_t at =
            place(route_index.size(), route_hash(record.prefix, record.length), [&](uint32_t i) {
                return route_index[i] != ~0u && !(routes[route_index[i]].prefix == record.prefix &&
                                                  routes[route_index[i]].length == record.length);
            });
        if (route_index[at] != ~0u)
            return fail(Errc::exists, fmt::format("route {} is there twice", to_string(r.prefix)));
        route_index[at] = uint32_t(routes.size());
        routes.push_back(record);
        set_bit(v4 ? h.lengths_v4 : h.lengths_v6, r.prefix.length);
    }
    std::vector<uint32_t> neighbours(index_size(d.neighbours.size()), ~0u);
    for (const NextHop& n : d.neighbours) {
        const uint32_t at = place(neighbours.size(), neighbour_hash(n.ifindex, n.address),
                                  [&](uint32_t i) { return neighbours[i] != ~0u; });
        neighbours[at] = uint32_t(hops.size());
        hops.push_back(n);
    }
    std::vector<LocalRecord> locals(index_size(d.locals.size()));
    for (const LocalRecord& l : d.locals)
        locals[place(locals.size(), mix(l.address),
                     [&](uint32_t i) { return locals[i].address != Address{}; })] = l;

    Builder out(sizeof(RoutesHeader));
    h.next_hops = out.append(hops);
    h.routes = out.append(routes);
    h.route_index = out.append(route_index);
    h.neighbour_index = out.append(neighbours);
    h.locals = out.append(locals);
    h.port_addresses = out.append(d.port_addresses);
    if (out.too_large()) return fail(Errc::full, "the routes generation exceeds 4 GiB");
    return out.finish(&h, sizeof h);
}

}  // namespace torii::shm
