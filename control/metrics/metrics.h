#pragma once
// The Prometheus page (text format 0.0.4). A pure function of what the API tells.

#include <string>

#include "control/api/health.h"
#include "control/api/model.h"
#include "control/api/vrrp.h"

namespace torii::metrics {

std::string exposition(const api::Status&, const api::Services&, const api::Vrrp& = {},
                       const api::Health& = {});

/// One line a metric for the reference: name, type, labels, help.
std::string reference();

}  // namespace torii::metrics
