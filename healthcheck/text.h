#pragma once
// Text from a peer, made fit for a log line, and hexadecimal as operators write it.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace torii::healthcheck {

/// At most `most` bytes; whatever is not printable ASCII becomes '?'.
std::string printable(std::string_view, size_t most = 80);

/// A byte as the operator wrote it: which bits count, and what they are.
struct MaskedByte {
    uint8_t value = 0, mask = 0xff;
};
/// "hex:0a0bXX", where X stands for any digit, or the text itself. None: odd or foreign digits.
std::optional<std::vector<MaskedByte>> parse_pattern(std::string_view);
/// Whether `bytes` begin with the pattern.
bool begins_with(std::string_view bytes, std::span<const MaskedByte> pattern);

}  // namespace torii::healthcheck
