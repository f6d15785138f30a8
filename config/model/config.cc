#include "config/model/config.h"

#include <fmt/format.h>

#include <algorithm>

namespace torii::config {

std::string_view to_string(Hugepages h) {
    switch (h) {
        case Hugepages::automatic:
            return "auto";
        case Hugepages::never:
            return "never";
        case Hugepages::require:
            return "require";
    }
    return "unknown";
}

std::string_view to_string(Driver d) {
    switch (d) {
        case Driver::af_xdp:
            return "af_xdp";
        case Driver::pci:
            return "pci";
        case Driver::tap:
            return "tap";
        case Driver::memory:
            return "memory";
    }
    return "unknown";
}

std::string_view to_string(Forward f) {
    switch (f) {
        case Forward::nat:
            return "nat";
        case Forward::dr:
            return "dr";
        case Forward::tunnel:
            return "tunnel";
    }
    return "unknown";
}

std::string_view to_string(SchedulerFlag f) {
    switch (f) {
        case SchedulerFlag::sh_port:
            return "sh-port";
        case SchedulerFlag::sh_fallback:
            return "sh-fallback";
        case SchedulerFlag::mh_port:
            return "mh-port";
        case SchedulerFlag::mh_fallback:
            return "mh-fallback";
    }
    return "unknown";
}

std::string_view to_string(TunnelType t) {
    switch (t) {
        case TunnelType::ipip:
            return "ipip";
        case TunnelType::gue:
            return "gue";
        case TunnelType::gre:
            return "gre";
    }
    return "unknown";
}

std::string_view to_string(TunnelChecksum c) {
    switch (c) {
        case TunnelChecksum::none:
            return "none";
        case TunnelChecksum::csum:
            return "csum";
        case TunnelChecksum::remcsum:
            return "remcsum";
    }
    return "unknown";
}

std::string to_string(const Netmask& n) {
    if (n.mask != 0) return torii::to_string(Address::v4(be32::from_host(n.mask)));
    return fmt::format("{}", n.length);
}

std::string to_string(const PortRange& r) {
    return r.first == r.last ? fmt::format("{}", r.first) : fmt::format("{}-{}", r.first, r.last);
}

std::string to_string(const Virtual& v) {
    if (v.fwmark != 0)
        return fmt::format("mark:{}{}", v.fwmark, v.endpoint.address.is_v4() ? "" : "/ipv6");
    return fmt::format("{}/{}", to_string(v.endpoint), to_string(v.protocol));
}

bool is_instance_name(std::string_view name) {
    return !name.empty() && name.size() <= 32 && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-';
    });
}

std::string default_api_socket(std::string_view instance) {
    return fmt::format("/run/torii/{}/api.sock", instance);
}

void set_instance(Config& config, std::string name) {
    if (!config.api.socket_mark) config.api.socket = default_api_socket(name);
    config.instance = std::move(name);
}

std::vector<uint32_t> worker_cores(const Dataplane& dataplane, unsigned cpus) {
    if (!dataplane.workers.empty()) return dataplane.workers;
    return {cpus >= 2 ? 1u : 0u};
}

const std::vector<Health>& checks_of(const Service& service, const Backend& backend) {
    const bool own = !backend.health.empty() || !backend.checks.empty();
    return own ? backend.resolved : service.resolved;
}

uint16_t backend_port(const Backend& backend, const Virtual& v) {
    return backend.port.value_or(v.endpoint.port);
}

}  // namespace torii::config
