#pragma once
// The stream of events behind GET /v1/events: one JSON object a line, from the moment it is asked
// for. Thread-safety: everything happens in the thread that runs the io_context.

#include <memory>
#include <string>
#include <vector>

#include "control/api/server.h"

namespace torii::control::vrrp {

/// Now, as events say it: 2026-01-31T12:00:00.000000Z.
std::string utc_now();

class Events {
public:
    /// A listener that falls so many lines behind is dropped.
    static constexpr size_t kMostWaiting = 4096;
    static constexpr std::chrono::seconds kHeartbeat{10};

    explicit Events(boost::asio::io_context&);
    ~Events();

    /// `line` is without its end.
    void publish(const std::string& line);
    /// A reply that goes on until the client leaves; an empty line comes now and then, so that a
    /// client that left is noticed.
    api::Reply subscribe();
    size_t listeners() const;

private:
    struct Listener;
    struct Heart;
    void beat();
    std::vector<std::weak_ptr<Listener>> listeners_;
    std::unique_ptr<Heart> heart_;
};

}  // namespace torii::control::vrrp
