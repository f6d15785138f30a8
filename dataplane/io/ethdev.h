#pragma once
// Bringing up one DPDK device: what every driver of a port does in the same way.

#include <string>

#include "dataplane/io/port.h"

namespace torii::io {

/// Creates a virtual device, "net_tap0" with "iface=x", and returns its DPDK port number.
Result<uint16_t> make_vdev(const std::string& name, const std::string& arguments);
/// Removes it again, by its DPDK port number.
void remove_vdev(uint16_t device);

/// The DPDK port number of a device that was found on a bus.
Result<uint16_t> find_device(const std::string& name);

/// Configures and starts `device` with up to `queues` receive queues and as many transmit queues as
/// there are workers or the device has, appends them to `facts`, and fills in `mac` (if zero).
Result<> start_device(const PortRequest&, uint16_t device, uint16_t queues, PortFacts& facts);

/// A kernel device's number, 0 for none.
uint32_t interface_index(const std::string& name);

}  // namespace torii::io
