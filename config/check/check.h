#pragma once
// Cross-field sense: what a key alone cannot tell. Pure functions of the configuration (and of a
// description of the machine); nothing here asks the kernel. Safe on any thread.

#include <vector>

#include "config/check/machine.h"
#include "config/model/config.h"

namespace torii::config {

/// Everything wrong with the configuration on any machine.
std::vector<Diagnostic> check(const Config&);

/// Everything wrong with it on this machine: interfaces and cores that do not exist, a connection
/// table that does not fit into memory.
std::vector<Diagnostic> check_machine(const Config&, const Machine&);

}  // namespace torii::config
