#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "config/schema/field.h"
#include "config/schema/schema.h"

namespace torii::config {
namespace {

/// Levenshtein distance; the row before is enough.
size_t distance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), size_t(0));
    for (size_t i = 0; i < a.size(); ++i) {
        size_t diagonal = std::exchange(row[0], i + 1);
        for (size_t j = 0; j < b.size(); ++j) {
            const size_t change = diagonal + (a[i] != b[j]);
            diagonal = std::exchange(row[j + 1], std::min({change, row[j] + 1, row[j + 1] + 1}));
        }
    }
    return row.back();
}

/// The nearest key when it is near enough to be meant, else the list of them.
std::string unknown(std::string_view name, Keys keys) {
    std::string message = fmt::format("unknown key {}", in_quotes(name));
    if (name.size() <= 32)
        for (const Key& key : keys)
            if (distance(name, key.name) <= (name.size() < 5 ? 1u : 2u))
                return fmt::format("{}; did you mean '{}'?", message, key.name);
    message += "; the keys here are";
    for (const Key& key : keys)
        if (key.status == Status::supported) message += fmt::format(" {}", key.name);
    return message;
}

}  // namespace

void decode(const Node& map, void* object, Keys keys, std::string_view name, Report& report) {
    if (!is_a(Node::Kind::map, map, name, report)) return;
    std::vector<bool> seen(keys.size());
    for (size_t i = 0; i + 1 < map.items.size(); i += 2) {
        const Node& written = map.items[i];
        const Node& value = map.items[i + 1];
        if (written.kind != Node::Kind::scalar) {
            report.add(written, fmt::format("a key must be text, got {}", to_string(written.kind)));
            continue;
        }
        const auto key = std::ranges::find(keys, written.text, &Key::name);
        if (key == keys.end()) {
            report.add(written, unknown(written.text, keys));
            continue;
        }
        if (seen[size_t(key - keys.begin())]) {
            report.add(written, fmt::format("'{}' is given twice", key->name));
            continue;
        }
        seen[size_t(key - keys.begin())] = true;
        if (!key->absent.empty()) {
            report.add(written, fmt::format("torii has no '{}': {}", key->name, key->absent));
            continue;
        }
        if (key->status == Status::later) {
            report.add(written,
                       fmt::format("'{}' is not supported by this version of torii", key->name));
            continue;
        }
        const size_t before = report.count();
        key->field.read(value, object, *key, report);
        if (key->mark) {
            Mark& mark = key->mark(object) = report.mark(value);
            mark.bad = report.count() > before;
        }
    }
    for (size_t k = 0; k < keys.size(); ++k)
        if (keys[k].required && !seen[k])
            report.add(map, fmt::format("'{}' is missing", keys[k].name));
}

Written written(const Node& map, Keys keys) {
    Written all;
    if (map.kind != Node::Kind::map) return all;
    for (size_t i = 0; i + 1 < map.items.size(); i += 2)
        if (const auto key = std::ranges::find(keys, map.items[i].text, &Key::name);
            key != keys.end())
            all.keys.push_back(key->name);
    return all;
}

void inherit(const void* from, void* to, Keys keys, const Written& in_to) {
    for (const Key& key : keys)
        if (key.field.inherit)
            key.field.inherit(from, to,
                              std::ranges::find(in_to.keys, key.name) != in_to.keys.end());
}

void inherit(const Health& from, Health& to) { inherit(&from, &to, keys_for(&to), to.written); }

void read_config(const Node& document, Config& config, Report& report) {
    config.mark = report.mark(document);
    decode(document, &config, keys_for(&config), "the file", report);
}

namespace {

void compare(const void* from, const void* to, Keys keys, const std::string& path,
             std::vector<Change>& found) {
    for (const Key& key : keys) {
        if (key.status == Status::later || key.field.equal(from, to)) continue;
        const std::string name = path + std::string(key.name);
        if (key.field.inside)
            compare(key.field.inside(from), key.field.inside(to), key.field.keys(), name + ".",
                    found);
        else
            found.push_back({name, key.reload});
    }
}

}  // namespace

std::vector<Change> changes(const Config& from, const Config& to) {
    std::vector<Change> found;
    compare(&from, &to, keys_for(&from), "", found);
    return found;
}

}  // namespace torii::config
