#pragma once
// What a command prints. It may have nobody to print to (a full disk, a closed descriptor), which
// is no reason to die half way, as fmt::print() would by throwing: whoever wants to know asks
// ferror().

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <utility>

namespace torii::cli {

template <class... T>
void say(std::FILE* to, fmt::format_string<T...> text, T&&... values) {
    const std::string out = fmt::format(text, std::forward<T>(values)...);
    std::fwrite(out.data(), 1, out.size(), to);
}

template <class... T>
void say(fmt::format_string<T...> text, T&&... values) {
    say(stdout, text, std::forward<T>(values)...);
}

}  // namespace torii::cli
