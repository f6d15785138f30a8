#pragma once
// What the API tells, made from what toriid holds. Pure functions.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/api/model.h"
#include "control/dataplane_link.h"
#include "control/estimator.h"
#include "control/kernel/routes.h"
#include "control/tables.h"
#include "control/tally.h"

namespace torii::control {

/// Everything the views look at. Valid while the event loop does not go on.
struct Facts {
    const Tables& tables;
    const DataplaneLink& link;
    const kernel::RouteIndex& routes;
    const Tally& tally;
    const Estimator& estimator;
    bool routes_pending = false;  ///< a change of the network is about to be published
    bool vrrp_alone = false;      ///< there are no ports, and so there is no dataplane to wait for
};

/// How a server is reached at this moment.
struct Reach {
    enum class State : uint8_t { known, resolving, silent, no_route, no_port };
    State state = State::known;
    std::string sentence;  ///< what is wrong; empty when known
};
Reach reach(const Facts&, const Address&);

struct Identity {
    std::string version, instance, config_file;
    uint64_t uptime_seconds = 0;
};
api::Status status_view(const Facts&, const Identity&);
api::Services services_view(const Facts&);
api::Ready ready_view(const Facts&);

/// Connection rows, one JSON object a line; a generator for api::Reply::more. Each call looks at a
/// bounded number of the table's cells. The tables tell what a cell has no room for.
std::function<bool(std::string&)> connections_view(const DataplaneLink&,
                                                   std::shared_ptr<const Tables>);

}  // namespace torii::control
