#pragma once
// The command line of torii-dataplane.

#include <string>

#include "config/base/error.h"

namespace torii::io {

struct Options {
    std::string config_file;
    std::string instance;  ///< empty: the environment's TORII_INSTANCE, else the file's
    std::string log_level = "info";
    bool fresh_table = false;  ///< discard the connection table that is there
    bool help = false, version = false, print_pipeline = false;
};

/// Errc::invalid with a sentence for a wrong command line.
Result<Options> parse_command_line(int argc, const char* const* argv);
std::string usage();

}  // namespace torii::io
