#include "dataplane/io/ethdev.h"

#include <dirent.h>
#include <fmt/format.h>
#include <net/if.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <set>

namespace torii::io {
namespace {

// net_af_xdp and net_tap give no way to wait for a packet, but each receive queue of theirs is a
// descriptor that poll(2) understands. It is found by looking which one appeared.
bool is_packet_descriptor(int fd) {
    int domain = 0;
    socklen_t size = sizeof domain;
    if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0) return domain == AF_XDP;
    char target[64];
    const ssize_t n =
        ::readlink(fmt::format("/proc/self/fd/{}", fd).c_str(), target, sizeof target);
    return n > 0 && std::string_view(target, size_t(n)) == "/dev/net/tun";
}

std::set<int> packet_descriptors() {
    std::set<int> found;
    DIR* directory = ::opendir("/proc/self/fd");
    if (!directory) return found;
    while (const dirent* entry = ::readdir(directory)) {
        const int fd = std::atoi(entry->d_name);
        if (entry->d_name[0] != '.' && is_packet_descriptor(fd)) found.insert(fd);
    }
    ::closedir(directory);
    return found;
}

std::set<uint16_t> devices() {
    std::set<uint16_t> found;
    uint16_t each = 0;
    RTE_ETH_FOREACH_DEV(each) found.insert(each);
    return found;
}

tl::unexpected<Error> device_error(const PortRequest& r, std::string_view what, int code) {
    return fail(Errc::io, fmt::format("port {}: {}: {}", r.config->name, what,
                                      rte_strerror(code < 0 ? -code : code)));
}

rte_eth_conf configuration(const rte_eth_dev_info& info, uint16_t queues) {
    rte_eth_conf conf{};
    // Only a real card spreads by RSS; virtual devices have their own idea of queues.
    if (queues > 1 && info.flow_type_rss_offloads != 0) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf =
            (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP) &
            info.flow_type_rss_offloads;
    }
    return conf;
}

Result<> set_up_queues(const PortRequest& r, uint16_t device, uint16_t receive, uint16_t transmit,
                       PortFacts& f) {
    uint16_t slots_in = r.plan.descriptors, slots_out = r.plan.descriptors;
    rte_eth_dev_adjust_nb_rx_tx_desc(device, &slots_in, &slots_out);
    const unsigned socket = SOCKET_ID_ANY;
    for (uint16_t q = 0; q < receive; ++q) {
        const std::set<int> before = packet_descriptors();
        // net_af_xdp 22.11 reads errno after a call that succeeded.
        errno = 0;
        if (const int rc = rte_eth_rx_queue_setup(device, q, slots_in, socket, nullptr, r.pool))
            return device_error(r, fmt::format("receive queue {}", q), rc);
        DeviceQueue at{device, q, -1};
        for (const int fd : packet_descriptors())
            if (!before.contains(fd)) at.wake_fd = fd;
        f.receive.push_back(at);
    }
    for (uint16_t q = 0; q < transmit; ++q) {
        if (const int rc = rte_eth_tx_queue_setup(device, q, slots_out, socket, nullptr))
            return device_error(r, fmt::format("transmit queue {}", q), rc);
        f.transmit.push_back({device, q, -1});
    }
    return {};
}

}  // namespace

Result<uint16_t> make_vdev(const std::string& name, const std::string& arguments) {
    const std::set<uint16_t> before = devices();
    errno = 0;
    if (const int rc = rte_eal_hotplug_add("vdev", name.c_str(), arguments.c_str()); rc != 0)
        return fail(Errc::io, fmt::format("DPDK device {},{}: {}", name, arguments,
                                          rte_strerror(rc < 0 ? -rc : rc)));
    // Not by name: net_ring calls its port otherwise than the device.
    for (const uint16_t device : devices())
        if (!before.contains(device)) return device;
    rte_eal_hotplug_remove("vdev", name.c_str());
    return fail(Errc::not_found, fmt::format("DPDK device {}: made no port", name));
}

void remove_vdev(uint16_t device) {
    char name[RTE_ETH_NAME_MAX_LEN];
    if (rte_eth_dev_get_name_by_port(device, name) != 0) return;
    rte_eth_dev_close(device);
    rte_eal_hotplug_remove("vdev", name);
}

Result<uint16_t> find_device(const std::string& name) {
    uint16_t device = 0;
    if (rte_eth_dev_get_port_by_name(name.c_str(), &device) == 0) return device;
    return fail(Errc::not_found, fmt::format("DPDK device {}: no driver took it", name));
}

Result<> start_device(const PortRequest& r, uint16_t device, uint16_t queues, PortFacts& f) {
    rte_eth_dev_info info;
    if (const int rc = rte_eth_dev_info_get(device, &info); rc != 0)
        return device_error(r, "device information", rc);
    const uint16_t receive = std::min(queues, info.max_rx_queues);
    auto transmit = uint16_t(std::clamp<unsigned>(r.workers, 1, info.max_tx_queues));
    // An AF_XDP socket is a receive and a transmit queue in one.
    if (r.config->driver == config::Driver::af_xdp) transmit = receive;
    const rte_eth_conf conf = configuration(info, receive);
    errno = 0;
    int rc = rte_eth_dev_configure(device, receive, transmit, &conf);
    if (rc != 0) return device_error(r, "configuration", rc);
    if (auto ok = set_up_queues(r, device, receive, transmit, f); !ok) return ok;
    if (rc = rte_eth_dev_start(device); rc != 0) return device_error(r, "start", rc);
    rte_ether_addr mac;
    if (f.mac.is_zero() && rte_eth_macaddr_get(device, &mac) == 0)
        std::copy_n(mac.addr_bytes, 6, f.mac.bytes.begin());
    return {};
}

uint32_t interface_index(const std::string& name) {
    return name.empty() ? 0 : ::if_nametoindex(name.c_str());
}

}  // namespace torii::io
