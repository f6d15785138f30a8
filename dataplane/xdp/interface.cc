// What an interface tells about itself, and what a process needs before it uses AF_XDP.

#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "dataplane/xdp/kernel.h"
#include "dataplane/xdp/objects.h"

namespace torii::xdp {
namespace {

Result<Fd> request_socket(std::string_view interface, ifreq& request) {
    if (auto index = interface_index(interface); !index) return tl::unexpected(index.error());
    std::memset(&request, 0, sizeof(request));
    std::memcpy(request.ifr_name, interface.data(),
                std::min(interface.size(), sizeof(request.ifr_name) - 1));
    Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd.valid()) return fail_errno("socket", errno);
    return fd;
}

/// For drivers without channel counts. The directory is the namespace's own only where /sys is.
unsigned queues_in_sysfs(std::string_view interface) {
    std::error_code error;
    unsigned n = 0;
    for (const auto& entry : std::filesystem::directory_iterator(
             fmt::format("/sys/class/net/{}/queues", interface), error))
        n += entry.path().filename().string().starts_with("rx-");
    return std::max(n, 1u);
}

}  // namespace

Result<Queues> queues(std::string_view interface) {
    ifreq request;
    auto fd = request_socket(interface, request);
    if (!fd) return tl::unexpected(fd.error());
    ethtool_channels channels{};
    channels.cmd = ETHTOOL_GCHANNELS;
    request.ifr_data = reinterpret_cast<char*>(&channels);
    if (::ioctl(fd->get(), SIOCETHTOOL, &request) != 0) {
        if (errno != EOPNOTSUPP)
            return fail_errno(fmt::format("interface {}: channel counts", interface), errno);
        return Queues{queues_in_sysfs(interface), 1};
    }
    // net_af_xdp counts combined channels only, and takes a driver without them for one queue.
    return Queues{std::max(channels.rx_count + channels.combined_count, 1u),
                  channels.max_combined == 0 ? 1u : channels.combined_count};
}

Result<Mac> interface_mac(std::string_view interface) {
    ifreq request;
    auto fd = request_socket(interface, request);
    if (!fd) return tl::unexpected(fd.error());
    if (::ioctl(fd->get(), SIOCGIFHWADDR, &request) != 0)
        return fail_errno(fmt::format("interface {}: hardware address", interface), errno);
    Mac mac;
    std::memcpy(mac.bytes.data(), request.ifr_hwaddr.sa_data, mac.bytes.size());
    return mac;
}

std::vector<int> xsk_sockets() {
    std::vector<int> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
        const int fd = std::atoi(entry.path().filename().c_str());
        int domain = 0;
        socklen_t size = sizeof(domain);
        if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_XDP)
            found.push_back(fd);
    }
    std::sort(found.begin(), found.end());
    return found;
}

Result<> raise_memlock() {
    rlimit limit{RLIM_INFINITY, RLIM_INFINITY};
    if (::setrlimit(RLIMIT_MEMLOCK, &limit) == 0) return {};
    // Without CAP_SYS_RESOURCE (containers) the hard limit is the end.
    if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        if (::setrlimit(RLIMIT_MEMLOCK, &limit) == 0) return {};
    }
    return fail_errno("RLIMIT_MEMLOCK cannot be raised", errno);
}

Result<ProgramFile> ProgramFile::create() {
    Fd fd(::memfd_create("torii_xdp", MFD_CLOEXEC));
    if (!fd.valid()) return fail_errno("memory file for the XDP program", errno);
    std::span<const std::byte> left = xdp_object();
    while (!left.empty()) {
        const ssize_t n = ::write(fd.get(), left.data(), left.size());
        if (n <= 0) return fail_errno("memory file for the XDP program", errno);
        left = left.subspan(static_cast<size_t>(n));
    }
    return ProgramFile(fd.release());
}

ProgramFile::~ProgramFile() {
    if (fd_ >= 0) ::close(fd_);
}

std::string ProgramFile::path() const { return fmt::format("/proc/self/fd/{}", fd_); }

}  // namespace torii::xdp
