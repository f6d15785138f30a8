#pragma once
// Datagram: a connected datagram socket of a probe. The kernel delivers only what its peer sent,
// and ICMP errors as errors of the socket. One thread.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "healthcheck/probe.h"
#include "healthcheck/source.h"

namespace torii::healthcheck {

class Datagram {
public:
    /// Every datagram, or the errno of a failure. After an error nothing more comes.
    using Take = std::function<void(int error, std::string_view)>;

    explicit Datagram(boost::asio::io_context&);
    ~Datagram();

    /// Connects the socket. 0, or an errno.
    int open(Descriptor, const Endpoint& to);
    int send(std::string_view);
    /// Calls `take` from the event loop, until the Datagram is destroyed.
    void listen(Take take);
    int fd() const;
    bool has_news() const;  ///< something has arrived that was not taken

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace torii::healthcheck
