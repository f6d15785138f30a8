#pragma once
// Detour: probes by the way that a service's traffic takes (via: service). Their packets name the
// virtual address, must reach one certain server that has it, and this machine may have it as well:
// the kernel's routing can do none of it. So their sockets live in an Enclave; what comes out of
// its device is sent to the server as the dataplane would send it, by direct routing or in the
// tunnel's outer header, and what the server answers is taken from the wire and put back into the
// device.
//
// A probe is told by its source port, which is its own among those to the same virtual service as
// long as it may live. ADR 0011 tells more.
// Thread-safety: everything happens in the thread that runs the io_context.

#include <memory>

#include "healthcheck/probe.h"
#include "healthcheck/source.h"

namespace torii::healthcheck {

class Detour {
public:
    explicit Detour(boost::asio::io_context&);
    ~Detour();

    /// A socket for `request`, which has a way; connect it to target.peer(). What it needs besides
    /// is made for the first one. The error is an errno; `what` gets the step that failed.
    tl::expected<Descriptor, int> open(const Request&, int type, const char** what);

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace torii::healthcheck
