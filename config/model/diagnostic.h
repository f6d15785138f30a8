#pragma once
// Where in a configuration file something stands, and what is wrong with it there.

#include <span>
#include <string>

namespace torii::config {

/// A place in a file; line and column count from 1. A line of 0 means "not written in the file":
/// the value is a default. Column is in bytes, as editors and compilers count it.
struct Mark {
    std::string file;
    int line = 0;
    int column = 0;
    bool bad = false;  ///< while loading: the value there could not be read, so checks pass over it
    /// Whether the file says it, as opposed to a default.
    explicit operator bool() const { return line > 0; }
    /// Marks never make two values differ: a reload that only moves lines changes nothing.
    friend bool operator==(const Mark&, const Mark&) { return true; }
};

/// "torii.yaml:3:7", "torii.yaml" when the whole file is meant.
std::string to_string(const Mark&);

/// One thing the operator has to mend. `message` is a sentence without a full stop.
struct Diagnostic {
    Mark mark;
    std::string message;
};

/// "file:line:column: sentence", or "file: sentence" when no line is to blame.
std::string to_string(const Diagnostic&);

/// Every diagnostic on its own line, each line ended.
std::string format(std::span<const Diagnostic>);

}  // namespace torii::config
