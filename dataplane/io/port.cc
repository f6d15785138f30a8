#include "dataplane/io/port.h"

#include <rte_ethdev.h>

#include <algorithm>
#include <array>

#include "dataplane/io/drivers.h"
#include "dataplane/io/handover.h"
#include "dataplane/stages/fragment_table.h"

namespace torii::io {
namespace {

constexpr std::array kDrivers = {
    Driver{config::Driver::af_xdp, plan_af_xdp, open_af_xdp},
    Driver{config::Driver::pci, plan_pci, open_pci},
    Driver{config::Driver::tap, plan_tap, open_tap},
    Driver{config::Driver::memory, plan_memory, open_memory},
};

constexpr uint32_t kEthernetRoom = 14 + 4 + 4;  // header, VLAN tag, checksum
constexpr uint32_t kUsualRoom = 2048;
// Waiting room, hand-over to the kernel, fragments that are held and bursts in flight of one worker.
constexpr uint32_t kPacketsPerWorker = 256 + 512 + stages::FragmentTable::kHeld + 256;

}  // namespace

const Driver& driver_of(config::Driver id) { return *std::ranges::find(kDrivers, id, &Driver::id); }

PacketMemory packet_memory(std::span<const PortPlan> plans, unsigned workers) {
    PacketMemory m;
    m.one_area = false;
    m.packets = workers * (kPacketsPerWorker + Handover::room(workers));
    m.room = RTE_PKTMBUF_HEADROOM + kUsualRoom;
    for (const PortPlan& p : plans) {
        // A receive queue full of empty buffers and a transmit queue full of packets, besides what
        // waits for the kernel's side of the port.
        m.packets +=
            p.queues * p.descriptors + std::max<uint32_t>(p.queues, workers) * p.descriptors;
        m.packets += 512 + p.kept;
        m.room = std::max(m.room, RTE_PKTMBUF_HEADROOM + p.spare_room + p.mtu + kEthernetRoom);
        m.one_area = m.one_area || p.one_area;
    }
    m.room = (m.room + 63) / 64 * 64;
    return m;
}

Port::~Port() = default;
Result<> Port::steer(const xdp::SteeringSet&) { return {}; }
void Port::give_up() { stop(); }
void Port::stop() {
    for (const DeviceQueue& q : facts_.receive)
        if (q.queue == 0) rte_eth_dev_stop(q.device);
}

}  // namespace torii::io
