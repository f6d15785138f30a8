#include "control/ipvs_api.h"

#include <fmt/format.h>

#include <charconv>

#include "control/api/ipvs.h"
#include "control/api/rows.h"
#include "control/service_view.h"

namespace torii::control {
namespace {

constexpr std::string_view kTable = "/v1/ipvs", kServices = "/v1/ipvs/services",
                           kRows = "/v1/ipvs/rows";

api::Reply error(unsigned status, std::string_view sentence) {
    return {status, "application/json", api::error_json(sentence)};
}

// A table that is not there yet has the size that LVS's has.
constexpr uint32_t kBuckets = 4096;

api::Reply facts(const IpvsApi& a) {
    const flow::Reader* table = a.link.table();
    shm::Timeouts timeouts = a.engine.tables().desired.timeouts;
    api::IpvsFacts f;
    f.table_buckets = table != nullptr ? table->buckets() : kBuckets;
    for (size_t i = 0; i < f.timeouts.size(); ++i) f.timeouts[i] = timeout_of(timeouts, i);
    return {200, "application/json", to_json(f)};
}

std::optional<uint32_t> number(std::string_view text) {
    uint32_t n = 0;
    const auto [stop, failed] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (failed != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
    return n;
}

// tcp=ADDRESS:PORT, or mark=NUMBER&family=4.
std::optional<ServiceKey> key_from(std::string_view query) {
    const size_t equals = query.find('=');
    if (equals == query.npos) return std::nullopt;
    const std::string_view name = query.substr(0, equals), rest = query.substr(equals + 1);
    if (name == "mark") {
        const size_t end = rest.find("&family=");
        const auto mark = number(rest.substr(0, end));
        if (!mark || *mark == 0) return std::nullopt;
        const bool six = end != rest.npos && rest.substr(end + 8) == "6";
        return ServiceKey::of_mark(*mark, six ? Family::ipv6 : Family::ipv4);
    }
    const auto protocol = parse_protocol(name);
    const auto at = parse_endpoint(rest);
    if (!protocol || !at) return std::nullopt;
    return ServiceKey{at->address, at->port, *protocol, 0};
}

void append_line(std::string& out, const api::Service& s) {
    out += to_json(s);
    out += '\n';
}

api::Reply services(const IpvsApi& a, const std::string& query, bool rows) {
    std::optional<ServiceKey> only;
    if (!query.empty()) {
        only = key_from(query);
        if (!only) return error(400, "the query must be tcp=, udp=, sctp= or mark=");
        if (find(a.engine.tables().desired, *only) == nullptr)
            return error(404, "there is no such service");
    }
    return {200,
            rows ? "text/plain" : "application/x-ndjson",
            {},
            services_lines(a.engine.shared_tables(), a.engine.tally(), a.engine.estimator(), only,
                           rows ? &api::append_rows : &append_line)};
}

api::Reply change(const IpvsApi& a, const std::string& body) {
    const auto commands = api::parse_commands(body);
    if (!commands) return error(400, commands.error().message);
    auto errors = a.runtime.run(*commands, a.apply);
    if (!errors) return error(507, errors.error().message);
    return {200, "application/json", to_json(api::IpvsAnswer{std::move(*errors)})};
}

}  // namespace

bool is_ipvs_path(std::string_view path) {
    return path == kTable || path == kServices || path == kRows;
}

api::Reply answer_ipvs(const IpvsApi& a, const api::Request& r, bool full) {
    if (r.method == "POST" && r.path == kTable && full) return change(a, r.body);
    if (r.method != "GET")
        return error(405, full && r.path == kTable ? "use GET or POST" : "only GET is served here");
    return r.path == kTable ? facts(a) : services(a, r.query, r.path == kRows);
}

}  // namespace torii::control
