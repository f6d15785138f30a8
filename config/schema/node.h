#pragma once
// A YAML document as plain data, with what yaml-cpp's own tree loses: repeated keys and the place
// of every value. Bounded, so that no document can exhaust the machine that checks it.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/model/diagnostic.h"

namespace torii::config {

struct Node {
    enum class Kind : unsigned char { null, scalar, list, map };
    Kind kind = Kind::null;
    uint16_t file = 0;         ///< which of the files that were read, from 0: see Report
    int line = 0, column = 0;  ///< from 1
    std::string text;          ///< scalar
    std::vector<Node> items;   ///< list: its items; map: key, value, key, value, ...
};

/// "a mapping", "a list", "text", "nothing".
std::string_view to_string(Node::Kind);

inline constexpr size_t kMaxBytes = 16u << 20;  ///< of a document
inline constexpr size_t kMaxBrackets = 2u
                                       << 20;  ///< of brackets and commas: yaml-cpp holds them all
inline constexpr size_t kMaxDepth = 32;        ///< of lists and mappings within each other
inline constexpr size_t kMaxNodes = 4u << 20;  ///< values, counted after aliases are expanded

/// The one document in `text`; `number` becomes Node::file of all its nodes. On failure nothing,
/// and one diagnostic more. Never throws.
std::optional<Node> parse_yaml(std::string_view text, const std::string& file,
                               std::vector<Diagnostic>& diagnostics, uint16_t number = 0);
/// The document as YAML text, in block style, with short lists on one line.
std::string emit_yaml(const Node&);

}  // namespace torii::config
