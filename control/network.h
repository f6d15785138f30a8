#pragma once
// Network: keeps routes.<n> equal to what the kernel knows, and the kernel's neighbours resolved.
// Changes that come together are published together, at most 10 ms after the first.
// Everything happens in the thread that runs the io_context.

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "control/dataplane_link.h"
#include "control/kernel/routes.h"
#include "control/publisher.h"

namespace boost::asio {
class io_context;
}

namespace torii::control {

class Network {
public:
    static constexpr std::chrono::milliseconds kCoalesce{10};
    static constexpr std::chrono::seconds kRefresh{5}, kPoke{1};

    /// Reads everything once. Nothing is published before start(). All arguments but the first
    /// must outlive the Network.
    static Result<std::unique_ptr<Network>> open(boost::asio::io_context&, Publisher&,
                                                 const DataplaneLink&);
    ~Network();

    /// Publishes, then follows the kernel. Called once.
    Result<> start();
    /// The ports are other ones, or the dataplane came: compile anew.
    void ports_changed();
    /// A change is about to be published.
    bool pending() const;
    /// The addresses whose next hops are to be kept resolved, besides the gateways'.
    void keep_resolved(std::vector<Address>);
    /// Some more of them, at once; costs what is new. Who is no longer wanted is told by the next
    /// keep_resolved(), for which there is time: see kRefresh.
    void keep_also(std::vector<Address>);
    /// Called every kRefresh: whoever wants to say keep_resolved() anew.
    void on_refresh(std::function<void()>);
    /// A packet waits for this neighbour. Passed on to the kernel at most once a second for each.
    void wanted(uint32_t ifindex, const Address&);
    /// Routes as of the last change; good until the event loop goes on.
    const kernel::RouteIndex& routes();

private:
    struct State;
    explicit Network(std::unique_ptr<State>);
    std::unique_ptr<State> state_;
};

}  // namespace torii::control
