#pragma once
// The single checks, for check.cc. Each adds a diagnostic for every place that breaks its rule, and
// passes over what could not be read at all: that has been reported already.

#include <vector>

#include "config/check/machine.h"
#include "config/model/config.h"

namespace torii::config {

using Diagnostics = std::vector<Diagnostic>;

void check_instance(const Config&, Diagnostics&);    ///< a name that can be part of a file name
void check_workers(const Config&, Diagnostics&);     ///< no core twice
void check_ports(const Config&, Diagnostics&);       ///< what each driver needs
void check_port_names(const Config&, Diagnostics&);  ///< no name, interface or device twice

void check_servers(const Config&, Diagnostics&);        ///< unicast addresses
void check_service_names(const Config&, Diagnostics&);  ///< no name twice
void check_virtuals(const Config&, Diagnostics&);       ///< addresses clients can send to, ports
void check_same_virtual(const Config&, Diagnostics&);   ///< address:port/protocol belongs to one

void check_backend_from(const Config&, Diagnostics&);    ///< a known server or a unicast address
void check_backend_ports(const Config&, Diagnostics&);   ///< dr keeps the virtual's port
void check_backend_family(const Config&, Diagnostics&);  ///< some virtual can use it
void check_same_backend(const Config&, Diagnostics&);    ///< not twice in one service
void check_thresholds(const Config&, Diagnostics&);      ///< lower is not above upper
void check_persistence(const Config&, Diagnostics&);     ///< whole seconds, a mask that fits
void check_one_packet(const Config&, Diagnostics&);      ///< UDP or a mark
void check_marks(const Config&, Diagnostics&);           ///< no block twice

void check_vrrp_instances(const Config&, Diagnostics&);   ///< each one in itself; names
void check_vrrp_router_ids(const Config&, Diagnostics&);  ///< one number once on a link
void check_vrrp_addresses(const Config&, Diagnostics&);   ///< each belongs to one instance
void check_vrrp_standby(const Config&, Diagnostics&);     ///< there is room for backup_only
void check_vrrp_tracking(const Config&, Diagnostics&);    ///< what is there, weights that matter
void check_vrrp_notify(const Config&, Diagnostics&);      ///< paths
void check_vrrp_groups(const Config&, Diagnostics&);      ///< known members, each in one group

void check_tunnels(const Config&, Diagnostics&);  ///< port and checksum as the type has them

void check_local(const Config&, const Machine&, Diagnostics&);  ///< backends on this machine
void check_health_type(const Config&, Diagnostics&);   ///< every check has one
void check_health_via(const Config&, Diagnostics&);    ///< via: service only where it can be
void check_health_port(const Config&, Diagnostics&);   ///< there is a port to probe
void check_quorum(const Config&, Diagnostics&);        ///< hysteresis below up; commands
void check_sorry_server(const Config&, Diagnostics&);  ///< an address some virtual can use

void check_cores(const Config&, const Machine&, Diagnostics&);
void check_interfaces(const Config&, const Machine&, Diagnostics&);
void check_memory(const Config&, const Machine&, Diagnostics&);
void check_vrrp_interfaces(const Config&, const Machine&, Diagnostics&);

/// Why packets cannot be sent to the address ("a multicast address"), or "".
std::string_view why_not_unicast(const Address&);
/// Whether Linux would take it as the name of an interface; reports if not. Nothing if not written.
void check_interface_name(const std::string& name, const Mark&, Diagnostics&);

}  // namespace torii::config
