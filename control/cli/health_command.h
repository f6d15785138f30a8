#pragma once
// torii health: every check, whether its server is up, and why not.

#include <string>

#include "control/api/health.h"

namespace torii::cli {

struct Invocation;

int health(const Invocation&);

/// As the command prints it; with `all`, also checks whose servers are up.
std::string describe(const api::Health&, bool all);
/// One line for torii status; empty when nothing is checked.
std::string summary(const api::Health&);

}  // namespace torii::cli
