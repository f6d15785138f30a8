#pragma once
// What toriid tells others, as plain structs, and their JSON. The same structs feed the API, the
// metrics and the command, so that all three show the same numbers.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/base/address.h"
#include "config/base/error.h"

namespace torii::api {

/// Counts since the service or backend came, or since they were zeroed.
struct Counts {
    uint64_t connections = 0, in_packets = 0, out_packets = 0, in_bytes = 0, out_bytes = 0;
    friend bool operator==(const Counts&, const Counts&) = default;
};

/// What LVS's estimator makes of the counts: averages a second, over some seconds.
struct Rates {
    uint64_t connections = 0, in_packets = 0, out_packets = 0, in_bytes = 0, out_bytes = 0;
    friend bool operator==(const Rates&, const Rates&) = default;
};

struct Destination {
    Endpoint endpoint;
    std::string name;     ///< in the configuration; may be empty
    std::string forward;  ///< Masq, Local, Tunnel, Route: as ipvsadm prints it
    uint32_t weight = 0, upper = 0, lower = 0;
    uint64_t active = 0, inactive = 0, persistent = 0;
    Counts counts;
    std::string next_hop;  ///< known, resolving, unreachable; empty when nobody can say
    Rates rates = {};
    std::string tunnel = {};           ///< ipip, gue, gre; empty unless forward is Tunnel
    uint16_t tunnel_port = 0;          ///< gue: destination port
    std::string tunnel_checksum = {};  ///< gue, gre: nocsum, csum, remcsum
    friend bool operator==(const Destination&, const Destination&) = default;
};

struct Service {
    Endpoint endpoint;
    Protocol protocol = Protocol::tcp;
    std::string name;
    std::string scheduler;
    std::vector<std::string> scheduler_flags;  ///< sh-fallback, sh-port
    Counts counts;
    std::vector<Destination> destinations;  ///< in the kernel's list order: the newest first
    uint32_t mark = 0;  ///< firewall mark; not 0: endpoint is the family's unspecified address
    uint32_t persistence = 0;  ///< seconds; 0 = not persistent
    std::string netmask = {};  ///< of persistence: 255.255.255.0, 64; empty = single addresses
    bool one_packet = false;   ///< every packet is scheduled by itself
    std::string engine = {};   ///< persistence engine; empty = none
    Rates rates = {};
    friend bool operator==(const Service&, const Service&) = default;
};

struct Services {
    uint32_t table_buckets = 0;  ///< what ipvsadm shows as size=
    uint32_t tcp_timeout = 0, tcp_fin_timeout = 0, udp_timeout = 0;  ///< seconds
    std::vector<Service> services;
    friend bool operator==(const Services&, const Services&) = default;
};

struct Port {
    std::string name, interface, mac;
    uint32_t queues = 0, mtu = 0;
    friend bool operator==(const Port&, const Port&) = default;
};

struct Generation {
    uint64_t published = 0, in_force = 0;
    friend bool operator==(const Generation&, const Generation&) = default;
};
struct Generations {
    Generation services, routes;
    uint64_t refused = 0;  ///< the last number the dataplane would not take; 0 = none
    friend bool operator==(const Generations&, const Generations&) = default;
};

struct Table {
    uint32_t capacity = 0, buckets = 0;
    uint64_t used = 0;  ///< connections and templates
    uint64_t insertions = 0, expired = 0, recycled = 0, full = 0, stateless = 0;
    friend bool operator==(const Table&, const Table&) = default;
};

struct Status {
    std::string version, instance;
    uint64_t uptime_seconds = 0;
    std::string config_file;
    bool dataplane_up = false;  ///< the process is there
    bool dataplane_ready = false;
    Generations generation;
    uint32_t workers = 0;
    std::vector<Port> ports;
    Table table;
    uint64_t received = 0, waiting = 0, transmitted = 0, transmitted_bytes = 0, events_lost = 0;
    std::map<std::string, uint64_t> verdicts;  ///< packets by name of the verdict
    friend bool operator==(const Status&, const Status&) = default;
};

/// Whether traffic flows as configured; otherwise a sentence for each thing that is missing.
struct Ready {
    bool ready = false;
    std::vector<std::string> missing;
    std::vector<std::string> warnings;  ///< what does not stand in the way, e.g. a silent server
    friend bool operator==(const Ready&, const Ready&) = default;
};

struct ReloadOutcome {
    bool ok = false;
    std::vector<std::string> diagnostics;  ///< why not: file:line:column: sentence
    std::vector<std::string> notes;        ///< what takes effect only after a restart
    friend bool operator==(const ReloadOutcome&, const ReloadOutcome&) = default;
};

struct Connection {
    Protocol protocol = Protocol::tcp;
    std::string state;  ///< as ipvsadm -Lc prints it
    uint32_t expires_seconds = 0;
    Endpoint client, virtual_service, backend;
    friend bool operator==(const Connection&, const Connection&) = default;
};

std::string to_json(const Status&);
std::string to_json(const Services&);
std::string to_json(const Service&);  ///< one line, without its end
std::string to_json(const Ready&);
std::string to_json(const ReloadOutcome&);
std::string to_json(const Connection&);  ///< one line, without its end
std::string error_json(std::string_view message);

/// Errc::invalid when the text is not what to_json() makes.
template <class T>
Result<T> from_json(std::string_view);
template <>
Result<Status> from_json(std::string_view);
template <>
Result<Services> from_json(std::string_view);
template <>
Result<Service> from_json(std::string_view);
template <>
Result<Ready> from_json(std::string_view);
template <>
Result<ReloadOutcome> from_json(std::string_view);
template <>
Result<Connection> from_json(std::string_view);
/// The sentence in an error reply, or the text itself.
std::string error_message(std::string_view json);

}  // namespace torii::api
