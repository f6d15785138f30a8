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

void check_cores(const Config&, const Machine&, Diagnostics&);
void check_interfaces(const Config&, const Machine&, Diagnostics&);
void check_memory(const Config&, const Machine&, Diagnostics&);

}  // namespace torii::config
