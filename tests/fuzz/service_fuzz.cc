// Any bytes as frames for the services that do more than NAT and direct routing: tunnels of every
// type, SCTP, persistence, one-packet scheduling, marks, sets of switches, smaller links, and
// addresses that another balancer has. Input: one byte (bits 0-1: which switches, 2: standby), then
// as packets.h says. service_fuzz DIRECTORY [COUNT], or a libFuzzer target with TORII_FUZZ.

#include <memory>

#include "tests/fuzz/packets.h"

namespace {

using namespace torii;
using namespace torii::test;
using shm::Forward;
using shm::TunnelChecksum;
using shm::TunnelType;

constexpr const char *kVip2 = "192.0.2.11", *kMarked = "192.0.2.128";

// Ports 80 to 85: one type of tunnel each; to servers of both families.
void add_tunnels(World& w) {
    const be16 gue = be16::from_host(6080);
    const shm::Tunnel kinds[] = {{},
                                 {TunnelType::gue, TunnelChecksum::none, gue},
                                 {TunnelType::gue, TunnelChecksum::full, gue},
                                 {TunnelType::gue, TunnelChecksum::remote, gue},
                                 {TunnelType::gre},
                                 {TunnelType::gre, TunnelChecksum::full}};
    for (const char* vip : {kVip, kVip6})
        for (size_t k = 0; k < std::size(kinds); ++k)
            for (const Protocol protocol : {Protocol::tcp, Protocol::udp}) {
                const uint32_t s = w.service(vip, uint16_t(80 + k), protocol);
                for (const char* server : {kServer, kServer6}) {
                    const uint32_t slot = w.backend(s, server, uint16_t(80 + k), Forward::tunnel);
                    w.services.backends[slot].record.tunnel = kinds[k];
                }
            }
}

std::unique_ptr<World> make_world(unsigned switches) {
    auto w = std::make_unique<World>(1024, 2);
    add_tunnels(*w);
    w->backend(w->service(kVip2, 2905, Protocol::sctp), kServer, 2906, Forward::nat);
    w->backend(w->service(kVip2, 2907, Protocol::sctp), kServer, 2907, Forward::dr);
    const uint32_t kept = w->service(kVip2, 80, Protocol::tcp, "wlc");
    shm::ServiceRecord& r = w->services.services[kept].record;
    r.flags = shm::kPersistent;
    r.persistence_timeout = 50;
    r.persistence_mask = 0xffffff00;
    w->backend(kept, kServer, 8080, Forward::nat, 3);
    w->backend(kept, kServer2, 8080, Forward::nat, 1);
    const uint32_t once = w->service(kVip2, 53, Protocol::udp);
    w->services.services[once].record.flags = shm::kOnePacket;
    w->backend(once, kServer, 5353, Forward::nat);
    const uint32_t marked = w->service("0.0.0.0", 0, Protocol::any, "sh");
    w->services.services[marked].record.mark = 7;
    w->services.marks = {{*parse_address(kMarked), 26, Protocol::any, 1000, 2000, 0, 7}};
    if (switches & 1) w->backend(marked, kServer, 0, Forward::nat);
    shm::Behaviour& b = w->services.behaviour;
    b.sloppy_tcp = b.sloppy_sctp = b.schedule_icmp = b.nat_icmp_send = switches & 1;
    b.cache_bypass = b.expire_nodest_conn = b.expire_quiescent_template = switches >> 1;
    b.pmtu_disc = switches >> 1;
    w->routes.port_addresses = {*parse_address("198.51.100.2"), *parse_address("2001:db8:c::2"),
                                *parse_address(kOurself), *parse_address(kOurself6)};
    for (auto& n : w->routes.neighbours)
        if (to_string(n.address) == (switches & 1 ? kServer : kServer6)) n.mtu = 1280;
    w->publish();
    return w;
}

void begin(Run& run) {
    for (uint16_t port = 80; port < 86; ++port) {
        run.send(Frame().ip(kClient, kVip).tcp(40000, port, kSyn).bytes(), {}, 0);
        run.send(Frame().ip(kClient6, kVip6).tcp(40000, port, kSyn).bytes(), {}, 0);
    }
    for (const uint16_t port : {2905, 2907})
        run.send(
            Frame().ip(kClient, kVip2).protocol(132).payload(sctp_packet(40000, port, 1)).bytes(),
            {}, 0);
    run.send(Frame().ip(kClient, kVip2).tcp(40000, 80, kSyn).bytes(), {}, 0);
    run.send(Frame().ip(kClient, kMarked).tcp(40000, 1234, kSyn).bytes(), {}, 0);
}

struct Place {
    explicit Place(unsigned switches) : world(make_world(switches)), run(*world) {}
    std::unique_ptr<World> world;
    Run run;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static Place places[] = {Place(0), Place(1), Place(2), Place(3)};
    if (size == 0) return 0;
    Place& p = places[data[0] & 3];
    begin(p.run);
    for (const uint32_t worker : {0, 1})
        p.world->state(worker).standby =
            data[0] & 4 ? shm::Standby({*parse_address(kVip2), *parse_address(kVip6)})
                        : shm::Standby();
    run_input(p.run, data + 1, size - 1);
    return 0;
}
