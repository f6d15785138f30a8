#pragma once
// A virtual service as listings show it, made from what toriid holds. Pure functions.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "control/api/model.h"
#include "control/estimator.h"
#include "control/tables.h"
#include "control/tally.h"

namespace torii::control {

/// What a listing looks at. Valid while the event loop does not go on.
struct Listed {
    const Tables& tables;
    const Tally& tally;
    const Estimator& estimator;
};

/// Everything but its destinations' next hops.
api::Service service_view(const Listed&, const Service&, uint32_t slot);

/// The services one after the other, as `append` writes them (one JSON object a line, or
/// api::append_rows); a generator for api::Reply::more. Shows the tables as they were when it was
/// made; the estimator must outlive it. `only`: one of them, which is there.
std::function<bool(std::string&)> services_lines(std::shared_ptr<const Tables>, Tally,
                                                 const Estimator&, std::optional<ServiceKey> only,
                                                 void (*append)(std::string&, const api::Service&));

}  // namespace torii::control
