#include "config/check/check.h"

#include "config/check/checks.h"

namespace torii::config {
namespace {

using Check = void (*)(const Config&, Diagnostics&);

// Each looks at one thing; a new one is a function and a line here.
constexpr Check kChecks[] = {
    check_instance,     check_workers,       check_ports,          check_port_names,
    check_servers,      check_service_names, check_virtuals,       check_same_virtual,
    check_backend_from, check_backend_ports, check_backend_family, check_same_backend,
    check_thresholds,   check_persistence,   check_one_packet,     check_marks,
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
    check_memory(config, machine, found);
    return found;
}

}  // namespace torii::config
