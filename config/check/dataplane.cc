#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <map>
#include <set>

#include "config/base/units.h"
#include "config/check/checks.h"

namespace torii::config {
namespace {

/// Linux's rule for interface names (dev_valid_name).
bool is_interface_name(std::string_view name) {
    return !name.empty() && name.size() < IFNAMSIZ && name != "." && name != ".." &&
           name.find_first_of("/: \t") == name.npos;
}

void need(const Port& port, const std::string& value, std::string_view key, Diagnostics& out) {
    if (value.empty())
        out.push_back(
            {port.mark, fmt::format("driver {} needs '{}'", to_string(port.driver), key)});
}

void refuse(const Port& port, const Mark& at, std::string_view key, Diagnostics& out) {
    if (at) out.push_back({at, fmt::format("driver {} has no '{}'", to_string(port.driver), key)});
}

using Places = std::map<std::string, Mark>;
void once(Places& seen, const std::string& value, const Mark& at, std::string_view what,
          Diagnostics& out) {
    if (!at || value.empty()) return;
    const auto [first, fresh] = seen.emplace(value, at);
    if (!fresh)
        out.push_back({at, fmt::format("{} '{}' is already used at {}", what, value,
                                       to_string(first->second))});
}

}  // namespace

void check_interface_name(const std::string& name, const Mark& at, Diagnostics& out) {
    if (at && !at.bad && !is_interface_name(name))
        out.push_back(
            {at, fmt::format("'{}' cannot be the name of an interface: 1 to 15 characters "
                             "without spaces, '/' and ':'",
                             name)});
}

void check_instance(const Config& config, Diagnostics& out) {
    if (!is_instance_name(config.instance))
        out.push_back({config.instance_mark,
                       "'instance' must be 1 to 32 letters, digits, '_' and '-': it names files"});
    if (!config.api.socket.starts_with('/'))
        out.push_back({config.api.socket_mark, "'socket' must be an absolute path"});
}

void check_workers(const Config& config, Diagnostics& out) {
    const auto& workers = config.dataplane.workers;
    std::set<uint32_t> seen;
    std::set<uint32_t> told;
    for (const uint32_t core : workers)
        if (!seen.insert(core).second && told.insert(core).second)
            out.push_back({config.dataplane.workers_mark,
                           fmt::format("core {} is given twice: a core runs one worker", core)});
}

void check_ports(const Config& config, Diagnostics& out) {
    const bool vrrp_alone = config.services.empty() && config.vrrp.mark;
    if (config.dataplane.ports.empty() && !config.dataplane.ports_mark.bad && !vrrp_alone) {
        const Dataplane& d = config.dataplane;
        const Mark file{config.mark.file};
        out.push_back({d.ports_mark ? d.ports_mark
                       : d.mark     ? d.mark
                                    : file,
                       "there is no port: 'dataplane.ports' needs at least one"});
    }
    for (const Port& port : config.dataplane.ports) {
        check_interface_name(port.interface, port.interface_mark, out);
        check_interface_name(port.kernel_interface, port.kernel_interface_mark, out);
        if (port.driver_mark.bad) continue;
        switch (port.driver) {
            case Driver::af_xdp:
                if (!port.interface_mark) need(port, port.interface, "interface", out);
                refuse(port, port.device_mark, "device", out);
                refuse(port, port.kernel_interface_mark, "kernel_interface", out);
                break;
            case Driver::pci:
                if (!port.device_mark) need(port, port.device, "device", out);
                refuse(port, port.interface_mark, "interface", out);
                break;
            case Driver::tap:
                refuse(port, port.device_mark, "device", out);
                break;
            case Driver::memory:  // a device there is the virtual one to stand in for memory
                break;
        }
    }
}

void check_port_names(const Config& config, Diagnostics& out) {
    Places names, interfaces, devices;
    for (const Port& port : config.dataplane.ports) {
        once(names, port.name, port.name_mark, "the port name", out);
        once(interfaces, port.interface, port.interface_mark, "interface", out);
        once(interfaces, port.kernel_interface, port.kernel_interface_mark, "interface", out);
        once(devices, port.device, port.device_mark, "device", out);
    }
}

void check_cores(const Config& config, const Machine& machine, Diagnostics& out) {
    std::set<uint32_t> told;
    for (const uint32_t core : config.dataplane.workers)
        if (core >= machine.cpus && told.insert(core).second)
            out.push_back({config.dataplane.workers_mark,
                           fmt::format("there is no core {}: this machine has 0 to {}", core,
                                       std::max(machine.cpus, 1u) - 1)});
}

void check_interfaces(const Config& config, const Machine& machine, Diagnostics& out) {
    std::string known;
    for (const std::string& name : machine.interfaces) known += ' ' + name;
    for (const Port& port : config.dataplane.ports)
        if (port.driver == Driver::af_xdp && !machine.interfaces.contains(port.interface))
            out.push_back({port.interface_mark,
                           fmt::format("there is no interface '{}': this machine has{}",
                                       port.interface, known.empty() ? " none" : known)});
}

// A backend that is this machine itself (LVS: Local) is served by its kernel, whose answers go
// straight to the client.
void check_local(const Config& config, const Machine& machine, Diagnostics& out) {
    const auto& ports = config.dataplane.ports;
    const auto shut = std::ranges::find_if(ports, [](const Port& p) {
        return p.driver != Driver::af_xdp && p.kernel_interface.empty();
    });
    for (const Service& service : config.services) {
        for (const Backend& b : service.backends) {
            if (!machine.addresses.contains(b.address) && !b.address.is_loopback()) continue;
            const Mark& at = b.address_mark ? b.address_mark : b.mark;
            const std::string who =
                fmt::format("the backend {} is this machine itself", to_string(b.address));
            for (const Health& h : checks_of(service, b))
                if (h.via == HealthVia::service && h.type != HealthType::none)
                    out.push_back({h.mark, who + ": 'via: service' needs a server elsewhere"});
            if (b.forward == Forward::nat)
                out.push_back({at, who + ", whose answers would not be translated: forward by dr"});
            else if (shut != ports.end())
                out.push_back({at, fmt::format("{}, and port '{}' has no way into its kernel: "
                                               "'kernel_interface' makes one",
                                               who, shut->name)});
        }
    }
}

void check_memory(const Config& config, const Machine& machine, Diagnostics& out) {
    constexpr uint64_t kEntryBytes = 96;  // all-in, of an IPv4 connection at the design load
    constexpr uint64_t kMiB = 1u << 20;
    const uint64_t needed = config.dataplane.connections * kEntryBytes;
    if (needed <= machine.memory_bytes) return;
    const Mark& at = config.dataplane.connections_mark;
    out.push_back({at ? at : Mark{config.mark.file},
                   fmt::format("a table of {} connections needs about {} MiB, and this machine has "
                               "{} MiB: lower 'connections' to at most {}",
                               config.dataplane.connections, needed / kMiB,
                               machine.memory_bytes / kMiB, machine.memory_bytes / kEntryBytes)});
}

}  // namespace torii::config
