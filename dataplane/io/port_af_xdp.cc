// Driver af_xdp: a Linux interface that the kernel keeps. torii's XDP program redirects packets of
// services to the sockets of DPDK's net_af_xdp; everything else passes on to the kernel.

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include "dataplane/io/drivers.h"
#include "dataplane/io/ethdev.h"
#include "dataplane/io/log.h"

namespace torii::io {
namespace {

constexpr uint16_t kDescriptors = 2048;  // net_af_xdp fills its ring with this many at the start
constexpr uint32_t kXdpHeadroom = 256;   // XDP_PACKET_HEADROOM: the kernel leaves it before a frame
constexpr uint32_t kLargestMtu = 3542;   // what fits a page with the driver's headers

class AfXdpPort : public Port {
public:
    /// `steered`: what the maps were brought to already, or null.
    AfXdpPort(PortFacts facts, bool first, const xdp::SteeringSet* steered)
        : Port(std::move(facts)), first_(first) {
        if (steered) steered_ = *steered;
    }
    Result<> steer(const xdp::SteeringSet& set) override {
        auto done = steered_ ? xdp::apply(facts_.interface, *steered_, set)
                             : xdp::apply(facts_.interface, set);
        if (done)
            steered_ = set;
        else
            steered_.reset();  // nobody knows what is there: next time everything is looked at
        return done;
    }
    // Devices are stopped, not closed: closing would detach the program, which from now on has no
    // sockets and therefore drops. The sockets go with the process.
    void give_up() override {
        stop();
        if (first_) (void)xdp::release(facts_.interface);
    }

private:
    std::optional<xdp::SteeringSet> steered_;
    bool first_;  // neither program was attached before this run
};

tl::unexpected<Error> in_port(const std::string& name, const Error& error) {
    return tl::unexpected(Error(error).within(fmt::format("port {}", name)));
}

Result<uint32_t> mtu_of(const std::string& interface) {
    uint32_t mtu = 0;
    std::ifstream(fmt::format("/sys/class/net/{}/mtu", interface)) >> mtu;
    return mtu ? mtu : 1500;
}

// There must be no moment in which the kernel sees a service's packet: the guard is in place before
// a program that a former run left is taken away.
Result<> make_way(const PortRequest& r) {
    const std::string& interface = r.config->interface;
    const auto before = xdp::attached(interface);
    if (!before) return tl::unexpected(before.error());
    if (r.steering || before->guard.owner != xdp::Owner::ours) {
        const xdp::SteeringSet nothing;
        if (auto ok = xdp::guard(interface, r.steering ? *r.steering : nothing); !ok) return ok;
    }
    return xdp::detach_xdp(interface);
}

// One device where it can bind every queue. A driver that counts receive and transmit queues apart
// (veth) lets a device bind only one: then each queue gets a device, and because each brings its
// own program and only the last one stays attached, that one is told all sockets.
Result<> start_devices(const PortRequest& r, const std::string& program, PortFacts& f) {
    const auto queues = xdp::queues(f.interface);
    if (!queues) return tl::unexpected(queues.error());
    const bool together = queues->bindable >= r.plan.queues;
    const auto each = uint16_t(together ? r.plan.queues : 1);
    for (uint16_t first = 0; first < r.plan.queues; first = uint16_t(first + each)) {
        if (auto ok = xdp::detach_xdp(f.interface); !ok) return ok;
        const auto device = make_vdev(
            fmt::format("net_af_xdp{}_{}", r.index, first),
            fmt::format("iface={},start_queue={},queue_count={},xdp_prog={},busy_budget=0",
                        f.interface, first, each, program));
        if (!device) return tl::unexpected(device.error());
        if (auto ok = start_device(r, *device, each, f); !ok) return ok;
    }
    if (together) return {};
    std::vector<int> sockets;
    for (const DeviceQueue& q : f.receive) sockets.push_back(q.wake_fd);
    return xdp::bind_sockets(f.interface, sockets);
}

Result<> start(const PortRequest& r, PortFacts& f, bool first) {
    if (auto ok = make_way(r); !ok) return ok;
    const auto program = xdp::ProgramFile::create();
    if (!program) return tl::unexpected(program.error());
    auto started = start_devices(r, program->path(), f);
    if (started && r.steering) started = xdp::apply(f.interface, *r.steering);
    // A device that did not start may have left its program, which takes packets for nobody.
    if (!started) (void)(first ? xdp::release(f.interface) : xdp::detach_xdp(f.interface));
    return started;
}

}  // namespace

Result<PortPlan> plan_af_xdp(const config::Port& port, unsigned) {
    const auto now = xdp::attached(port.interface);
    if (!now) return in_port(port.name, now.error());
    if (now->xdp.owner == xdp::Owner::foreign)
        return fail(
            Errc::exists,
            fmt::format("port {}: interface {} already has the XDP program '{}' (id {}), "
                        "which is not torii's: detach it first (ip link set {} xdp off)",
                        port.name, port.interface, now->xdp.name, now->xdp.id, port.interface));
    const auto queues = xdp::queues(port.interface);
    if (!queues) return in_port(port.name, queues.error());
    if (port.queues != 0 && port.queues != queues->receive)
        return fail(
            Errc::invalid,
            fmt::format("port {}: 'queues' is {}, but interface {} receives on {}: every "
                        "queue has to be bound (ethtool -L {} combined {}, or queues: auto)",
                        port.name, port.queues, port.interface, queues->receive, port.interface,
                        port.queues));
    PortPlan plan;
    plan.queues = uint16_t(queues->receive);
    plan.descriptors = kDescriptors;
    plan.mtu = *mtu_of(port.interface);
    plan.spare_room = kXdpHeadroom;
    plan.one_area = true;
    if (plan.mtu > kLargestMtu)
        return fail(Errc::invalid,
                    fmt::format("port {}: interface {} has MTU {}, AF_XDP carries at most {}",
                                port.name, port.interface, plan.mtu, kLargestMtu));
    return plan;
}

Result<std::unique_ptr<Port>> open_af_xdp(const PortRequest& r) {
    PortFacts f;
    f.name = r.config->name;
    f.driver = r.config->driver;
    f.interface = r.config->interface;
    f.mtu = r.plan.mtu;
    const auto mac = xdp::interface_mac(f.interface);
    if (!mac) return in_port(f.name, mac.error());
    f.mac = *mac;
    const auto before = xdp::attached(f.interface);
    if (!before) return in_port(f.name, before.error());
    const bool first =
        before->xdp.owner != xdp::Owner::ours && before->guard.owner != xdp::Owner::ours;
    if (auto ok = start(r, f, first); !ok) return in_port(f.name, ok.error());
    return std::make_unique<AfXdpPort>(std::move(f), first, r.steering);
}

}  // namespace torii::io
