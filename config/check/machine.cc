#include "config/check/machine.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/sysinfo.h>

namespace torii::config {

namespace {

std::set<Address> own_addresses() {
    std::set<Address> own;
    ifaddrs* all = nullptr;
    if (getifaddrs(&all) != 0) return own;
    for (const ifaddrs* i = all; i != nullptr; i = i->ifa_next) {
        if (i->ifa_addr == nullptr) continue;
        if (i->ifa_addr->sa_family == AF_INET)
            own.insert(Address::v4(be32::from_raw(
                reinterpret_cast<const sockaddr_in*>(i->ifa_addr)->sin_addr.s_addr)));
        else if (i->ifa_addr->sa_family == AF_INET6)
            own.insert(Address::v6(&reinterpret_cast<const sockaddr_in6*>(i->ifa_addr)->sin6_addr));
    }
    freeifaddrs(all);
    return own;
}

}  // namespace

Machine this_machine() {
    Machine machine;
    machine.cpus = unsigned(get_nprocs_conf());
    struct sysinfo info {};
    if (sysinfo(&info) == 0) machine.memory_bytes = uint64_t(info.totalram) * info.mem_unit;
    if (struct if_nameindex* all = if_nameindex()) {
        for (auto* i = all; i->if_index != 0; ++i) machine.interfaces.emplace(i->if_name);
        if_freenameindex(all);
    }
    machine.addresses = own_addresses();
    return machine;
}

}  // namespace torii::config
