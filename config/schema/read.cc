#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "config/base/units.h"
#include "config/schema/field.h"

namespace torii::config {
namespace {

/// What stands there, for the end of a message: 'abc', a list, nothing.
std::string got(const Node& node) {
    return node.kind == Node::Kind::scalar ? in_quotes(node.text)
                                           : std::string(to_string(node.kind));
}

void wrong(const Node& node, const Key& key, std::string_view wanted, Report& report) {
    report.add(node, fmt::format("'{}' must be {}, got {}", key.name, wanted, got(node)));
}

bool is_zero_word(const Node& node, const Key& key) {
    return node.kind == Node::Kind::scalar && !key.zero.empty() && node.text == key.zero;
}

std::string or_zero(std::string type, const Key& key) {
    return key.zero.empty() ? type : fmt::format("{} or {}", type, key.zero);
}

std::string range(uint64_t min, uint64_t max, const Key& key) {
    return or_zero(fmt::format("a number from {} to {}", min, max), key);
}

template <class T>
uint64_t top(const Key& key) {
    return std::min<uint64_t>(key.max, std::numeric_limits<T>::max());
}

template <class T>
bool read_number(const Node& node, T& out, const Key& key, Report& report) {
    if (is_zero_word(node, key)) return out = 0, true;
    const char* end = node.text.data() + node.text.size();
    uint64_t value = 0;
    const auto parsed = std::from_chars(node.text.data(), end, value);
    if (node.kind != Node::Kind::scalar || parsed.ec != std::errc{} || parsed.ptr != end ||
        value < key.min || value > top<T>(key)) {
        wrong(node, key, range(key.min, top<T>(key), key), report);
        return false;
    }
    out = T(value);
    return true;
}

/// The whole text as a number from min to max.
std::optional<uint64_t> number_of(std::string_view text, uint64_t min, uint64_t max) {
    uint64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
    return value >= min && value <= max ? std::optional(value) : std::nullopt;
}

std::optional<uint16_t> port_of(std::string_view text) { return number_of(text, 0, 65535); }

/// mark:7, or mark:7/ipv6 for IPv6 packets.
std::optional<Virtual> mark_virtual(std::string_view text, const Mark& at) {
    const size_t slash = std::min(text.find('/'), text.size());
    const std::string_view family = text.substr(slash);
    const auto mark = number_of(text.substr(5, slash - 5), 1, UINT32_MAX);
    if (!mark || (!family.empty() && family != "/ipv4" && family != "/ipv6")) return std::nullopt;
    const Address any = family == "/ipv6" ? Address{} : Address::v4(be32::from_host(0));
    return Virtual{{any, 0}, Protocol::any, uint32_t(*mark), at};
}

/// Refuses text that would disturb a terminal, a log line or a metric.
bool is_printable(std::string_view text) {
    return std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

}  // namespace

std::string_view to_string(Reload r) {
    switch (r) {
        case Reload::live:
            return "live";
        case Reload::workers:
            return "workers";
        case Reload::restart:
            return "restart";
    }
    return "unknown";
}

std::string in_quotes(std::string_view text) {
    constexpr size_t kShown = 64;
    std::string shown = "'";
    size_t end = std::min(text.size(), kShown);
    while (end < text.size() && end > 0 && (text[end] & 0xc0) == 0x80) --end;
    for (const char c : text.substr(0, end)) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            shown += fmt::format("\\x{:02x}", unsigned(c));
        else
            shown += c;
    }
    return shown + (end < text.size() ? "...'" : "'");
}

bool is_a(Node::Kind kind, const Node& node, std::string_view name, Report& report) {
    if (node.kind == kind) return true;
    report.add(node, fmt::format("{} must be {}, got {}",
                                 name == "the file" ? "the file" : in_quotes(name), to_string(kind),
                                 got(node)));
    return false;
}

bool refuse_length(const Node& node, const Key& key, Report& report) {
    report.add(node, fmt::format("'{}' can have {} entries at most, got {}", key.name, key.most,
                                 node.items.size()));
    return false;
}

void refuse_item(const Node& node, const Key& key, Report& report) {
    wrong(node, key, "a list of mappings", report);
}

Node as_mapping(const Node& value, std::string_view key) {
    const Node name{Node::Kind::scalar, value.file, value.line, value.column, std::string(key), {}};
    return {Node::Kind::map, value.file, value.line, value.column, {}, {name, value}};
}

bool is_name(const Node& node, Report& report) {
    if (node.kind == Node::Kind::scalar && !node.text.empty() && node.text.size() <= 128 &&
        is_printable(node.text))
        return true;
    report.add(node, fmt::format("a name must be 1 to 128 characters of text, got {}", got(node)));
    return false;
}

bool read(const Node& node, uint16_t& out, const Key& key, Report& report) {
    return read_number(node, out, key, report);
}
bool read(const Node& node, uint32_t& out, const Key& key, Report& report) {
    return read_number(node, out, key, report);
}
bool read(const Node& node, std::optional<uint16_t>& out, const Key& key, Report& report) {
    return read_number(node, out.emplace(), key, report) || (out.reset(), false);
}

bool read(const Node& node, uint64_t& out, const Key& key, Report& report) {
    if (is_zero_word(node, key)) return out = 0, true;
    const auto value = parse_size(node.text);
    if (node.kind != Node::Kind::scalar || !value || *value < key.min || *value > key.max) {
        wrong(node, key, type_of(&out, key), report);
        return false;
    }
    out = *value;
    return true;
}

bool read(const Node& node, Duration& out, const Key& key, Report& report) {
    if (is_zero_word(node, key)) return out = Duration(0), true;
    const auto value = parse_duration(node.text);
    if (node.kind != Node::Kind::scalar || !value || *value < key.shortest ||
        *value > key.longest) {
        wrong(node, key, type_of(&out, key), report);
        return false;
    }
    out = *value;
    return true;
}

bool read(const Node& node, StatusRange& out, const Key& key, Report& report) {
    const std::string_view text = node.text;
    const size_t dash = std::min(text.find('-'), text.size());
    const auto number = [](std::string_view digits) {
        unsigned value = 0;
        const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        const bool all = parsed.ec == std::errc{} && parsed.ptr == digits.data() + digits.size();
        return all && value >= 100 && value <= 599 ? uint16_t(value) : uint16_t(0);
    };
    const uint16_t first = number(text.substr(0, dash));
    const uint16_t last = dash == text.size() ? first : number(text.substr(dash + 1));
    if (node.kind != Node::Kind::scalar || first == 0 || last < first) {
        wrong(node, key, type_of(&out, key), report);
        return false;
    }
    out = {first, last};
    return true;
}

bool read(const Node& node, std::vector<Health>& out, const Key& key, Report& report) {
    if (node.kind == Node::Kind::map) return read(node, out.emplace_back(), key, report);
    return read<Health>(node, out, key, report);
}

const Word* read_word(const Node& node, const Key& key, Report& report) {
    const auto word = std::ranges::find(key.one_of, node.text, &Word::name);
    if (node.kind != Node::Kind::scalar || word == key.one_of.end()) {
        wrong(node, key, type_of_words(key), report);
        return nullptr;
    }
    if (word->status == Status::later) {
        report.add(node, fmt::format("'{}: {}' is not supported by this version of torii", key.name,
                                     word->name));
        return nullptr;
    }
    return &*word;
}

bool read(const Node& node, std::string& out, const Key& key, Report& report) {
    if (!key.one_of.empty()) {
        const Word* word = read_word(node, key, report);
        if (word) out = word->name;
        return word != nullptr;
    }
    if (node.kind != Node::Kind::scalar || node.text.size() < key.min ||
        node.text.size() > key.max || !is_printable(node.text)) {
        wrong(node, key, type_of(&out, key), report);
        return false;
    }
    out = node.text;
    return true;
}

bool read(const Node& node, int32_t& out, const Key& key, Report& report) {
    const char* end = node.text.data() + node.text.size();
    int32_t value = 0;
    const auto parsed = std::from_chars(node.text.data(), end, value);
    const auto most = int64_t(key.max);
    if (node.kind != Node::Kind::scalar || parsed.ec != std::errc{} || parsed.ptr != end ||
        value < -most || value > most) {
        wrong(node, key, type_of(&out, key), report);
        return false;
    }
    out = value;
    return true;
}

bool read(const Node& node, bool& out, const Key& key, Report& report) {
    if (node.kind != Node::Kind::scalar || (node.text != "true" && node.text != "false")) {
        wrong(node, key, type_of(&out, key), report);
        return false;
    }
    out = node.text == "true";
    return true;
}

bool read(const Node& node, Prefix& out, const Key& key, Report& report) {
    const auto prefix = parse_prefix(node.text);
    if (node.kind != Node::Kind::scalar || !prefix) {
        wrong(node, key, type_of(&out, key), report);
        return false;
    }
    out = *prefix;
    return true;
}

bool read(const Node& node, Address& out, const Key& key, Report& report) {
    const auto address = parse_address(node.text);
    if (node.kind != Node::Kind::scalar || !address) {
        wrong(node, key, type_of(&out, key), report);
        return false;
    }
    out = *address;
    return true;
}

bool read(const Node& node, std::optional<Endpoint>& out, const Key& key, Report& report) {
    if (is_zero_word(node, key)) return out.reset(), true;
    const auto endpoint = parse_endpoint(node.text);
    if (node.kind != Node::Kind::scalar || !endpoint || endpoint->port == 0) {
        wrong(node, key, type_of(&*out, key), report);
        return false;
    }
    out = *endpoint;
    return true;
}

bool read(const Node& node, PortRange& out, const Key& key, Report& report) {
    const std::string_view text = node.text;
    const size_t dash = std::min(text.find('-'), text.size());
    const auto first = port_of(text.substr(0, dash));
    const auto last = dash == text.size() ? first : port_of(text.substr(dash + 1));
    if (node.kind != Node::Kind::scalar || !first || !last || *first > *last) {
        wrong(node, key, type_of(&out, key), report);
        return false;
    }
    out = {*first, *last};
    return true;
}

bool read(const Node& node, std::optional<Netmask>& out, const Key& key, Report& report) {
    const auto dotted = parse_address(node.text);
    const auto length = number_of(node.text, 1, 128);
    if (node.kind == Node::Kind::scalar && dotted && dotted->is_v4() && dotted->as_v4().host() != 0)
        out = Netmask{dotted->as_v4().host(), 0};
    else if (node.kind == Node::Kind::scalar && length)
        out = Netmask{0, uint16_t(*length)};
    else
        wrong(node, key, type_of(&*out, key), report);
    return out.has_value();
}

bool read(const Node& node, Virtual& out, const Key& key, Report& report) {
    const std::string_view text = node.text;
    const auto slash = text.find('/');
    if (node.kind == Node::Kind::scalar && text.starts_with("mark:")) {
        const auto mark = mark_virtual(text, report.mark(node));
        if (mark) return out = *mark, true;
        report.add(node,
                   fmt::format("'{}' must be mark:N or mark:N/ipv6, got {}", key.name, got(node)));
        return false;
    }
    const auto endpoint = parse_endpoint(text.substr(0, slash));
    const auto protocol =
        parse_protocol(slash == text.npos ? std::string_view() : text.substr(slash + 1));
    if (node.kind != Node::Kind::scalar || !endpoint || !protocol) {
        const bool unquoted = node.kind == Node::Kind::list || node.kind == Node::Kind::map;
        report.add(node, fmt::format("'{}' must be {}, got {}{}", key.name, type_of(&out, key),
                                     got(node), unquoted ? "; IPv6 in brackets needs quotes" : ""));
        return false;
    }
    out = {*endpoint, *protocol, 0, report.mark(node)};
    return true;
}

std::string type_of(const bool*, const Key&) { return "true or false"; }
std::string type_of(const Prefix*, const Key&) { return "an address block like 192.0.2.0/24"; }
std::string type_of(const PortRange*, const Key&) { return "a port or a range like 80-443"; }
std::string type_of(const Netmask*, const Key&) {
    return "a prefix length from 1 to 128 or an IPv4 mask like 255.255.255.0";
}
std::string type_of(const uint16_t*, const Key& key) {
    return range(key.min, top<uint16_t>(key), key);
}
std::string type_of(const uint32_t*, const Key& key) {
    return range(key.min, top<uint32_t>(key), key);
}
std::string type_of(const uint64_t*, const Key& key) {
    return or_zero(fmt::format("a size from {} to {}", show_size(key.min), show_size(key.max)),
                   key);
}
std::string type_of(const int32_t*, const Key& key) {
    return fmt::format("a number from -{} to {}", key.max, key.max);
}
std::string type_of(const Duration*, const Key& key) {
    return or_zero(fmt::format("a duration from {} to {}", torii::to_string(key.shortest),
                               torii::to_string(key.longest)),
                   key);
}
std::string type_of(const std::string*, const Key& key) {
    if (!key.one_of.empty()) return type_of_words(key);
    if (key.max == std::numeric_limits<uint64_t>::max())
        return key.min == 0 ? "text" : "text that is not empty";
    return fmt::format("text of {} to {} characters", key.min, key.max);
}
std::string type_of(const Address*, const Key&) { return "an IPv4 or IPv6 address"; }
std::string type_of(const Virtual*, const Key&) { return "address:port/protocol or mark:N"; }
std::string type_of(const StatusRange*, const Key&) {
    return "a status code or a range like 200-299";
}
std::string type_of(const Endpoint*, const Key& key) {
    return or_zero("address:port with a port from 1", key);
}

std::string type_of_words(const Key& key) {
    std::string words = "one of";
    for (const Word& word : key.one_of)
        if (word.status == Status::supported) words += fmt::format(" {}", word.name);
    return words;
}

std::string show(uint64_t value, const Key& key) {
    return value == 0 && !key.zero.empty() ? std::string(key.zero) : fmt::format("{}", value);
}
std::string show_size(uint64_t value) {
    for (const auto& [shift, unit] : {std::pair{30, "G"}, {20, "M"}, {10, "k"}})
        if (value != 0 && value % (1ull << shift) == 0)
            return fmt::format("{}{}", value >> shift, unit);
    return fmt::format("{}", value);
}
std::string show(const Duration& value, const Key& key) {
    return value.count() == 0 && !key.zero.empty() ? std::string(key.zero)
                                                   : torii::to_string(value);
}
std::string show(const std::string& value, const Key&) { return value; }
std::string show(const std::optional<Endpoint>& value, const Key& key) {
    return value ? to_string(*value) : std::string(key.zero);
}

}  // namespace torii::config
