// Persistence, one-packet scheduling and marks.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "config/check/checks.h"

namespace torii::config {
namespace {

bool has(const Service& service, Family family) {
    return std::ranges::any_of(
        service.virtuals, [&](const Virtual& v) { return v.endpoint.address.family() == family; });
}

void check_netmask(const Service& service, Diagnostics& out) {
    const Persistence& p = service.persistence;
    if (!p.netmask || service.virtual_mark.bad) return;
    const bool four = has(service, Family::ipv4), six = has(service, Family::ipv6);
    if (four && six)
        out.push_back({p.netmask_mark,
                       fmt::format("'netmask' means another thing for IPv4 and for IPv6, and '{}' "
                                   "has virtuals of both: make it two services",
                                   service.name)});
    else if (six && p.netmask->length == 0)
        out.push_back({p.netmask_mark, "'netmask' of an IPv6 service must be a prefix length"});
    else if (four && p.netmask->length > 32)
        out.push_back(
            {p.netmask_mark, fmt::format("an IPv4 address has no {} bits", p.netmask->length)});
}

}  // namespace

void check_persistence(const Config& config, Diagnostics& out) {
    for (const Service& service : config.services) {
        const Persistence& p = service.persistence;
        if (p.timeout % std::chrono::seconds(1) != Duration(0))
            out.push_back({p.timeout_mark, "persistence is counted in whole seconds"});
        check_netmask(service, out);
    }
}

void check_one_packet(const Config& config, Diagnostics& out) {
    for (const Service& service : config.services) {
        if (!service.one_packet) continue;
        const auto other = std::ranges::find_if(service.virtuals, [](const Virtual& v) {
            return v.fwmark == 0 && v.protocol != Protocol::udp;
        });
        if (other != service.virtuals.end())
            out.push_back({service.one_packet_mark,
                           fmt::format("one_packet is for udp virtuals and marks only, not for {}",
                                       to_string(*other))});
    }
}

void check_marks(const Config& config, Diagnostics& out) {
    std::map<std::tuple<Prefix, Protocol, uint16_t, uint16_t>, Mark> seen;
    for (const MarkRule& rule : config.marks) {
        if (rule.destination_mark.bad || rule.ports_mark.bad) continue;
        const std::vector<PortRange> all{PortRange{}};
        for (const PortRange& r : rule.ports.empty() ? all : rule.ports) {
            const auto [first, fresh] = seen.try_emplace(
                {rule.destination.masked(), rule.protocol, r.first, r.last}, rule.mark);
            if (!fresh)
                out.push_back(
                    {rule.mark, fmt::format("{} {} ports {} already have a mark, given at {}",
                                            to_string(rule.destination), to_string(rule.protocol),
                                            to_string(r), to_string(first->second))});
        }
    }
}

}  // namespace torii::config
