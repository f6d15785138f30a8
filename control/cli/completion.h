#pragma once
// Completion for shells, made from the tables of commands, options and keys.

#include <span>
#include <string>

#include "control/cli/arguments.h"

namespace torii::cli {

/// A script for bash that completes commands, options, keys after `config show`, and files.
std::string bash_completion(std::span<const std::string> commands, std::span<const Option>);

}  // namespace torii::cli
