#include "control/api/model.h"

#include <nlohmann/json.hpp>

// nlohmann-json finds these by the types' namespaces; its exceptions end in parse() below.
namespace torii {

static void to_json(nlohmann::json& j, const Endpoint& e) { j = to_string(e); }
static void from_json(const nlohmann::json& j, Endpoint& e) {
    const auto parsed = parse_endpoint(j.get<std::string>());
    if (!parsed) throw nlohmann::json::other_error::create(500, parsed.error().message, &j);
    e = *parsed;
}
static void to_json(nlohmann::json& j, const Protocol& p) { j = std::string(to_string(p)); }
static void from_json(const nlohmann::json& j, Protocol& p) {
    const auto text = j.get<std::string>();
    for (const Protocol known : {Protocol::any, Protocol::icmp, Protocol::tcp, Protocol::udp,
                                 Protocol::icmpv6, Protocol::sctp})
        if (text == to_string(known)) {
            p = known;
            return;
        }
    throw nlohmann::json::other_error::create(500, "unknown protocol", &j);
}

namespace api {

using nlohmann::json;

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Counts, connections, in_packets, out_packets, in_bytes,
                                   out_bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Rates, connections, in_packets, out_packets, in_bytes, out_bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Destination, endpoint, name, forward, weight, upper, lower,
                                   active, inactive, persistent, counts, next_hop, rates, tunnel,
                                   tunnel_port, tunnel_checksum)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Service, endpoint, protocol, name, scheduler, scheduler_flags,
                                   counts, destinations, mark, persistence, netmask, one_packet,
                                   engine, rates)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Services, table_buckets, tcp_timeout, tcp_fin_timeout,
                                   udp_timeout, services)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Port, name, interface, mac, queues, mtu)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Generation, published, in_force)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Generations, services, routes, refused)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Table, capacity, buckets, used, insertions, expired, recycled,
                                   full, stateless)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Status, version, instance, uptime_seconds, config_file,
                                   dataplane_up, dataplane_ready, generation, workers, ports, table,
                                   received, waiting, transmitted, transmitted_bytes, events_lost,
                                   verdicts)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Ready, ready, missing, warnings)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ReloadOutcome, ok, diagnostics, notes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Connection, protocol, state, expires_seconds, client,
                                   virtual_service, backend)

namespace {

// Names come from the configuration, which is UTF-8; anything else must not make dump() throw.
std::string text(const json& j, int indent = -1) {
    return j.dump(indent, ' ', false, json::error_handler_t::replace);
}

template <class T>
Result<T> parse(std::string_view s) {
    try {
        return json::parse(s).get<T>();
    } catch (const json::exception& e) {
        return fail(Errc::invalid, std::string("not the reply that was expected: ") + e.what());
    }
}

}  // namespace

std::string to_json(const Status& v) { return text(json(v), 2) + "\n"; }
std::string to_json(const Services& v) { return text(json(v)) + "\n"; }
std::string to_json(const Service& v) { return text(json(v)); }
std::string to_json(const Ready& v) { return text(json(v)) + "\n"; }
std::string to_json(const ReloadOutcome& v) { return text(json(v)) + "\n"; }
std::string to_json(const Connection& v) { return text(json(v)); }
std::string error_json(std::string_view message) {
    return text(json{{"error", std::string(message)}}) + "\n";
}

template <>
Result<Status> from_json(std::string_view s) {
    return parse<Status>(s);
}
template <>
Result<Services> from_json(std::string_view s) {
    return parse<Services>(s);
}
template <>
Result<Service> from_json(std::string_view s) {
    return parse<Service>(s);
}
template <>
Result<Ready> from_json(std::string_view s) {
    return parse<Ready>(s);
}
template <>
Result<ReloadOutcome> from_json(std::string_view s) {
    return parse<ReloadOutcome>(s);
}
template <>
Result<Connection> from_json(std::string_view s) {
    return parse<Connection>(s);
}

std::string error_message(std::string_view s) {
    const json j = json::parse(s, nullptr, false);
    if (j.is_object() && j.contains("error") && j["error"].is_string()) return j["error"];
    return std::string(s);
}

}  // namespace api
}  // namespace torii
