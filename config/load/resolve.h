#pragma once
// Fills in what one part of the file takes from another.

#include "config/model/config.h"

namespace torii::config {

/// API socket from the instance; each backend's address and weight from its server, and its way of
/// forwarding from its service, where it has none of its own. Names that do not exist stay as they
/// are: config/check reports them.
void resolve(Config&);

}  // namespace torii::config
