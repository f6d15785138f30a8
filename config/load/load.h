#pragma once
// From a YAML file to a checked Config. Pure apart from reading files; safe on any thread. No
// input, however hostile, makes it throw, crash or run away: size, depth and aliases are bounded.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/model/config.h"

namespace torii::config {

/// `config` is there only when there are no diagnostics. Diagnostics are in the order of the file.
struct Loaded {
    std::optional<Config> config;
    std::vector<Diagnostic> diagnostics;
    std::vector<std::string> files;  ///< that were read: the file itself, then what it includes
};

/// A file that cannot be read is one diagnostic too: "torii.yaml: No such file or directory".
Loaded load_file(const std::string& path);
/// `name` is what diagnostics call the text; what it includes is looked for beside that name.
Loaded load_text(std::string_view text, const std::string& name);

}  // namespace torii::config
