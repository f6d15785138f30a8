#include "control/service_view.h"

#include <fmt/format.h>

#include <unordered_map>

#include "control/api/ipvs.h"

namespace torii::control {
namespace {

constexpr size_t kPiece = 256 * 1024;  // bytes, about

std::string_view forward_word(shm::Forward f) {
    switch (f) {
        case shm::Forward::nat:
            return "Masq";
        case shm::Forward::local:
            return "Local";
        case shm::Forward::tunnel:
            return "Tunnel";
        case shm::Forward::dr:
            return "Route";
    }
    return "Masq";
}

std::string_view tunnel_word(shm::TunnelType t) {
    return t == shm::TunnelType::gue ? "gue" : t == shm::TunnelType::gre ? "gre" : "ipip";
}

std::string_view checksum_word(shm::TunnelChecksum c) {
    return c == shm::TunnelChecksum::full     ? "csum"
           : c == shm::TunnelChecksum::remote ? "remcsum"
                                              : "nocsum";
}

std::string netmask_of(const Service& s) {
    if (s.persistence_timeout == 0 || s.persistence_mask == full_mask(s.key.family())) return {};
    if (s.key.family() == Family::ipv6) return fmt::format("{}", s.persistence_mask);
    return to_string(Address::v4(be32::from_host(s.persistence_mask)));
}

api::Counts counts(const Usage& u, const shm::CounterBase& base) {
    const shm::CounterBase c = since(u.counted, base);
    return {c.connections, c.in_packets, c.out_packets, c.in_bytes, c.out_bytes};
}

api::Destination destination_view(const Listed& l, const Destination& d, uint32_t slot) {
    const Connections& n = l.tally.connections[slot];
    api::Destination out;
    out.endpoint = d.key;
    out.name = d.name;
    out.forward = forward_word(d.forward);
    out.weight = d.weight;
    out.upper = d.upper;
    out.lower = d.lower;
    out.active = n.active;
    out.inactive = n.inactive;
    out.persistent = n.persistent;
    out.counts = counts(l.tally.backends[slot], l.tables.slots.backends[slot].base);
    out.rates = l.estimator.backend(slot);
    if (d.forward == shm::Forward::tunnel) {
        out.tunnel = tunnel_word(d.tunnel.type);
        out.tunnel_port = d.tunnel.port.host();
        out.tunnel_checksum = checksum_word(d.tunnel.checksum);
    }
    return out;
}

}  // namespace

api::Service service_view(const Listed& l, const Service& s, uint32_t slot) {
    api::Service out;
    out.endpoint = {s.key.address, s.key.port};
    out.protocol = s.key.protocol;
    out.name = s.name;
    out.scheduler = s.scheduler;
    out.scheduler_flags = api::flag_names(s.scheduler, s.scheduler_flags);
    out.counts = counts(l.tally.services[slot], l.tables.slots.services[slot].base);
    out.mark = s.key.mark;
    out.persistence = s.persistence_timeout;
    out.netmask = netmask_of(s);
    out.one_packet = s.one_packet;
    out.engine = s.pe;
    out.rates = l.estimator.service(slot);
    std::unordered_map<Endpoint, const Destination*, KeyHash> by_key;
    for (const Destination& d : s.destinations) by_key.emplace(d.key, &d);
    for (const scheduler::Target& t : l.tables.lists.at(s.key)->targets())
        out.destinations.push_back(
            destination_view(l, *by_key.at(l.tables.slots.backends[t.backend].backend), t.backend));
    return out;
}

std::function<bool(std::string&)> services_lines(
    std::shared_ptr<const Tables> tables, Tally tally, const Estimator& estimator,
    std::optional<ServiceKey> only, void (*append)(std::string&, const api::Service&)) {
    auto slots = std::make_shared<const std::unordered_map<ServiceKey, uint32_t, KeyHash>>(
        service_slots(tables->slots));
    auto sums = std::make_shared<const Tally>(std::move(tally));
    return [=, &estimator, next = size_t{0}](std::string& piece) mutable {
        const Listed l{*tables, *sums, estimator};
        const ServiceList& all = tables->desired.services;
        for (; next < all.size() && piece.size() < kPiece; ++next) {
            if (only && all[next].key != *only) continue;
            append(piece, service_view(l, all[next], slots->at(all[next].key)));
        }
        return next < all.size();
    };
}

}  // namespace torii::control
