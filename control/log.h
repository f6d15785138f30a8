#pragma once
// toriid's log: key=value lines on standard error.

#include <string>
#include <string_view>

#include "config/base/error.h"

namespace torii::control {

/// Sets up the process's log. `level` is trace, debug, info, warning, error or off.
Result<> start_log(std::string_view level);

/// A value as it stands in a key=value line: quoted when it has to be.
std::string in_quotes(std::string_view value);

}  // namespace torii::control
