// Driver af_xdp: a Linux interface that the kernel keeps. torii's XDP program redirects packets of
// services to the sockets of DPDK's net_af_xdp; everything else passes on to the kernel.

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <fstream>

#include "dataplane/io/drivers.h"
#include "dataplane/io/ethdev.h"
#include "dataplane/io/log.h"

namespace torii::io {
namespace {

constexpr uint16_t kDescriptors = 2048;  // net_af_xdp fills its ring with this many at the start
constexpr uint32_t kXdpHeadroom = 256;   // XDP_PACKET_HEADROOM: the kernel leaves it before a frame
// A chunk of packet memory may not exceed a page; what is left of it for frame and checksum.
constexpr uint32_t kLargestMtu = 4096 - 64 - 128 - 128 - kXdpHeadroom - 22 - 64;

class AfXdpPort : public Port {
public:
    AfXdpPort(PortFacts facts, xdp::ProgramFile program)
        : Port(std::move(facts)), program_(std::move(program)) {}
    Result<> steer(const xdp::SteeringSet& set) override {
        return xdp::apply(facts_.interface, set);
    }
    // The device is stopped, not closed: closing would detach the program, which from now on has
    // no sockets and therefore drops. The sockets go with the process.

private:
    xdp::ProgramFile program_;
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

Result<std::unique_ptr<Port>> start(const PortRequest& r, PortFacts& f) {
    if (auto ok = make_way(r); !ok) return tl::unexpected(ok.error());
    auto program = xdp::ProgramFile::create();
    if (!program) return tl::unexpected(program.error());
    const auto device =
        make_vdev(fmt::format("net_af_xdp{}", r.index),
                  fmt::format("iface={},start_queue=0,queue_count={},xdp_prog={},busy_budget=0",
                              f.interface, r.plan.queues, program->path()));
    if (!device) return tl::unexpected(device.error());
    f.device = *device;
    auto started = start_device(r, f);
    if (started && r.steering) started = xdp::apply(f.interface, *r.steering);
    if (!started) {
        remove_vdev(f.device);
        return tl::unexpected(started.error());
    }
    return std::make_unique<AfXdpPort>(std::move(f), std::move(*program));
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
    if (queues->bindable < queues->receive)
        return fail(Errc::invalid,
                    fmt::format("port {}: interface {} receives on {} queues, but AF_XDP can bind "
                                "only {}: reduce them with ethtool -L {} (combined channels)",
                                port.name, port.interface, queues->receive, queues->bindable,
                                port.interface));
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
    auto port = start(r, f);
    if (!port) return in_port(r.config->name, port.error());
    return port;
}

}  // namespace torii::io
