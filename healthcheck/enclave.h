#pragma once
// Enclave: a network namespace without a name, with one TUN device that every packet of its sockets
// goes to. Its addresses are copies of the host's; nothing in it is reached but through the device.
//
// It hangs on descriptors alone: nothing is left when the process ends, however that happens. One
// thread, which is inside for the time of a call only.

#include "config/base/address.h"
#include "healthcheck/source.h"

namespace torii::healthcheck {

class Enclave {
public:
    /// Makes it. An errno, and `what` gets the step that failed.
    static tl::expected<Enclave, int> make(const char** what);

    /// socket(2) inside.
    tl::expected<Descriptor, int> socket(int family, int type);
    /// From now on sockets inside may be bound to it. 0, or an errno.
    int add_address(const Address&);
    /// Packets out and in, each a whole IP packet; not blocking.
    Descriptor& device() { return device_; }

private:
    Enclave() = default;
    Descriptor outside_, inside_, device_;
    unsigned index_ = 0;
};

}  // namespace torii::healthcheck
