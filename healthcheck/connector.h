#pragma once
// Connector: TCP connections made by the thousand. All of them wait in one epoll set that the event
// loop watches as one descriptor, so that a connection costs its own system calls and little else:
// no timer, no handler, no allocation of its own.
//
// Thread-safety: everything happens in the thread that runs the io_context.

#include <cstdint>
#include <functional>
#include <memory>

#include "healthcheck/source.h"

namespace boost::asio {
class io_context;
}

namespace torii::healthcheck {

class Connector {
public:
    /// `error` is 0 when the connection stands.
    using Done = std::function<void(int error)>;
    struct Ticket {
        uint32_t slot = 0, generation = 0;
    };

    explicit Connector(boost::asio::io_context&);
    ~Connector();

    /// Connects the socket. Closes it as soon as the outcome is known, with a normal end of the
    /// connection. An error that is known at once is returned, and `done` is dropped.
    tl::expected<Ticket, int> connect(Descriptor, const Endpoint&, Done done);
    /// Tells of every outcome that is there already.
    void take_ready();
    /// Closes the socket; `done` will not be called. A ticket that was used up is ignored.
    void cancel(Ticket);

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace torii::healthcheck
