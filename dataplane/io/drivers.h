#pragma once
// The drivers of the table in port.cc, one file each.

#include "dataplane/io/port.h"

namespace torii::io {

Result<PortPlan> plan_af_xdp(const config::Port&, unsigned workers);
Result<std::unique_ptr<Port>> open_af_xdp(const PortRequest&);

Result<PortPlan> plan_pci(const config::Port&, unsigned workers);
Result<std::unique_ptr<Port>> open_pci(const PortRequest&);

Result<PortPlan> plan_tap(const config::Port&, unsigned workers);
Result<std::unique_ptr<Port>> open_tap(const PortRequest&);

Result<PortPlan> plan_memory(const config::Port&, unsigned workers);
Result<std::unique_ptr<Port>> open_memory(const PortRequest&);

}  // namespace torii::io
