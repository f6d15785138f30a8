#pragma once
// Which toriid is meant, and where it listens.

#include <string>

#include "config/base/error.h"

namespace torii::cli {

struct Place {
    std::string instance;  ///< "default" unless something says otherwise
    std::string socket;
};

/// The socket is $TORII_API_SOCKET, else the one the file names (`file` may be empty), else
/// /run/torii/INSTANCE/api.sock. The instance is `instance`, else $TORII_INSTANCE, else the file's.
Result<Place> find_place(std::string instance, const std::string& file);

}  // namespace torii::cli
