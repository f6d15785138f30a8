#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "config/schema/field.h"
#include "config/schema/schema.h"

namespace torii::config {
namespace {

constexpr size_t kShortList = 8;

bool is_short(const Node& list) {
    return list.items.size() <= kShortList && std::ranges::all_of(list.items, [](const Node& n) {
               return n.kind == Node::Kind::scalar;
           });
}

void emit(YAML::Emitter& out, const Node& node) {
    switch (node.kind) {
        case Node::Kind::null:
            out << YAML::Null;
            return;
        case Node::Kind::scalar:
            out << node.text;
            return;
        case Node::Kind::list:
            if (is_short(node)) out << YAML::Flow;
            out << YAML::BeginSeq;
            for (const Node& item : node.items) emit(out, item);
            out << YAML::EndSeq;
            return;
        case Node::Kind::map:
            if (node.items.empty()) out << YAML::Flow;
            out << YAML::BeginMap;
            for (size_t i = 0; i + 1 < node.items.size(); i += 2) {
                out << YAML::Key;
                emit(out, node.items[i]);
                out << YAML::Value;
                emit(out, node.items[i + 1]);
            }
            out << YAML::EndMap;
    }
}

const Node* value_of(const Node& map, std::string_view name) {
    for (size_t i = 0; i + 1 < map.items.size(); i += 2)
        if (map.items[i].text == name) return &map.items[i + 1];
    return nullptr;
}

bool is_empty(const Node& n) {
    return n.kind == Node::Kind::null || (n.text.empty() && n.items.empty());
}

void paths(const std::string& prefix, Keys keys, std::vector<std::string>& out) {
    for (const Key& key : keys) {
        if (key.status == Status::later) continue;
        const std::string name = prefix + std::string(key.name);
        out.push_back(name);
        if (key.field.keys)
            paths(name + std::string(key.field.suffix) + ".", key.field.keys(), out);
    }
}

}  // namespace

std::string emit_yaml(const Node& node) {
    YAML::Emitter out;
    emit(out, node);
    return std::string(out.c_str(), out.size()) + '\n';
}

Node write_text(std::string text) {
    Node node;
    node.kind = Node::Kind::scalar;
    node.text = std::move(text);
    return node;
}

Node encode(const void* object, Keys keys) {
    Node map;
    map.kind = Node::Kind::map;
    for (const Key& key : keys) {
        if (key.status == Status::later) continue;
        if (key.quiet && key.field.is_default(object)) continue;
        if (!key.unless.empty() && value_of(map, key.unless)) continue;
        Node value = key.field.write(object, key);
        if (is_empty(value)) continue;
        if (key.secret) value.text = "(secret)";
        map.items.push_back(write_text(std::string(key.name)));
        map.items.push_back(std::move(value));
    }
    return map;
}

Node encode_said(const void* object, Keys keys, const Written& said) {
    Node map;
    map.kind = Node::Kind::map;
    for (const Key& key : keys) {
        if (std::ranges::find(said.keys, key.name) == said.keys.end()) continue;
        Node value =
            key.field.write_said ? key.field.write_said(object) : key.field.write(object, key);
        map.items.push_back(write_text(std::string(key.name)));
        map.items.push_back(std::move(value));
    }
    return map;
}

std::optional<Node> write_config(const Config& config, std::string_view path) {
    Node node = encode(&config, keys_for(&config));
    while (!path.empty()) {
        const size_t dot = path.find('.');
        const Node* inner = value_of(node, path.substr(0, dot));
        if (inner == nullptr) return std::nullopt;
        node = Node(*inner);
        path = dot == path.npos ? std::string_view() : path.substr(dot + 1);
    }
    return node;
}

std::vector<std::string> key_paths() {
    std::vector<std::string> all;
    paths("", keys_for(static_cast<const Config*>(nullptr)), all);
    return all;
}

}  // namespace torii::config
