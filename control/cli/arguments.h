#pragma once
// Command lines by popt's rules, which ipvsadm's users are used to: short options can be bundled
// (-Lnc), the argument of a short option is the rest of its word or the next word, long options
// take --name=value or --name value and may not be abbreviated, "--" ends the options. A library
// that guesses at abbreviations or orders errors differently would not do.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/base/error.h"

namespace torii::cli {

enum class Takes : uint8_t { nothing, value, optional_value };

struct Option {
    char short_name = 0;  ///< 0: none
    std::string_view long_name;
    Takes takes = Takes::nothing;
    std::string_view value_name = {};
    std::string_view help = {};
};

/// One option as it was given, or one word that is no option (then `option` is null).
struct Argument {
    const Option* option = nullptr;
    std::string spelled;  ///< "-n" or "--numeric"
    std::string value;
    bool has_value = false;
};

/// In the order of the line. The error is popt's sentence: "--foo: unknown option".
Result<std::vector<Argument>> parse_arguments(std::span<const std::string> words,
                                              std::span<const Option>);

/// One line an option, for --help.
std::string describe(std::span<const Option>);

}  // namespace torii::cli
