#include <fmt/format.h>

#include "config/schema/field.h"
#include "config/schema/schema.h"

namespace torii::config {
namespace {

/// A cell of the table cannot hold a bar.
std::string cell(std::string_view text) {
    std::string safe;
    for (const char c : text) safe += c == '|' ? std::string("\\|") : std::string(1, c);
    return safe;
}

std::string fallback_of(const Key& key) {
    if (key.required) return "required";
    const std::string value = key.field.fallback(key);
    return value.empty() ? "" : fmt::format("`{}`", value);
}

std::string later_words(const Key& key) {
    std::string words;
    for (const Word& word : key.one_of)
        if (word.status == Status::later) words += fmt::format(" `{}`", word.name);
    return words.empty() ? "" : fmt::format(". Not in this version:{}", words);
}

void section(const std::string& path, Keys keys, std::string& out) {
    out += fmt::format("\n## {}\n\n", path.empty() ? "The file" : fmt::format("`{}`", path));
    out += "| key | value | default | change | meaning |\n|---|---|---|---|---|\n";
    std::string later, absent;
    for (const Key& key : keys) {
        if (!key.absent.empty()) {
            absent += fmt::format("- `{}`: {}\n", key.name, key.absent);
            continue;
        }
        if (key.status == Status::later) {
            later += fmt::format("{}`{}`", later.empty() ? "" : ", ", key.name);
            continue;
        }
        out += fmt::format("| `{}` | {} | {} | {} | {}{} |\n", key.name, cell(key.field.type(key)),
                           cell(fallback_of(key)), to_string(key.reload), cell(key.help),
                           cell(later_words(key)));
    }
    if (!later.empty()) out += fmt::format("\nReserved, not in this version: {}.\n", later);
    if (!absent.empty()) out += fmt::format("\nRefused, because torii has none:\n\n{}", absent);
    for (const Key& key : keys) {
        if (!key.field.keys || key.status == Status::later) continue;
        const std::string inner =
            path.empty() ? std::string(key.name) : fmt::format("{}.{}", path, key.name);
        section(inner + std::string(key.field.suffix), key.field.keys(), out);
    }
}

}  // namespace

std::string reference_markdown() {
    std::string out =
        "# Configuration reference\n\n"
        "Generated from the table of keys by `torii config reference`; do not edit.\n\n"
        "The file is one YAML mapping. Unknown and repeated keys are errors. Durations are "
        "written\n"
        "`500us`, `500ms`, `2s`, `5m`, `1h` or `1d`; sizes `4096`, `64k`, `1M` or `1G`, in powers "
        "of\n"
        "1024. Addresses are IPv4 or IPv6 anywhere; IPv6 with a port is `\"[2001:db8::1]:80\"`, "
        "in\n"
        "quotes. A list of plain values may be written as one value without brackets.\n\n"
        "*Change* says what a reload that changes the key costs: `live` nothing, `workers` a new\n"
        "arrangement of the workers with every connection kept, `restart` that the key takes "
        "effect\n"
        "only when its daemon restarts.\n\n"
        "`examples/torii.yaml` is a whole file to start from.\n";
    section("", keys_for(static_cast<const Config*>(nullptr)), out);
    return out;
}

}  // namespace torii::config
