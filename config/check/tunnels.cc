// Tunnels: what the types of encapsulation go with, as ipvsadm has it.

#include <fmt/format.h>

#include "config/check/checks.h"

namespace torii::config {
namespace {

void check_tunnel(const Tunnel& t, Diagnostics& out) {
    if (!t.mark || t.mark.bad) return;
    const auto type = to_string(t.type);
    if (t.type == TunnelType::gue && t.port == 0 && !t.port_mark.bad)
        out.push_back({t.mark, "a gue tunnel needs 'port'"});
    if (t.type != TunnelType::gue && t.port_mark)
        out.push_back({t.port_mark, fmt::format("a tunnel of type {} has no port", type)});
    const bool allowed = t.checksum == TunnelChecksum::none || t.type == TunnelType::gue ||
                         (t.type == TunnelType::gre && t.checksum == TunnelChecksum::csum);
    if (!allowed)
        out.push_back({t.checksum_mark, fmt::format("a tunnel of type {} has no checksum '{}'",
                                                    type, to_string(t.checksum))});
}

bool tunnels_somewhere(const Service& service) {
    if (service.backends.empty()) return service.forward == Forward::tunnel;
    for (const Backend& b : service.backends)
        if (b.forward == Forward::tunnel) return true;
    return false;
}

}  // namespace

void check_tunnels(const Config& config, Diagnostics& out) {
    for (const Service& service : config.services) {
        check_tunnel(service.tunnel, out);
        if (service.tunnel.mark && !tunnels_somewhere(service))
            out.push_back({service.tunnel.mark, "'tunnel' is for 'forward: tunnel' only"});
        for (const Backend& b : service.backends) {
            if (!b.tunnel_mark) continue;  // the service's
            check_tunnel(b.tunnel, out);
            if (b.forward != Forward::tunnel)
                out.push_back({b.tunnel_mark, "'tunnel' is for 'forward: tunnel' only"});
        }
    }
}

}  // namespace torii::config
