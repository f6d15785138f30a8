// Drivers tap and memory: DPDK's virtual devices, for tests and benches.
//
// memory: `device` may be any DPDK virtual device with its arguments, for example
//   net_pcap0,rx_pcap=FILE,infinite_rx=1,tx_drop=1
// so that one program is measured with the rig another was. Without it the port is a ring: what is
// sent comes back.
// tap: a TAP named `interface`; what the kernel sends out of it is received here. It is the wire of
// the port, not the host's own interface on that wire: that is `kernel_interface`.

#include <fmt/format.h>
#include <net/if.h>
#include <rte_ethdev.h>

#include <filesystem>

#include "dataplane/io/drivers.h"
#include "dataplane/io/ethdev.h"

namespace torii::io {
namespace {

class VdevPort : public Port {
public:
    using Port::Port;
    void stop() override {
        Port::stop();
        remove_vdev(facts_.receive.front().device);
    }
};

// The two ends of a TAP must not carry one address.
Mac other_end(Mac mac) {
    mac.bytes[0] = 0x02;
    mac.bytes[5] ^= 0x01;
    return mac;
}

PortFacts facts_of(const PortRequest& r) {
    PortFacts f;
    f.name = r.config->name;
    f.driver = r.config->driver;
    f.kernel_interface = r.config->kernel_interface;
    f.interface = r.config->kernel_interface;
    f.mtu = r.plan.mtu;
    return f;
}

Result<std::unique_ptr<Port>> open(const PortRequest& r, PortFacts f, const std::string& device,
                                   const std::string& arguments) {
    const auto number = make_vdev(device, arguments);
    if (!number)
        return tl::unexpected(Error(number.error()).within(fmt::format("port {}", f.name)));
    rte_ether_addr mac;
    if (f.driver == config::Driver::tap && rte_eth_macaddr_get(*number, &mac) == 0) {
        std::copy_n(mac.addr_bytes, 6, f.mac.bytes.begin());
        f.mac = other_end(f.mac);
    }
    if (auto ok = start_device(r, *number, r.plan.queues, f); !ok) {
        remove_vdev(*number);
        return tl::unexpected(ok.error());
    }
    return std::make_unique<VdevPort>(std::move(f));
}

// With infinite_rx the pcap driver loads its whole file into packet memory. A record has a header
// of 16 bytes and a frame of 60 or more.
uint32_t replayed_packets(const std::string& device) {
    constexpr std::string_view kFile = "rx_pcap=";
    const size_t at = device.find(kFile);
    if (at == std::string::npos || device.find("infinite_rx=1") == std::string::npos) return 0;
    const size_t begin = at + kFile.size();
    std::error_code error;
    const auto bytes =
        std::filesystem::file_size(device.substr(begin, device.find(',', begin) - begin), error);
    return error ? 0 : uint32_t(bytes / 76 + 1);
}

PortPlan small_plan(const config::Port& port) {
    PortPlan plan;
    plan.queues = uint16_t(port.queues ? port.queues : 1);
    return plan;
}

}  // namespace

Result<PortPlan> plan_tap(const config::Port& port, unsigned) {
    if (!port.interface.empty() && interface_index(port.interface) != 0)
        return fail(Errc::exists,
                    fmt::format("port {}: the interface '{}' is there already: driver tap makes "
                                "its own",
                                port.name, port.interface));
    return small_plan(port);
}

Result<std::unique_ptr<Port>> open_tap(const PortRequest& r) {
    PortFacts f = facts_of(r);
    const std::string name =
        r.config->interface.empty() ? fmt::format("torii-tap{}", r.index) : r.config->interface;
    if (f.interface.empty()) f.interface = name;
    return open(r, std::move(f), fmt::format("net_tap{}", r.index), "iface=" + name);
}

Result<PortPlan> plan_memory(const config::Port& port, unsigned) {
    PortPlan plan = small_plan(port);
    plan.kept = replayed_packets(port.device) * plan.queues;
    plan.one_area = plan.kept != 0;  // on ordinary pages every packet would else have one to itself
    return plan;
}

Result<std::unique_ptr<Port>> open_memory(const PortRequest& r) {
    const std::string& device = r.config->device;
    if (device.empty()) return open(r, facts_of(r), fmt::format("net_ring{}", r.index), "");
    const size_t comma = std::min(device.find(','), device.size());
    return open(r, facts_of(r), device.substr(0, comma),
                comma < device.size() ? device.substr(comma + 1) : "");
}

}  // namespace torii::io
