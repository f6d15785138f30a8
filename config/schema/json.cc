// The JSON schema of the file, from the same table as everything else.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "config/schema/field.h"
#include "config/schema/schema.h"

namespace torii::config {
namespace {

using Json = nlohmann::ordered_json;

std::string or_zero(Json schema, const Key& key) {
    if (key.zero.empty()) return schema.dump();
    return Json{{"anyOf", {std::move(schema), {{"const", key.zero}}}}}.dump();
}

constexpr uint64_t kExact = 1ull << 53;  // what every JSON number can hold

}  // namespace

std::string schema_of_text(const Key& key) {
    Json schema{{"type", "string"}};
    if (key.min > 0) schema["minLength"] = key.min;
    if (key.max < kExact) schema["maxLength"] = key.max;
    return or_zero(std::move(schema), key);
}

std::string schema_of_words(const Key& key) {
    Json words = Json::array();
    for (const Word& word : key.one_of)
        if (word.status == Status::supported) words.push_back(word.name);
    return or_zero({{"enum", std::move(words)}}, key);
}

std::string schema_of_number(const Key& key, uint64_t top) {
    return or_zero({{"type", "integer"}, {"minimum", key.min}, {"maximum", std::min(key.max, top)}},
                   key);
}

std::string schema_of_signed(const Key& key) {
    const auto most = int64_t(key.max);
    return or_zero({{"type", "integer"}, {"minimum", -most}, {"maximum", most}}, key);
}

std::string schema_of_shorthand(const std::string& whole) {
    return Json{{"anyOf", {{{"type", {"string", "integer"}}}, Json::parse(whole)}}}.dump();
}

std::string schema_of_size(const Key& key) {
    return or_zero({{"type", {"integer", "string"}}, {"pattern", "^[0-9]+[kMG]?$"}}, key);
}

std::string schema_of_duration(const Key& key) {
    return or_zero({{"type", {"integer", "string"}}, {"pattern", "^[0-9]+(us|ms|s|m|h|d)?$"}}, key);
}

std::string schema_of_list(const std::string& item, bool also_one, const Key& key) {
    Json list{{"type", "array"}, {"items", Json::parse(item)}};
    if (key.most != std::numeric_limits<size_t>::max()) list["maxItems"] = key.most;
    if (!also_one) return list.dump();
    return Json{{"anyOf", {Json::parse(item), std::move(list)}}}.dump();
}

std::string schema_of_map(const std::string& item) {
    return Json{{"type", "object"}, {"additionalProperties", Json::parse(item)}}.dump();
}

std::string object_schema(Keys keys) {
    Json properties = Json::object(), required = Json::array();
    for (const Key& key : keys) {
        if (key.status == Status::later) continue;
        Json one = Json::parse(key.field.schema(key));
        one["description"] = key.help;
        if (const std::string fallback = key.required ? "" : key.field.fallback(key);
            !fallback.empty())
            one["default"] = fallback;
        properties[std::string(key.name)] = std::move(one);
        if (key.required) required.push_back(key.name);
    }
    Json schema{
        {"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
    if (!required.empty()) schema["required"] = std::move(required);
    return schema.dump();
}

std::string json_schema() {
    Json schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                {"title", "torii configuration"}};
    schema.update(Json::parse(object_schema(keys_for(static_cast<const Config*>(nullptr)))));
    return schema.dump(1) + '\n';
}

}  // namespace torii::config
