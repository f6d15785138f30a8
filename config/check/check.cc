#include "config/check/check.h"

#include "config/check/checks.h"

namespace torii::config {
namespace {

using Check = void (*)(const Config&, Diagnostics&);

// Each looks at one thing; a new one is a function and a line here.
constexpr Check kChecks[] = {
    check_instance,      check_workers,        check_ports,           check_port_names,
    check_servers,       check_service_names,  check_virtuals,        check_same_virtual,
    check_backend_from,  check_backend_ports,  check_backend_family,  check_same_backend,
    check_thresholds,    check_persistence,    check_one_packet,      check_marks,
    check_tunnels,       check_vrrp_instances, check_vrrp_router_ids, check_vrrp_addresses,
    check_vrrp_tracking, check_vrrp_notify,    check_vrrp_groups,     check_health_type,
    check_health_via,    check_health_port,    check_quorum,          check_sorry_server,
    check_vrrp_standby,
};

}  // namespace

std::vector<Diagnostic> check(const Config& config) {
    Diagnostics found;
    for (const Check one : kChecks) one(config, found);
    return found;
}

std::vector<Diagnostic> check_machine(const Config& config, const Machine& machine) {
    Diagnostics found;
    check_cores(config, machine, found);
    check_interfaces(config, machine, found);
    check_vrrp_interfaces(config, machine, found);
    check_memory(config, machine, found);
    check_local(config, machine, found);
    return found;
}

}  // namespace torii::config
