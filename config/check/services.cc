#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ranges>
#include <set>
#include <tuple>

#include "config/check/checks.h"

namespace torii::config {

std::string_view why_not_unicast(const Address& a) {
    if (a.is_unspecified()) return "the unspecified address";
    if (a.is_loopback()) return "a loopback address";
    if (a.is_multicast()) return "a multicast address";
    if (a.is_broadcast()) return "the broadcast address";
    return {};
}

namespace {

void unicast(const Address& address, const Mark& at, std::string_view what, Diagnostics& out) {
    const auto why = why_not_unicast(address);
    if (at && !at.bad && !why.empty())
        out.push_back(
            {at, fmt::format("{} {} is {}: it must be unicast", what, to_string(address), why)});
}

/// A loopback address can only mean this machine itself, which needs no translation.
void backend_address(const Backend& b, Diagnostics& out) {
    if (b.address.is_loopback() && b.forward != Forward::nat) return;
    unicast(b.address, b.address_mark, "the backend's address", out);
}

/// Where the backend's address was written.
const Mark& place(const Backend& b) { return b.address_mark ? b.address_mark : b.mark; }

bool is_known(const Backend& b) { return !b.address.is_unspecified(); }

std::string label(const Service& service) {
    return service.name.empty() ? "a service without a name" : fmt::format("'{}'", service.name);
}

}  // namespace

void check_servers(const Config& config, Diagnostics& out) {
    for (const auto& [name, server] : config.servers)
        unicast(server.address, server.address_mark, "the server's address", out);
}

void check_service_names(const Config& config, Diagnostics& out) {
    std::map<std::string_view, Mark> seen;
    for (const Service& service : config.services) {
        if (service.name.empty()) continue;
        const auto [first, fresh] = seen.emplace(service.name, service.name_mark);
        if (!fresh)
            out.push_back(
                {service.name_mark, fmt::format("the service name '{}' is already used at {}",
                                                service.name, to_string(first->second))});
    }
}

void check_virtuals(const Config& config, Diagnostics& out) {
    for (const Service& service : config.services) {
        for (const Virtual& v : service.virtuals) {
            if (v.fwmark != 0) continue;
            unicast(v.endpoint.address, v.mark, "the virtual address", out);
            if (v.endpoint.port == 0 && service.persistence.timeout == Duration(0))
                out.push_back({v.mark, fmt::format("{}: port 0 (every port) needs 'persistence'",
                                                   to_string(v))});
        }
    }
}

void check_same_virtual(const Config& config, Diagnostics& out) {
    std::map<std::tuple<Endpoint, Protocol, uint32_t>, std::pair<const Service*, Mark>> seen;
    for (const Service& service : config.services) {
        for (const Virtual& v : service.virtuals) {
            const auto [first, fresh] =
                seen.try_emplace({v.endpoint, v.protocol, v.fwmark}, &service, v.mark);
            if (!fresh)
                out.push_back({v.mark, fmt::format("{} already belongs to {} at {}", to_string(v),
                                                   label(*first->second.first),
                                                   to_string(first->second.second))});
        }
    }
}

void check_backend_from(const Config& config, Diagnostics& out) {
    const bool no_servers = config.servers_mark.bad && config.servers.empty();
    for (const Service& service : config.services) {
        for (const Backend& b : service.backends) {
            if (b.server_mark && b.address_mark)
                out.push_back({b.address_mark,
                               "'address' cannot stand beside 'server': the server "
                               "has one"});
            else if (!b.server_mark && !b.address_mark)
                out.push_back({b.mark, "a backend needs 'server' or 'address'"});
            if (!no_servers && b.server_mark && !b.server_mark.bad &&
                !config.servers.contains(b.server))
                out.push_back(
                    {b.server_mark, fmt::format("there is no server '{}' in 'servers'", b.server)});
            if (!b.server_mark) backend_address(b, out);
        }
    }
}

void check_backend_ports(const Config& config, Diagnostics& out) {
    for (const Service& service : config.services) {
        for (const Backend& b : service.backends) {
            if (!b.port || b.forward == Forward::nat) continue;
            const auto other = std::ranges::find_if(service.virtuals, [&](const Virtual& v) {
                return v.fwmark == 0 && v.endpoint.port != *b.port;
            });
            if (other != service.virtuals.end())
                out.push_back({b.port_mark,
                               fmt::format("{} cannot change ports: the backend gets "
                                           "{} on port {}; leave 'port' out or forward by nat",
                                           b.forward == Forward::dr ? "direct routing" : "a tunnel",
                                           to_string(*other), other->endpoint.port)});
        }
    }
}

void check_backend_family(const Config& config, Diagnostics& out) {
    for (const Service& service : config.services) {
        std::set<Family> families;
        for (const Virtual& v : service.virtuals) families.insert(v.endpoint.address.family());
        // Each virtual uses the backends of its family, so with both families all are of use.
        if (families.size() != 1 || service.virtual_mark.bad) continue;
        for (const Backend& b : service.backends) {
            if (!is_known(b) || b.forward == Forward::tunnel) continue;
            if (families.contains(b.address.family())) continue;
            const bool six = b.address.family() == Family::ipv6;
            out.push_back(
                {place(b), fmt::format("the backend's address {} is IPv{}, and {} has no IPv{} "
                                       "virtual: {} cannot change the family",
                                       to_string(b.address), six ? 6 : 4, label(service),
                                       six ? 6 : 4, to_string(b.forward))});
        }
    }
}

void check_same_backend(const Config& config, Diagnostics& out) {
    constexpr uint16_t kAsVirtual = 0;
    for (const Service& service : config.services) {
        std::set<uint16_t> virtual_ports;
        for (const Virtual& v : service.virtuals) virtual_ports.insert(v.endpoint.port);
        std::map<std::pair<Address, uint16_t>, Mark> seen;
        std::map<Address, Mark> on_virtual_port;
        for (const Backend& b : service.backends) {
            if (!is_known(b) || b.port_mark.bad) continue;
            const Mark* first = nullptr;
            // Without a port of its own it is the same as with one that is a virtual's.
            if (!b.port || virtual_ports.contains(*b.port)) {
                const auto other = seen.find({b.address, kAsVirtual});
                const auto written = on_virtual_port.find(b.address);
                if (other != seen.end()) first = &other->second;
                if (!b.port && written != on_virtual_port.end()) first = &written->second;
                if (b.port) on_virtual_port.emplace(b.address, b.mark);
            }
            const auto [same, fresh] =
                seen.emplace(std::pair{b.address, b.port.value_or(kAsVirtual)}, b.mark);
            if (!fresh) first = &same->second;
            if (first)
                out.push_back(
                    {b.mark, fmt::format("the backend {} is already in {} at {}",
                                         to_string(b.address), label(service), to_string(*first))});
        }
    }
}

void check_thresholds(const Config& config, Diagnostics& out) {
    for (const Service& service : config.services)
        for (const Backend& b : service.backends)
            if (b.lower > b.upper && b.lower_mark && !b.upper_mark.bad)
                out.push_back(
                    {b.lower_mark,
                     fmt::format("'lower' ({}) cannot be above 'upper' ({})", b.lower, b.upper)});
}

}  // namespace torii::config
