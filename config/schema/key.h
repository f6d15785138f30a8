#pragma once
// A configuration key is one row: its name, where it goes, what it may be, its help. Parsing,
// bounds, messages, the reference in docs/config.md and the cost of changing it all come from the
// row. The rows are in keys.cc; a key that has no row does not exist.

#include <chrono>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/model/config.h"
#include "config/schema/node.h"

namespace torii::config {

/// `later`: the name is reserved and refused with a sentence of its own. Turning a key or a word on
/// is giving it its target and dropping the status.
enum class Status : uint8_t { supported, later };

/// What a reload that changes the key costs.
enum class Reload : uint8_t {
    live,     ///< the next generation has it; nothing stops
    workers,  ///< the workers are arranged anew; connections stay
    restart,  ///< takes effect when its daemon restarts; a reload says so
};
std::string_view to_string(Reload);

/// One of a fixed set of values: `value` is the enumerator, where there is one.
struct Word {
    std::string_view name;
    int value = 0;
    Status status = Status::supported;
};

/// Collects diagnostics while a document is read. `files` are the names of what it was read from,
/// by Node::file.
class Report {
public:
    Report(std::vector<std::string> files, std::vector<Diagnostic>& to)
        : files_(std::move(files)), to_(to) {}
    void add(const Node& at, std::string message) { to_.push_back({mark(at), std::move(message)}); }
    size_t count() const { return to_.size(); }
    Mark mark(const Node& node) const { return {files_[node.file], node.line, node.column}; }

private:
    std::vector<std::string> files_;
    std::vector<Diagnostic>& to_;
};

struct Key;
using Keys = std::span<const Key>;

/// What the table knows of a member; made by field<&Struct::member> of field.h. `object` is the
/// struct the row's table describes.
struct Field {
    void (*read)(const Node&, void* object, const Key&, Report&) = nullptr;
    std::string (*type)(const Key&) = nullptr;      ///< in words
    std::string (*fallback)(const Key&) = nullptr;  ///< the default, as it would be written
    std::string (*schema)(const Key&) = nullptr;    ///< JSON schema of the value
    bool (*is_default)(const void* object) = nullptr;
    Node (*write)(const void* object, const Key&) = nullptr;  ///< what read() would take again
    Node (*write_said)(const void* object) =
        nullptr;  ///< only what was written; null: no such thing
    bool (*equal)(const void*, const void*) = nullptr;  ///< in two objects
    /// Takes the value of `from` unless it was `written` in `to`; a mapping's keys one by one.
    void (*inherit)(const void* from, void* to, bool written) = nullptr;
    const void* (*inside)(const void* object) = nullptr;  ///< a nested struct; else null
    Keys (*keys)() = nullptr;                             ///< of a nested struct, list or mapping
    std::string_view suffix;  ///< what a path through it adds: "", "[]" or ".NAME"
};

struct Key {
    std::string_view name;
    Field field = {};
    std::string_view help = {};
    bool required = false;
    uint64_t min = 0, max = std::numeric_limits<uint64_t>::max();  ///< numbers; length of text
    Duration shortest{0}, longest = Duration::max();               ///< durations
    size_t most = std::numeric_limits<size_t>::max();              ///< entries of a list
    std::string_view zero = {};         ///< a word for 0 or none: "auto", "poll", "none"
    std::span<const Word> one_of = {};  ///< enums and fixed sets of text
    Reload reload = Reload::live;
    Status status = Status::supported;
    std::string_view absent = {};           ///< why torii has not what LVS has by this name
    Mark& (*mark)(void* object) = nullptr;  ///< keeps the value's place; see mark_in<>
    std::string_view unless = {};           ///< written out only where that key has no value
    bool quiet = false;                     ///< written out only where it is not the default
    bool secret = false;                    ///< shown to nobody
};

/// Fills `object` from a mapping. Reports every problem: unknown, repeated and missing keys, wrong
/// types, values out of bounds. `name` is the key the mapping is the value of, or "the file".
void decode(const Node& map, void* object, Keys, std::string_view name, Report&);

/// A mapping of everything the object says, defaults included; values that are not there are left
/// out. The opposite of decode().
Node encode(const void* object, Keys);

/// The same of what was written in it only: the rest comes from elsewhere when it is read again.
Node encode_said(const void* object, Keys, const Written&);

/// JSON schema of a mapping with these keys.
std::string object_schema(Keys);

/// The text in quotes, shortened and with control characters made visible: it goes to a terminal.
std::string in_quotes(std::string_view);

}  // namespace torii::config
