#include "healthcheck/text.h"

namespace torii::healthcheck {
namespace {

constexpr std::string_view kHex = "hex:";

/// The digit's value and which of its four bits count.
std::optional<MaskedByte> digit(char c) {
    if (c >= '0' && c <= '9') return MaskedByte{uint8_t(c - '0'), 0xf};
    if (c >= 'a' && c <= 'f') return MaskedByte{uint8_t(c - 'a' + 10), 0xf};
    if (c >= 'A' && c <= 'F') return MaskedByte{uint8_t(c - 'A' + 10), 0xf};
    if (c == 'x' || c == 'X') return MaskedByte{0, 0};
    return std::nullopt;
}

}  // namespace

std::string printable(std::string_view text, size_t most) {
    std::string out(text.substr(0, most));
    for (char& c : out)
        if (c < 0x20 || c > 0x7e) c = '?';
    return out;
}

std::optional<std::vector<MaskedByte>> parse_pattern(std::string_view text) {
    std::vector<MaskedByte> bytes;
    if (!text.starts_with(kHex)) {
        for (const char c : text) bytes.push_back({uint8_t(c), 0xff});
        return bytes;
    }
    text.remove_prefix(kHex.size());
    if (text.size() % 2 != 0) return std::nullopt;
    for (size_t i = 0; i < text.size(); i += 2) {
        const auto high = digit(text[i]), low = digit(text[i + 1]);
        if (!high || !low) return std::nullopt;
        bytes.push_back(
            {uint8_t(high->value << 4 | low->value), uint8_t(high->mask << 4 | low->mask)});
    }
    return bytes;
}

bool begins_with(std::string_view bytes, std::span<const MaskedByte> pattern) {
    if (bytes.size() < pattern.size()) return false;
    for (size_t i = 0; i < pattern.size(); ++i)
        if ((uint8_t(bytes[i]) & pattern[i].mask) != (pattern[i].value & pattern[i].mask))
            return false;
    return true;
}

}  // namespace torii::healthcheck
