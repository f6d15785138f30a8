#pragma once
// Command lines by popt's rules, which ipvsadm's users are used to: short options can be bundled
// (-Lnc), the argument of a short option is the rest of its word or the next word, long options
// take --name=value or --name value and may not be abbreviated, "--" ends the options. A library
// that guesses at abbreviations or orders errors differently would not do.

#include <optional>
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
    std::string last_word;  ///< of the line, that belongs to it: "-Ln", or its value
    std::string value;
    bool has_value = false;
};

struct Arguments {
    std::vector<Argument> all;   ///< in the order of the line, up to the error
    std::optional<Error> error;  ///< popt's sentence: "--foo: unknown option"
};

/// For commands that complain about the first wrong word of the line, whatever is wrong with it.
Arguments read_arguments(std::span<const std::string> words, std::span<const Option>);

/// All arguments, or the error.
Result<std::vector<Argument>> parse_arguments(std::span<const std::string> words,
                                              std::span<const Option>);

/// One line an option, for --help.
std::string describe(std::span<const Option>);

}  // namespace torii::cli
