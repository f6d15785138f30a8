#pragma once
// The daemon's log: key=value lines on standard error. Never used on the packet path.

#include <string>
#include <string_view>

#include "config/base/error.h"

namespace torii::io {

/// Sets up the process's log. `level` is trace, debug, info, warning, error or off.
Result<> start_log(std::string_view level);

/// A value as it stands in a key=value line: quoted when it contains a space or a quote.
std::string in_quotes(std::string_view value);

}  // namespace torii::io
