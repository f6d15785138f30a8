#pragma once
// Which C++ types a key may have. A new type is a read(), a type_of() and a show(); a struct only
// needs its keys_for().

#include <concepts>
#include <map>
#include <optional>
#include <type_traits>

#include "config/schema/tables.h"

namespace torii::config {

// Each read() stores the value and returns true, or reports and returns false.
bool read(const Node&, bool&, const Key&, Report&);
bool read(const Node&, uint16_t&, const Key&, Report&);
bool read(const Node&, uint32_t&, const Key&, Report&);
bool read(const Node&, uint64_t&, const Key&, Report&);
bool read(const Node&, int32_t&, const Key&, Report&);  ///< from -max to max
bool read(const Node&, Duration&, const Key&, Report&);
bool read(const Node&, std::string&, const Key&, Report&);
bool read(const Node&, Address&, const Key&, Report&);
bool read(const Node&, Prefix&, const Key&, Report&);
bool read(const Node&, PortRange&, const Key&, Report&);
bool read(const Node&, std::optional<Netmask>&, const Key&, Report&);
bool read(const Node&, Virtual&, const Key&, Report&);
bool read(const Node&, StatusRange&, const Key&, Report&);
bool read(const Node&, std::vector<Health>&, const Key&, Report&);  ///< or one mapping
bool read(const Node&, std::optional<uint16_t>&, const Key&, Report&);
bool read(const Node&, std::optional<Endpoint>&, const Key&, Report&);
/// The word of key.one_of, or null.
const Word* read_word(const Node&, const Key&, Report&);
/// Whether the node is of that kind; reports if not.
bool is_a(Node::Kind, const Node&, std::string_view name, Report&);
bool refuse_length(const Node&, const Key&, Report&);      ///< of a list; returns false
void refuse_item(const Node&, const Key&, Report&);        ///< of a list of mappings
bool is_name(const Node&, Report&);                        ///< of an entry of a mapping of structs
Node as_mapping(const Node& value, std::string_view key);  ///< {key: value}, at its place

/// The rows whose keys the mapping has.
Written written(const Node& map, Keys);
/// Takes from `from` what was not written in `to`.
void inherit(const void* from, void* to, Keys, const Written& in_to);
template <class S>
void inherit(const S& from, S& to) {
    inherit(&from, &to, keys_for(&to), to.written);
}

template <class E>
requires std::is_enum_v<E>
bool read(const Node& node, E& out, const Key& key, Report& report) {
    const Word* word = read_word(node, key, report);
    if (word) out = E(word->value);
    return word != nullptr;
}

template <Struct S>
bool read(const Node& node, S& out, const Key& key, Report& report) {
    if constexpr (requires { out.mark; }) out.mark = report.mark(node);
    if constexpr (Shorthand<S>)
        if (node.kind == Node::Kind::scalar)
            return read(as_mapping(node, shorthand(&out)), out, key, report);
    decode(node, &out, keys_for(&out), key.name, report);
    if constexpr (requires { out.written; }) out.written = written(node, keys_for(&out));
    return true;  // what could not be read keeps its default: later checks still see the rest
}

/// A list, or one item without the brackets.
template <class T>
bool read(const Node& node, std::vector<T>& out, const Key& key, Report& report) {
    out.clear();  // what is written takes the place of the default
    if (node.kind != Node::Kind::list) {
        if ((Struct<T> && !Shorthand<T>) || node.kind != Node::Kind::scalar)
            return is_a(Node::Kind::list, node, key.name, report);
        return read(node, out.emplace_back(), key, report) || (out.pop_back(), false);
    }
    if (node.items.size() > key.most) return refuse_length(node, key, report);
    for (const Node& item : node.items) {
        if (Struct<T> && item.kind != Node::Kind::map &&
            !(Shorthand<T> && item.kind == Node::Kind::scalar))
            refuse_item(item, key, report);
        else if (!read(item, out.emplace_back(), key, report))
            out.pop_back();
    }
    return true;
}

/// A mapping from names to structs.
template <Struct S>
bool read(const Node& node, std::map<std::string, S, std::less<>>& out, const Key& key,
          Report& report) {
    if (!is_a(Node::Kind::map, node, key.name, report)) return false;
    for (size_t i = 0; i + 1 < node.items.size(); i += 2) {
        const Node& name = node.items[i];
        if (!is_name(name, report)) continue;
        auto [entry, fresh] = out.try_emplace(name.text);
        if (!fresh) {
            report.add(name, in_quotes(name.text) + " is given twice");
            continue;
        }
        read(node.items[i + 1], entry->second, Key{.name = name.text}, report);
    }
    return true;
}

std::string type_of(const bool*, const Key&);
std::string type_of(const uint16_t*, const Key&);
std::string type_of(const uint32_t*, const Key&);
std::string type_of(const uint64_t*, const Key&);
std::string type_of(const int32_t*, const Key&);
std::string type_of(const Duration*, const Key&);
std::string type_of(const std::string*, const Key&);
std::string type_of(const Address*, const Key&);
std::string type_of(const Prefix*, const Key&);
std::string type_of(const PortRange*, const Key&);
std::string type_of(const Netmask*, const Key&);
std::string type_of(const Virtual*, const Key&);
std::string type_of(const StatusRange*, const Key&);
std::string type_of(const Endpoint*, const Key&);
std::string type_of_words(const Key&);

template <class E>
requires std::is_enum_v<E> std::string type_of(const E*, const Key& key) {
    return type_of_words(key);
}
template <Struct S>
std::string type_of(const S*, const Key&) {
    return "mapping";
}
template <class T>
std::string type_of(const std::optional<T>*, const Key& key) {
    return type_of(static_cast<const T*>(nullptr), key);
}
template <class T>
std::string type_of(const std::vector<T>*, const Key& key) {
    if constexpr (Shorthand<T>) {
        const std::string bare(shorthand(static_cast<const T*>(nullptr)));
        return "list of mappings; a bare value is the `" + bare + "`";
    }
    if constexpr (Struct<T>) return "list of mappings";
    return "list, each " + type_of(static_cast<const T*>(nullptr), key);
}
template <class T>
std::string type_of(const std::map<std::string, T, std::less<>>*, const Key&) {
    return "mapping of names to mappings";
}

std::string show(uint64_t, const Key&);
std::string show_size(uint64_t);
std::string show(const Duration&, const Key&);
std::string show(const std::string&, const Key&);
std::string show(const std::optional<Endpoint>&, const Key&);

/// The default as the operator would write it, or "" when there is none to show.
template <class T>
std::string show_any(const T& value, const Key& key) {
    if constexpr (std::is_enum_v<T>)
        return std::string(to_string(value));
    else if constexpr (std::is_same_v<T, bool>)
        return value ? "true" : "false";
    else if constexpr (std::is_same_v<T, uint64_t>)
        return show_size(value);
    else if constexpr (std::is_same_v<T, int32_t>)
        return std::to_string(value);
    else if constexpr (requires { show(value, key); })
        return show(value, key);
    else
        return {};
}

// What read() would take again; null for what is not there, or below what could be written.
Node write_text(std::string);
template <class T>
Node write(const T& value, const Key& key) {
    if constexpr (Struct<T>)
        return encode(&value, keys_for(&value));
    else if constexpr (std::is_enum_v<T>) {
        for (const Word& word : key.one_of)
            if (T(word.value) == value && word.status == Status::supported)
                return write_text(std::string(word.name));
        return write_text(std::string(to_string(value)));
    } else if constexpr (std::is_same_v<T, bool>)
        return write_text(value ? "true" : "false");
    else if constexpr (std::is_same_v<T, uint64_t>)
        return write_text(value == 0 ? show(value, key) : show_size(value));
    else if constexpr (std::is_same_v<T, int32_t>)
        return write_text(std::to_string(value));
    else if constexpr (std::is_same_v<T, Address>)
        return value.is_unspecified() ? Node{} : write_text(to_string(value));
    else if constexpr (std::is_integral_v<T>)
        return value < key.min && key.zero.empty() ? Node{} : write_text(show(value, key));
    else if constexpr (std::is_same_v<T, Duration>)
        return value < key.shortest && key.zero.empty() ? Node{} : write_text(show(value, key));
    else if constexpr (requires { show(value, key); })
        return write_text(show(value, key));
    else
        return write_text(to_string(value));
}
template <class T>
Node write(const std::optional<T>& value, const Key& key) {
    if (value) return write(*value, key);
    return key.zero.empty() ? Node{} : write_text(std::string(key.zero));
}
template <class T>
Node write(const std::vector<T>& values, const Key& key) {
    Node list;
    list.kind = Node::Kind::list;
    for (const T& value : values) {
        if constexpr (requires { value.written; })  // what it leaves out comes from elsewhere
            list.items.push_back(encode_said(&value, keys_for(&value), value.written));
        else
            list.items.push_back(write(value, key));
    }
    return list;
}
template <class T>
Node write(const std::map<std::string, T, std::less<>>& values, const Key& key) {
    Node map;
    map.kind = Node::Kind::map;
    for (const auto& [name, value] : values) {
        map.items.push_back(write_text(name));
        map.items.push_back(write(value, key));
    }
    return map;
}

// JSON schema of a value; a type without one of its own is text.
std::string schema_of_text(const Key&);
std::string schema_of_words(const Key&);
std::string schema_of_number(const Key&, uint64_t top);
std::string schema_of_signed(const Key&);
std::string schema_of_shorthand(const std::string& whole);  ///< or one bare value
std::string schema_of_size(const Key&);
std::string schema_of_duration(const Key&);
std::string schema_of_list(const std::string& item, bool also_one, const Key&);
std::string schema_of_map(const std::string& item);
template <class T>
std::string schema_of(const T*, const Key& key) {
    if constexpr (Shorthand<T>)
        return schema_of_shorthand(object_schema(keys_for(static_cast<const T*>(nullptr))));
    else if constexpr (Struct<T>)
        return object_schema(keys_for(static_cast<const T*>(nullptr)));
    else if constexpr (std::is_same_v<T, int32_t>)
        return schema_of_signed(key);
    else if constexpr (std::is_same_v<T, bool>)
        return R"({"type": "boolean"})";
    else if constexpr (std::is_enum_v<T>)
        return schema_of_words(key);
    else if constexpr (std::is_same_v<T, uint64_t>)
        return schema_of_size(key);
    else if constexpr (std::is_integral_v<T>)
        return schema_of_number(key, uint64_t(std::numeric_limits<T>::max()));
    else if constexpr (std::is_same_v<T, Duration>)
        return schema_of_duration(key);
    else
        return key.one_of.empty() ? schema_of_text(key) : schema_of_words(key);
}
template <class T>
std::string schema_of(const std::optional<T>*, const Key& key) {
    return schema_of(static_cast<const T*>(nullptr), key);
}
template <class T>
std::string schema_of(const std::vector<T>*, const Key& key) {
    return schema_of_list(schema_of(static_cast<const T*>(nullptr), key),
                          !Struct<T> || Shorthand<T>, key);
}
template <class T>
std::string schema_of(const std::map<std::string, T, std::less<>>*, const Key& key) {
    return schema_of_map(schema_of(static_cast<const T*>(nullptr), key));
}

template <class T>
struct Shape {
    using Inner = T;
    static constexpr std::string_view kSuffix = "";
};
template <class T>
struct Shape<std::vector<T>> {
    using Inner = T;
    static constexpr std::string_view kSuffix = "[]";
};
template <class T>
struct Shape<std::map<std::string, T, std::less<>>> {
    using Inner = T;
    static constexpr std::string_view kSuffix = ".NAME";
};

template <class S, class T>
struct Member {
    using Type = T;
    using Owner = S;
};
template <class S, class T>
Member<S, T> member_of(T S::*);

template <auto M>
constexpr Field make_field() {
    using S = typename decltype(member_of(M))::Owner;
    using T = typename decltype(member_of(M))::Type;
    using Inner = typename Shape<T>::Inner;
    Field f;
    f.read = [](const Node& node, void* object, const Key& key, Report& report) {
        read(node, static_cast<S*>(object)->*M, key, report);
    };
    f.type = [](const Key& key) { return type_of(static_cast<const T*>(nullptr), key); };
    f.fallback = [](const Key& key) {
        const S s{};
        return show_any(s.*M, key);
    };
    f.schema = [](const Key& key) { return schema_of(static_cast<const T*>(nullptr), key); };
    f.is_default = [](const void* object) { return static_cast<const S*>(object)->*M == S{}.*M; };
    f.write = [](const void* object, const Key& key) {
        return write(static_cast<const S*>(object)->*M, key);
    };
    f.equal = [](const void* a, const void* b) {
        return static_cast<const S*>(a)->*M == static_cast<const S*>(b)->*M;
    };
    f.inherit = [](const void* from, void* to, bool written) {
        const T& theirs = static_cast<const S*>(from)->*M;
        T& ours = static_cast<S*>(to)->*M;
        if (!written) ours = theirs;
        if constexpr (requires { ours.written; })
            if (written) inherit(theirs, ours);
    };
    if constexpr (requires(const T& t) { t.written; })
        f.write_said = [](const void* object) {
            const T& value = static_cast<const S*>(object)->*M;
            return encode_said(&value, keys_for(&value), value.written);
        };
    f.suffix = Shape<T>::kSuffix;
    if constexpr (Struct<Inner>)
        f.keys = [] { return keys_for(static_cast<const Inner*>(nullptr)); };
    if constexpr (Struct<T>)
        f.inside = [](const void* object) -> const void* {
            return &(static_cast<const S*>(object)->*M);
        };
    return f;
}

/// The row's target: field<&Backend::weight>.
template <auto M>
inline constexpr Field field = make_field<M>();

/// Where the place of the value is kept: mark_in<&Backend::weight_mark>.
template <auto M>
Mark& mark_in(void* object) {
    return static_cast<typename decltype(member_of(M))::Owner*>(object)->*M;
}

}  // namespace torii::config
