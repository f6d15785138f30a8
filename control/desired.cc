#include "control/desired.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <tuple>

#include "dataplane/scheduler/scheduler.h"

namespace torii::control {
namespace {

using scheduler::kFallback, scheduler::kPort;

shm::Forward forward_of(config::Forward f) {
    switch (f) {
        case config::Forward::nat:
            return shm::Forward::nat;
        case config::Forward::dr:
            return shm::Forward::dr;
        case config::Forward::tunnel:
            return shm::Forward::tunnel;
    }
    return shm::Forward::nat;
}

uint16_t flags_of(const config::Service& s) {
    uint16_t bits = 0;
    for (const config::SchedulerFlag f : s.scheduler_flags)
        bits |= f == config::SchedulerFlag::sh_port || f == config::SchedulerFlag::mh_port
                    ? kPort
                    : kFallback;
    return bits;
}

shm::Tunnel tunnel_of(const config::Tunnel& t) {
    static_assert(int(config::TunnelType::gre) == int(shm::TunnelType::gre) &&
                  int(config::TunnelChecksum::remcsum) == int(shm::TunnelChecksum::remote));
    return {shm::TunnelType(t.type), shm::TunnelChecksum(t.checksum), be16::from_host(t.port)};
}

// Word by word: both have LVS's names in the alphabet's order.
shm::Behaviour behaviour_of(const config::Behaviour& b) {
    static_assert(sizeof(config::Behaviour) == sizeof(shm::Behaviour));
    return std::bit_cast<shm::Behaviour>(b);
}

uint32_t mask_of(const config::Persistence& p, Family family) {
    if (!p.netmask) return full_mask(family);
    if (family == Family::ipv6 || p.netmask->length == 0)
        return family == Family::ipv6 ? p.netmask->length : p.netmask->mask;
    return uint32_t(~uint64_t(0) << (32 - p.netmask->length));
}

// The most specific first: longest prefix, then a protocol rather than each, then fewest ports,
// then as they were written.
std::vector<shm::MarkRecord> marks_of(const std::vector<config::MarkRule>& rules) {
    std::vector<shm::MarkRecord> marks;
    const std::vector<config::PortRange> all{config::PortRange{}};
    for (const config::MarkRule& rule : rules) {
        const Prefix to = rule.destination.masked();
        for (const config::PortRange& ports : rule.ports.empty() ? all : rule.ports)
            marks.push_back(
                {to.address, to.length, rule.protocol, ports.first, ports.last, 0, rule.fwmark});
    }
    std::ranges::stable_sort(marks, {}, [](const shm::MarkRecord& m) {
        return std::tuple(-int(m.length), m.protocol == Protocol::any, m.last_port - m.first_port);
    });
    return marks;
}

uint32_t seconds(config::Duration d) {
    return uint32_t(std::chrono::ceil<std::chrono::seconds>(d).count());
}

}  // namespace

bool usable(const config::Backend& b, const config::Virtual& v) {
    return b.forward == config::Forward::tunnel ||
           b.address.family() == v.endpoint.address.family();
}

namespace {

Service service_of(const config::Service& s, const config::Virtual& v) {
    Service out;
    out.key = {v.endpoint.address, v.endpoint.port, v.protocol, v.fwmark};
    out.name = s.name;
    out.scheduler = s.scheduler;
    out.scheduler_flags = flags_of(s);
    out.persistence_timeout = seconds(s.persistence.timeout);
    out.persistence_mask = mask_of(s.persistence, out.key.family());
    out.one_packet = s.one_packet;
    out.drain = seconds(s.drain.deadline);
    for (const config::Backend& b : s.backends) {
        if (!usable(b, v)) continue;
        out.destinations.push_back({{b.address, config::backend_port(b, v)},
                                    b.server,
                                    b.weight,
                                    b.upper,
                                    b.lower,
                                    forward_of(b.forward),
                                    tunnel_of(b.tunnel)});
    }
    return out;
}

}  // namespace

std::string to_string(const ServiceKey& k) {
    if (k.mark != 0)
        return fmt::format("mark:{}{}", k.mark, k.family() == Family::ipv4 ? "" : "/ipv6");
    return fmt::format("{}/{}", to_string(Endpoint{k.address, k.port}), to_string(k.protocol));
}

Desired desired(const config::Config& c) {
    Desired d;
    // LVS's --set changes these three and leaves the other states alone.
    d.timeouts.tcp[1] = seconds(c.timeouts.tcp);
    d.timeouts.tcp[4] = seconds(c.timeouts.tcp_fin);
    d.timeouts.udp = seconds(c.timeouts.udp);
    d.behaviour = behaviour_of(c.behaviour);
    d.marks = marks_of(c.marks);
    for (const config::Service& s : c.services)
        for (const config::Virtual& v : s.virtuals) d.services.push_back(service_of(s, v));
    return d;
}

ServiceList::ServiceList(std::vector<Service> all) {
    all_.reserve(all.size());
    for (Service& s : all) all_.emplace_back(std::move(s));
}

const Service* find(const Desired& d, const ServiceKey& key) {
    const auto it = std::find_if(d.services.begin(), d.services.end(),
                                 [&](const Service& s) { return s.key == key; });
    return it == d.services.end() ? nullptr : &*it;
}

}  // namespace torii::control
