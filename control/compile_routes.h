#pragma once
// From what the kernel knows to what the dataplane looks up. Pure functions.

#include <span>
#include <vector>

#include "control/kernel/snapshot.h"
#include "dataplane/shm/control_block.h"
#include "dataplane/shm/routes.h"

namespace torii::control {

/// The way a kernel device is reached through the dataplane's ports.
struct Attachment {
    uint16_t port = shm::kNoPort;  ///< index into the ports, or kNoPort
    uint16_t vlan = 0;
    Mac mac;
};
/// A port's own interface, or a VLAN device on it. Bridges, bonds and stacked VLANs have no port.
Attachment attachment(const kernel::Snapshot&, std::span<const shm::PortInfo>, uint32_t ifindex);

/// The tables of one generation (generation number 0). Neighbours that are usable and on a port are
/// all in it; routes are those that count in the main table.
shm::RoutesDescription compile(const kernel::Snapshot&, std::span<const shm::PortInfo>);

}  // namespace torii::control
