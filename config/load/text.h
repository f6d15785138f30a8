#pragma once
// What is refused before YAML is even tried.

#include <optional>
#include <string>
#include <string_view>

#include "config/model/diagnostic.h"

namespace torii::config {

/// The place where the text has more than kMaxBrackets brackets and commas. Until the bracket that
/// opened first is closed, yaml-cpp holds every token after it, at about 250 bytes each.
std::optional<Diagnostic> find_too_dense(std::string_view text, const std::string& file);

/// The first byte that no text file holds: invalid UTF-8 (RFC 3629), or a control character other
/// than tab and line ends (YAML 1.2, 5.1).
std::optional<Diagnostic> find_foreign_byte(std::string_view text, const std::string& file);

}  // namespace torii::config
