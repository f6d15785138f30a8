// Any bytes as frames for services by NAT and direct routing, after a connection of each kind has
// begun; see packets.h. Built with TORII_FUZZ it is a libFuzzer target; without, main() runs the
// kept inputs and a fixed number of changed ones: packet_fuzz DIRECTORY [COUNT].

#include <memory>

#include "tests/fuzz/packets.h"

namespace {

using namespace torii;
using namespace torii::test;

std::unique_ptr<World> make_world() {
    auto w = std::make_unique<World>(1024, 2);
    w->backend(w->service(kVip, 80), kServer, 8080, shm::Forward::nat);
    w->backend(w->service(kVip, 81), kServer, 81, shm::Forward::dr);
    w->backend(w->service(kVip, 53, Protocol::udp), kServer, 5353, shm::Forward::nat);
    w->service(kVip, 82);
    w->backend(w->service(kVip6, 80), kServer6, 8080, shm::Forward::nat);
    w->backend(w->service(kVip6, 81), kServer6, 81, shm::Forward::dr);
    for (auto& n : w->routes.neighbours)
        if (to_string(n.address) == kServer) n.vlan = 30;
    w->publish();
    return w;
}

void begin(Run& run) {
    for (uint16_t port : {80, 81}) {
        run.send(Frame().ip(kClient, kVip).tcp(40000, port, kSyn).bytes(), {}, 0);
        run.send(Frame().ip(kClient6, kVip6).tcp(40000, port, kSyn).bytes(), {}, 0);
    }
    run.send(Frame().ip(kClient, kVip).udp(40000, 53).bytes(), {}, 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const std::unique_ptr<World> world = make_world();
    static Run run(*world);
    begin(run);
    run_input(run, data, size);
    return 0;
}
