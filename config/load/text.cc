#include "config/load/text.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/schema/node.h"

namespace torii::config {
namespace {

/// Length of the well-formed UTF-8 sequence at the start of `s`, 0 if there is none. RFC 3629
/// section 4: no overlong forms, no surrogates, nothing above U+10FFFF.
size_t sequence(std::string_view s) {
    const auto at = [&](size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
    const auto tail = [&](size_t from, size_t to) {
        for (size_t i = from; i < to; ++i)
            if ((at(i) & 0xc0) != 0x80) return false;
        return true;
    };
    const unsigned first = at(0), next = at(1);
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    if (first < 0xe0) return tail(1, 2) ? 2 : 0;
    if ((first == 0xe0 && next < 0xa0) || (first == 0xed && next > 0x9f)) return 0;
    if (first < 0xf0) return tail(1, 3) ? 3 : 0;
    if ((first == 0xf0 && next < 0x90) || (first == 0xf4 && next > 0x8f)) return 0;
    return tail(1, 4) ? 4 : 0;
}

bool is_control(unsigned char c) {
    return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
}

Mark mark_of(std::string_view text, size_t position, const std::string& file) {
    const auto before = text.substr(0, position);
    const auto line_end = before.rfind('\n');
    const size_t column = line_end == before.npos ? position : position - line_end - 1;
    return {file, int(std::ranges::count(before, '\n')) + 1, int(column) + 1};
}

}  // namespace

std::optional<Diagnostic> find_too_dense(std::string_view text, const std::string& file) {
    size_t count = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        if (std::string_view("[]{},").find(text[i]) == std::string_view::npos) continue;
        if (++count > kMaxBrackets)
            return Diagnostic{mark_of(text, i, file),
                              fmt::format("more than {} brackets and commas", kMaxBrackets)};
    }
    return std::nullopt;
}

std::optional<Diagnostic> find_foreign_byte(std::string_view text, const std::string& file) {
    for (size_t i = 0; i < text.size();) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const size_t length = sequence(text.substr(i, 4));
        if (length != 0 && !is_control(byte)) {
            i += length;
            continue;
        }
        const Mark mark = mark_of(text, i, file);
        return Diagnostic{mark, fmt::format("the byte 0x{:02x} is {}", byte,
                                            length == 0 ? "not UTF-8" : "a control character")};
    }
    return std::nullopt;
}

}  // namespace torii::config
