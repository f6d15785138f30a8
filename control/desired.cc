#include "control/desired.h"

#include <fmt/format.h>

#include <algorithm>

namespace torii::control {
namespace {

constexpr uint16_t kFallback = 0x08, kPort = 0x10;  // IP_VS_SVC_F_SCHED1, IP_VS_SVC_F_SCHED2

shm::Forward forward_of(config::Forward f) {
    switch (f) {
        case config::Forward::nat:
            return shm::Forward::nat;
        case config::Forward::dr:
            return shm::Forward::dr;
        case config::Forward::tunnel:
            return shm::Forward::tunnel;
    }
    return shm::Forward::nat;
}

uint16_t flags_of(const config::Service& s) {
    uint16_t bits = 0;
    for (const config::SchedulerFlag f : s.scheduler_flags)
        bits |= f == config::SchedulerFlag::sh_port ? kPort : kFallback;
    return bits;
}

uint32_t seconds(config::Duration d) {
    return uint32_t(std::chrono::ceil<std::chrono::seconds>(d).count());
}

// NAT and direct routing keep the packet's family; a tunnel's outer header may be of the other one.
bool usable(const config::Backend& b, const config::Virtual& v) {
    return b.forward == config::Forward::tunnel ||
           b.address.family() == v.endpoint.address.family();
}

}  // namespace

std::string to_string(const ServiceKey& k) {
    return fmt::format("{}/{}", to_string(Endpoint{k.address, k.port}), to_string(k.protocol));
}

Desired desired(const config::Config& c) {
    Desired d;
    // LVS's --set changes these three and leaves the other states alone.
    d.timeouts.tcp[1] = seconds(c.timeouts.tcp);
    d.timeouts.tcp[4] = seconds(c.timeouts.tcp_fin);
    d.timeouts.udp = seconds(c.timeouts.udp);
    for (const config::Service& s : c.services) {
        for (const config::Virtual& v : s.virtuals) {
            Service out{{v.endpoint.address, v.endpoint.port, v.protocol},
                        s.name,
                        s.scheduler,
                        flags_of(s),
                        {}};
            for (const config::Backend& b : s.backends) {
                if (!usable(b, v)) continue;
                out.destinations.push_back({{b.address, config::backend_port(b, v)},
                                            b.server,
                                            b.weight,
                                            b.upper,
                                            b.lower,
                                            forward_of(b.forward)});
            }
            d.services.push_back(std::move(out));
        }
    }
    return d;
}

const Service* find(const Desired& d, const ServiceKey& key) {
    const auto it = std::ranges::find(d.services, key, &Service::key);
    return it == d.services.end() ? nullptr : &*it;
}

}  // namespace torii::control
