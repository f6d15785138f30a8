#include "config/load/resolve.h"

#include "config/schema/schema.h"

namespace torii::config {
namespace {

void resolve_vrrp(Config& config) {
    for (VrrpInstance& instance : config.vrrp.instances) {
        if (!instance.track.dataplane_mark)
            instance.track.dataplane = !config.dataplane.ports.empty();
        for (VrrpTrackScript& script : instance.track.scripts) {
            if (!script.name.empty() || script.command.empty()) continue;
            const std::string& program = script.command.front();
            script.name = program.substr(program.rfind('/') + 1);
        }
    }
}

void resolve_checks(Service& service) {
    service.resolved = service.checks;
    for (Health& h : service.resolved) inherit(service.health, h);
    if (service.checks.empty() && service.health.type != HealthType::none)
        service.resolved = {service.health};
    for (Backend& b : service.backends) {
        if (b.health.empty() && b.checks.empty()) continue;
        b.resolved = b.checks.empty() ? service.resolved : b.checks;
        if (!b.checks.empty())
            for (Health& h : b.resolved) inherit(service.health, h);
        if (b.health.empty()) continue;
        if (b.resolved.empty()) b.resolved = {service.health};
        for (Health& h : b.resolved) {
            Health own = b.health.front();
            inherit(h, own);
            h = std::move(own);
        }
    }
}

}  // namespace

void resolve(Config& config) {
    set_instance(config, config.instance);
    resolve_vrrp(config);
    for (Service& service : config.services) {
        resolve_checks(service);
        for (Backend& backend : service.backends) {
            if (!backend.forward_mark) backend.forward = service.forward;
            if (!backend.tunnel_mark && backend.forward == Forward::tunnel)
                backend.tunnel = service.tunnel;
            const auto server = config.servers.find(backend.server);
            if (server == config.servers.end()) continue;
            if (!backend.address_mark) backend.address = server->second.address;
            if (!backend.weight_mark) backend.weight = server->second.weight;
        }
    }
}

}  // namespace torii::config
