#include <fmt/format.h>

#include <algorithm>

#include "config/check/checks.h"

namespace torii::config {
namespace {

bool says_type(const Health& h) {
    return std::ranges::find(h.written.keys, "type") != h.written.keys.end();
}

/// Whether some server is checked by what the service's `health` says of itself.
bool is_a_check(const Service& s) {
    return s.health_mark && s.checks.empty() &&
           (s.backends.empty() || std::ranges::any_of(s.backends, [](const Backend& b) {
                return b.checks.empty() && (b.health.empty() || !says_type(b.health.front()));
            }));
}

/// Every check as it was written: of the service, and of its backends.
template <class Look>
void each_written(const Service& s, Look look) {
    if (is_a_check(s)) look(s.health, s.health);
    for (size_t i = 0; i < s.checks.size(); ++i)
        look(s.checks[i], i < s.resolved.size() ? s.resolved[i] : s.checks[i]);
    for (const Backend& b : s.backends)
        for (size_t i = 0; i < b.checks.size(); ++i)
            look(b.checks[i], i < b.resolved.size() ? b.resolved[i] : b.checks[i]);
}

}  // namespace

void check_health_type(const Config& config, Diagnostics& out) {
    for (const Service& s : config.services)
        each_written(s, [&](const Health& written, const Health& resolved) {
            if (resolved.type == HealthType::none && !says_type(written) && !written.mark.bad &&
                !s.health_mark.bad)
                out.push_back({written.mark, "'type' is missing: a check needs one"});
        });
}

namespace {

/// Why the backend cannot be probed by the way of the service; empty when it can.
std::string why_not_via(const Service& s, const Backend& b, const Health& h) {
    if (b.forward == Forward::nat)
        return fmt::format(
            "'via: service' is for dr and tunnel: {} is forwarded by nat and does "
            "not have the virtual address",
            to_string(b.address));
    if (h.type == HealthType::script || h.type == HealthType::icmp)
        return fmt::format("'via: service' is not for type {}: a service carries tcp and udp",
                           to_string(h.type));
    if (!h.address.is_unspecified() || !h.interface.empty() || h.fwmark != 0)
        return "'via: service' takes the traffic's way: leave 'address', 'interface' and 'fwmark' "
               "out";
    for (const Virtual& v : s.virtuals) {
        if (v.fwmark != 0)
            return fmt::format("'via: service' needs a virtual address, and {} has none",
                               to_string(v));
        const Family inner = v.endpoint.address.family();
        if (b.forward == Forward::dr && inner != b.address.family()) continue;  // not its virtual
        const Address& source = h.bind.is_unspecified() ? b.address : h.bind;
        if (inner != source.family())
            return fmt::format(
                "'via: service': {} is of another family than {}: name an address of "
                "this machine by 'bind'",
                to_string(v), to_string(source));
    }
    return {};
}

}  // namespace

void check_health_via(const Config& config, Diagnostics& out) {
    for (const Service& s : config.services)
        for (const Backend& b : s.backends)
            for (const Health& h : checks_of(s, b)) {
                if (h.via != HealthVia::service || h.type == HealthType::none) continue;
                if (std::string why = why_not_via(s, b, h); !why.empty())
                    out.push_back({h.mark, std::move(why)});
            }
}

void check_health_port(const Config& config, Diagnostics& out) {
    for (const Service& s : config.services) {
        const bool any_port =
            std::ranges::any_of(s.virtuals, [](const Virtual& v) { return v.endpoint.port == 0; });
        if (!any_port) continue;
        for (const Backend& b : s.backends)
            for (const Health& h : checks_of(s, b))
                if (!b.port && !h.port && h.type != HealthType::none &&
                    h.type != HealthType::script && h.type != HealthType::icmp)
                    out.push_back({h.mark, "'port' is missing: the virtual has none to probe"});
    }
}

void check_quorum(const Config& config, Diagnostics& out) {
    for (const Service& s : config.services) {
        const Quorum& q = s.quorum;
        if (q.hysteresis >= q.up)
            out.push_back({q.mark, fmt::format("'hysteresis' ({}) must be less than 'up' ({})",
                                               q.hysteresis, q.up)});
        const Notify& n = s.notify;
        for (const auto& [command, mark] : {std::pair{&q.on_up, &q.mark},
                                            {&q.on_down, &q.mark},
                                            {&n.up, &n.mark},
                                            {&n.down, &n.mark}})
            if (!command->empty() && !command->front().starts_with('/'))
                out.push_back({*mark, fmt::format("the command '{}' must be an absolute path",
                                                  command->front())});
    }
}

void check_sorry_server(const Config& config, Diagnostics& out) {
    for (const Service& s : config.services) {
        const Address& a = s.sorry_server.address;
        if (a.is_unspecified()) continue;
        if (a.is_loopback() || a.is_multicast() || a.is_broadcast())
            out.push_back(
                {s.sorry_server.mark,
                 fmt::format("the sorry server's address {} must be unicast", to_string(a))});
        if (s.forward == Forward::dr && s.sorry_server.port)
            for (const Virtual& v : s.virtuals)
                if (v.endpoint.port != *s.sorry_server.port)
                    out.push_back({s.sorry_server.mark,
                                   "direct routing cannot change ports: leave 'port' out"});
        const bool usable = std::ranges::any_of(s.virtuals, [&](const Virtual& v) {
            return s.forward == Forward::tunnel || v.endpoint.address.family() == a.family();
        });
        if (!usable && !s.virtuals.empty())
            out.push_back({s.sorry_server.mark,
                           fmt::format("no virtual of the service has the family of the sorry "
                                       "server's address {}",
                                       to_string(a))});
    }
}

}  // namespace torii::config
