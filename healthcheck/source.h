#pragma once
// Sockets of probes: opened non-blocking, with the source address, interface and firewall mark that
// the settings ask for.

#include "config/base/address.h"
#include "config/base/error.h"
#include "config/model/health.h"

struct sockaddr_storage;

namespace torii::healthcheck {

/// A file descriptor that closes itself.
class Descriptor {
public:
    explicit Descriptor(int fd = -1) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        reset(other.release());
        return *this;
    }
    ~Descriptor() { reset(); }
    int get() const { return fd_; }
    int release() {
        const int fd = fd_;
        fd_ = -1;
        return fd;
    }
    void reset(int fd = -1);

private:
    int fd_;
};

/// The socket address, and its length.
unsigned to_sockaddr(const Endpoint&, sockaddr_storage&);

struct Environment;
struct Request;

/// socket(2) of the peer's family with `type` and `protocol`, prepared as the request's settings
/// say; connect it to its target's peer(). The error is an errno; `what` gets the step that failed.
tl::expected<Descriptor, int> open_socket(Environment&, const Request&, int type, int protocol,
                                          const char** what);

}  // namespace torii::healthcheck
