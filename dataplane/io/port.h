#pragma once
// Ports: where packets come in and go out. Every driver ends in a DPDK device; what differs is how
// the device is found, checked and set up, so a driver is a row of kDrivers.
//
// Ports are opened, steered and closed by the main thread. Packets go through queues: each receive
// queue belongs to one worker; a transmit queue belongs to one worker, or is shared under a lock
// when the port has fewer queues than there are workers.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/model/config.h"
#include "dataplane/io/eal.h"
#include "dataplane/xdp/steering.h"

namespace torii::io {

/// What a port will need, known before DPDK runs.
struct PortPlan {
    uint16_t queues = 1;         ///< receive queues
    uint16_t descriptors = 512;  ///< of each queue
    uint32_t kept = 0;           ///< packets the device keeps for itself
    uint32_t mtu = 1500;
    uint32_t spare_room = 0;  ///< bytes the driver keeps before a frame, besides the headroom
    bool one_area = false;    ///< see PacketMemory
};

struct PortRequest {
    const config::Port* config = nullptr;
    uint16_t index = 0;  ///< dataplane port number
    PortPlan plan;
    unsigned workers = 1;
    rte_mempool* pool = nullptr;
    /// What to steer here from the first packet on; none: no generation is known yet, and what a
    /// former run left in the interface's guard stays.
    const xdp::SteeringSet* steering = nullptr;
};

/// A queue of a DPDK device. A port usually is one device, but may be made of several.
struct DeviceQueue {
    uint16_t device = 0;  ///< DPDK's port number
    uint16_t queue = 0;
    int wake_fd = -1;  ///< of a receive queue: a descriptor that poll(2) understands, or -1
};

struct PortFacts {
    std::string name;
    config::Driver driver = config::Driver::memory;
    std::string interface;         ///< kernel device whose routes and neighbours the port serves
    std::string kernel_interface;  ///< TAP to make for the kernel's packets; empty: the instance's
    Mac mac;
    uint32_t mtu = 1500;
    std::vector<DeviceQueue> receive, transmit;
};

class Port {
public:
    explicit Port(PortFacts facts) : facts_(std::move(facts)) {}
    virtual ~Port();
    Port(const Port&) = delete;
    Port& operator=(const Port&) = delete;

    const PortFacts& facts() const { return facts_; }
    /// Brings what the interface redirects to `set`. Nothing to do for ports that get everything.
    virtual Result<> steer(const xdp::SteeringSet& set);
    /// Stops the device. Packets of services keep away from the kernel where they did so before.
    virtual void stop();
    /// Instead of stop() when the start as a whole failed: also undoes what opening changed on a
    /// machine where torii was not at work before.
    virtual void give_up();

protected:
    PortFacts facts_;
};

struct Driver {
    config::Driver id;
    /// Looks at the machine without changing it; the error is what the operator has to mend.
    Result<PortPlan> (*plan)(const config::Port&, unsigned workers);
    Result<std::unique_ptr<Port>> (*open)(const PortRequest&);
};
const Driver& driver_of(config::Driver);

/// The pool that ports of these plans share.
PacketMemory packet_memory(std::span<const PortPlan> plans, unsigned workers);

}  // namespace torii::io
