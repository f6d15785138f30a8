#include "control/api/ipvs.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <nlohmann/json.hpp>

namespace torii::api {
namespace {

using nlohmann::json;

constexpr std::string_view kVerbs[] = {"add_service",  "edit_service", "delete_service", "clear",
                                       "add_server",   "edit_server",  "delete_server",  "zero",
                                       "set_timeouts", "start_daemon", "stop_daemon"};

constexpr FlagName kFlags[] = {
    {"sh-fallback", 0x08, "sh"},
    {"sh-port", 0x10, "sh"},
    {"mh-fallback", 0x08, "mh"},
    {"mh-port", 0x10, "mh"},
    {"flag-1", 0x08},
    {"flag-2", 0x10},
    {"flag-3", 0x20},
};

bool about_server(Verb v) {
    return v == Verb::add_server || v == Verb::edit_server || v == Verb::delete_server;
}
bool sets_rule(Verb v) { return v == Verb::add_service || v == Verb::edit_service; }
bool sets_server(Verb v) { return v == Verb::add_server || v == Verb::edit_server; }

std::string in_json(std::string_view text) {
    return json(std::string(text)).dump(-1, ' ', false, json::error_handler_t::replace);
}

// A name that is not ASCII is nobody's, and stays so; it must not grow beyond what one may have.
std::string name_in_json(std::string name) {
    std::ranges::replace_if(
        name, [](char c) { return uint8_t(c) >= 0x80; }, '?');
    return in_json(name);
}

// Written by hand: a saved table has tens of thousands of these.
void append(std::string& out, const ServiceName& s) {
    auto to = std::back_inserter(out);
    if (s.mark != 0)
        fmt::format_to(to, R"(,"mark":{},"family":{})", s.mark, s.family == Family::ipv4 ? 4 : 6);
    else
        fmt::format_to(to, R"(,"{}":"{}")", to_string(s.protocol), to_string(s.endpoint));
    if (s.mapped()) out += R"(,"mapped":true)";
}

void append(std::string& out, const ServiceRule& r) {
    fmt::format_to(
        std::back_inserter(out),
        R"(,"scheduler":{},"flags":{},"persistence":{},"netmask":{},"one_packet":{},"engine":{})",
        name_in_json(r.scheduler), r.flags, r.persistence, r.netmask, r.one_packet,
        name_in_json(r.engine));
}

void append(std::string& out, const ServerRule& r) {
    auto to = std::back_inserter(out);
    fmt::format_to(to, R"(,"forward":"{}","weight":{},"upper":{},"lower":{})", r.forward, r.weight,
                   r.upper, r.lower);
    if (r.tunnel != TunnelRule{})
        fmt::format_to(to, R"(,"tunnel":"{}","tunnel_port":{},"tunnel_checksum":"{}")",
                       r.tunnel.type, r.tunnel.port, r.tunnel.checksum);
}

void append(std::string& out, const IpvsCommand& c) {
    fmt::format_to(std::back_inserter(out), R"({{"do":"{}")", to_string(c.verb));
    if (c.service) append(out, *c.service);
    if (sets_rule(c.verb)) append(out, c.rule);
    if (about_server(c.verb))
        fmt::format_to(std::back_inserter(out), R"(,"server":"{}")", to_string(c.server));
    if (about_server(c.verb) && c.server_mapped) out += R"(,"server_mapped":true)";
    if (sets_server(c.verb)) append(out, c.server_rule);
    if (c.verb == Verb::set_timeouts)
        fmt::format_to(std::back_inserter(out), R"(,"timeouts":[{},{},{}])", c.timeouts[0],
                       c.timeouts[1], c.timeouts[2]);
    if (!c.role.empty()) fmt::format_to(std::back_inserter(out), R"(,"role":"{}")", c.role);
    out += '}';
}

[[noreturn]] void wrong(const std::string& what) {
    throw json::other_error::create(500, what, static_cast<const json*>(nullptr));
}

// Throws, as nlohmann-json does; parse() below turns that into an error.
Endpoint endpoint(const json& j) {
    const auto parsed = parse_endpoint(j.get_ref<const std::string&>());
    if (!parsed) wrong(parsed.error().message);
    return *parsed;
}

uint64_t number(const json& j, const char* key, uint64_t otherwise, uint64_t most = UINT32_MAX) {
    const auto it = j.find(key);
    if (it == j.end()) return otherwise;
    if (!it->is_number_unsigned() || it->get<uint64_t>() > most)
        wrong(fmt::format("'{}' must be a number from 0 to {}", key, most));
    return it->get<uint64_t>();
}

std::string word(const json& j, const char* key, std::string otherwise,
                 std::initializer_list<std::string_view> known = {}) {
    const auto it = j.find(key);
    if (it == j.end()) return otherwise;
    std::string text = it->get<std::string>();
    if (known.size() == 0) return text;
    for (const std::string_view k : known)
        if (text == k) return text;
    wrong(fmt::format("'{}' is none of: {}", key, fmt::join(known, ", ")));
}

std::optional<ServiceName> service_of(const json& j) {
    ServiceName s;
    if (const auto it = j.find("mark"); it != j.end()) {
        s.mark = uint32_t(number(j, "mark", 0));
        s.family = number(j, "family", 4) == 6 ? Family::ipv6 : Family::ipv4;
        if (s.mark == 0) wrong("'mark' must not be 0");
        return s;
    }
    for (const Protocol p : {Protocol::tcp, Protocol::udp, Protocol::sctp}) {
        const auto it = j.find(std::string(to_string(p)));
        if (it == j.end()) continue;
        s.protocol = p;
        s.endpoint = endpoint(*it);
        s.family = j.value("mapped", false) ? Family::ipv6 : s.endpoint.address.family();
        return s;
    }
    return std::nullopt;
}

ServiceRule rule_of(const json& j) {
    ServiceRule r;
    r.scheduler = word(j, "scheduler", "wlc");
    if (r.scheduler.size() > 15) wrong("'scheduler' has more than 15 letters");
    r.flags = uint16_t(number(j, "flags", 0, 0x38));
    r.persistence = uint32_t(number(j, "persistence", 0, INT32_MAX));
    r.netmask = uint32_t(number(j, "netmask", 0xffffffff));
    r.one_packet = j.value("one_packet", false);
    r.engine = word(j, "engine", "");
    if (r.engine.size() > 15) wrong("'engine' has more than 15 letters");
    return r;
}

ServerRule server_rule_of(const json& j) {
    ServerRule r;
    r.forward = word(j, "forward", "dr", {"nat", "dr", "tunnel"});
    r.weight = uint32_t(number(j, "weight", 1, 65535));
    r.upper = uint32_t(number(j, "upper", 0, INT32_MAX));
    r.lower = uint32_t(number(j, "lower", 0, INT32_MAX));
    r.tunnel.type = word(j, "tunnel", "ipip", {"ipip", "gue", "gre"});
    r.tunnel.port = uint16_t(number(j, "tunnel_port", 0, 65535));
    r.tunnel.checksum = word(j, "tunnel_checksum", "nocsum", {"nocsum", "csum", "remcsum"});
    return r;
}

IpvsCommand command_of(const json& j) {
    IpvsCommand c;
    const std::string verb = word(j, "do", "");
    const auto it = std::find(std::begin(kVerbs), std::end(kVerbs), verb);
    if (it == std::end(kVerbs)) wrong(fmt::format("'do' is none of: {}", fmt::join(kVerbs, ", ")));
    c.verb = Verb(it - std::begin(kVerbs));
    c.service = service_of(j);
    const bool needs = sets_rule(c.verb) || about_server(c.verb) || c.verb == Verb::delete_service;
    if (needs && !c.service) wrong("the service is missing: 'tcp', 'udp', 'sctp' or 'mark'");
    if (sets_rule(c.verb)) {
        if (c.service->family == Family::ipv6 && !j.contains("netmask")) c.rule.netmask = 128;
        const uint32_t netmask = c.rule.netmask;
        c.rule = rule_of(j);
        if (!j.contains("netmask")) c.rule.netmask = netmask;
    }
    if (about_server(c.verb)) {
        c.server = endpoint(j.at("server"));
        c.server_mapped = c.server.address.is_v4() && j.value("server_mapped", false);
    }
    if (sets_server(c.verb)) c.server_rule = server_rule_of(j);
    if (c.verb == Verb::set_timeouts) c.timeouts = j.at("timeouts").get<std::array<uint32_t, 3>>();
    if (c.verb == Verb::start_daemon || c.verb == Verb::stop_daemon)
        c.role = word(j, "role", "", {"master", "backup"});
    return c;
}

template <class Make>
auto parse(std::string_view text, Make make) -> Result<decltype(make(json{}))> {
    try {
        return make(json::parse(text));
    } catch (const json::exception& e) {
        return fail(Errc::invalid, std::string("not what was expected: ") + e.what());
    }
}

}  // namespace

std::string_view to_string(Verb v) { return kVerbs[size_t(v)]; }

const FlagName* find_flag(std::string_view name) {
    const auto* it = std::ranges::find(kFlags, name, &FlagName::name);
    return it == std::end(kFlags) ? nullptr : it;
}

std::vector<std::string> flag_names(std::string_view scheduler, uint16_t flags) {
    const bool hash = scheduler == "sh" || scheduler == "mh";
    std::vector<std::string> names;
    for (const FlagName& f : kFlags)
        if ((flags & f.bit) && f.scheduler == (hash ? scheduler : "")) names.emplace_back(f.name);
    if (names.empty() && flags != 0) names.emplace_back();  // one that its scheduler does not know
    return names;
}

std::string to_json(const std::vector<IpvsCommand>& all) {
    std::string out = "[";
    for (const IpvsCommand& c : all) {
        if (out.size() > 1) out += ",\n";
        append(out, c);
    }
    return out + "]\n";
}

std::string to_json(const IpvsAnswer& a) {
    json errors = json::array();
    for (const IpvsError& e : a.errors)
        errors.push_back({{"command", e.command}, {"code", e.code}, {"message", e.message}});
    return json{{"errors", std::move(errors)}}.dump() + "\n";
}

std::string to_json(const IpvsFacts& f) {
    return json{{"table_buckets", f.table_buckets}, {"timeouts", f.timeouts}}.dump() + "\n";
}

Result<std::vector<IpvsCommand>> parse_commands(std::string_view text) {
    return parse(text, [](const json& j) {
        std::vector<IpvsCommand> all;
        if (j.is_object()) all.push_back(command_of(j));
        if (!j.is_object() && !j.is_array()) wrong("one command, or a list of them");
        if (j.is_array())
            for (const json& one : j) all.push_back(command_of(one));
        if (all.size() > kMaxBatch) wrong(fmt::format("more than {} commands", kMaxBatch));
        return all;
    });
}

Result<IpvsAnswer> parse_answer(std::string_view text) {
    return parse(text, [](const json& j) {
        IpvsAnswer a;
        for (const json& e : j.at("errors"))
            a.errors.push_back({e.at("command"), e.at("code"), e.at("message")});
        return a;
    });
}

Result<IpvsFacts> parse_facts(std::string_view text) {
    return parse(text, [](const json& j) {
        return IpvsFacts{j.at("table_buckets"), j.at("timeouts").get<std::array<uint32_t, 3>>()};
    });
}

}  // namespace torii::api
