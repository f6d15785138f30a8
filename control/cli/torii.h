#pragma once
// The operator's command.

#include <span>
#include <string>

namespace torii::cli {

/// Exit status: 0 done, 1 anything wrong.
int torii_main(std::span<const std::string> words);

}  // namespace torii::cli
