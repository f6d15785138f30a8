#include "config/base/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace torii {
namespace {

struct Unit {
    std::string_view name;
    uint64_t factor;
};
constexpr std::array kTimes = {Unit{"d", 86'400'000'000}, Unit{"h", 3'600'000'000},
                               Unit{"m", 60'000'000},     Unit{"s", 1'000'000},
                               Unit{"ms", 1'000},         Unit{"us", 1}};
constexpr std::array kSizes = {Unit{"", 1}, Unit{"k", 1ull << 10}, Unit{"M", 1ull << 20},
                               Unit{"G", 1ull << 30}};

template <size_t N>
Result<uint64_t> parse(std::string_view text, const std::array<Unit, N>& units,
                       std::string_view bare, std::string_view what) {
    uint64_t value = 0;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    std::string_view suffix = text.substr(size_t(end - text.data()));
    if (suffix.empty()) suffix = bare;
    for (const Unit& u : units) {
        if (ec != std::errc{} || suffix != u.name) continue;
        uint64_t scaled;
        if (__builtin_mul_overflow(value, u.factor, &scaled) || scaled > uint64_t(INT64_MAX)) break;
        return scaled;
    }
    return fail(Errc::invalid, fmt::format("'{}' is not {}", text, what));
}

}  // namespace

Result<std::chrono::microseconds> parse_duration(std::string_view text) {
    return parse(text, kTimes, "s", "a duration such as 500ms, 2s or 5m").map([](uint64_t us) {
        return std::chrono::microseconds(int64_t(us));
    });
}

std::string to_string(std::chrono::microseconds value) {
    const auto us = uint64_t(value.count());
    if (us == 0) return "0s";
    for (const Unit& u : kTimes)
        if (us % u.factor == 0) return fmt::format("{}{}", us / u.factor, u.name);
    return fmt::format("{}us", us);
}

Result<uint64_t> parse_size(std::string_view text) {
    return parse(text, kSizes, "", "a size such as 4096, 64k or 1M");
}

}  // namespace torii
