#include "config/model/diagnostic.h"

#include <fmt/format.h>

namespace torii::config {

std::string to_string(const Mark& m) {
    return m ? fmt::format("{}:{}:{}", m.file, m.line, m.column) : m.file;
}

std::string to_string(const Diagnostic& d) {
    return fmt::format("{}: {}", to_string(d.mark), d.message);
}

std::string format(std::span<const Diagnostic> diagnostics) {
    std::string text;
    for (const Diagnostic& d : diagnostics) text += to_string(d) + '\n';
    return text;
}

}  // namespace torii::config
