#pragma once
// A file and everything it includes, as one document.
//
// `include: [PATTERN...]` stands at the top of a file; patterns are globs (glob(7)), relative to
// the file they stand in, and their files are read in alphabetical order. Top-level lists are put
// one after the other, top-level sections are put together; whatever else is said twice is an error
// at the second place. A file may include further ones; one that includes itself is an error.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "config/model/diagnostic.h"
#include "config/schema/node.h"

namespace torii::config {

struct Document {
    std::optional<Node> root;        ///< nothing when any file could not be read as YAML
    std::vector<std::string> files;  ///< by Node::file
};

inline constexpr size_t kMaxFiles = 1000;      ///< of one document
inline constexpr size_t kMaxIncludeDepth = 8;  ///< of files that include files

/// What `text`, which diagnostics call `name`, and its includes say. Never throws.
Document read_document(std::string_view text, const std::string& name, std::vector<Diagnostic>&);

/// Everything in the file (at most kMaxBytes and one), or errno.
tl::expected<std::string, int> read_file(const std::string& path);

}  // namespace torii::config
