#include "config/load/resolve.h"

namespace torii::config {
namespace {

void resolve_vrrp(Config& config) {
    for (VrrpInstance& instance : config.vrrp.instances)
        if (!instance.track.dataplane_mark)
            instance.track.dataplane = !config.dataplane.ports.empty();
}

}  // namespace

void resolve(Config& config) {
    set_instance(config, config.instance);
    resolve_vrrp(config);
    for (Service& service : config.services) {
        for (Backend& backend : service.backends) {
            if (!backend.forward_mark) backend.forward = service.forward;
            if (!backend.tunnel_mark) backend.tunnel = service.tunnel;
            const auto server = config.servers.find(backend.server);
            if (server == config.servers.end()) continue;
            if (!backend.address_mark) backend.address = server->second.address;
            if (!backend.weight_mark) backend.weight = server->second.weight;
        }
    }
}

}  // namespace torii::config
