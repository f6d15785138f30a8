#pragma once
// What ipvsadm asks toriid to change, as plain structs, and their JSON. A command is one ipvsadm
// line that passed ipvsadm's own checks; toriid answers with the error that the kernel would give.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/base/address.h"
#include "config/base/error.h"

namespace torii::api {

/// What LVS finds a virtual service by.
struct ServiceName {
    Family family = Family::ipv4;
    Protocol protocol = Protocol::tcp;
    Endpoint endpoint;
    uint32_t mark = 0;  ///< firewall mark; not 0: protocol and endpoint mean nothing
    /// ::ffff:a.b.c.d, for LVS an IPv6 address like others; no service of torii has one.
    bool mapped() const { return mark == 0 && family == Family::ipv6 && endpoint.address.is_v4(); }
    friend bool operator==(const ServiceName&, const ServiceName&) = default;
};

/// What ipvsadm -A and -E set.
struct ServiceRule {
    std::string scheduler = "wlc";
    uint16_t flags = 0;             ///< LVS bits: 0x08, 0x10, 0x20
    uint32_t persistence = 0;       ///< seconds; 0 = not persistent
    uint32_t netmask = 0xffffffff;  ///< IPv4: the mask in host order; IPv6: the prefix's length
    bool one_packet = false;
    std::string engine;  ///< persistence engine; empty = none
    friend bool operator==(const ServiceRule&, const ServiceRule&) = default;
};

/// How a tunnel packs, in the words of ipvsadm --tun-type and --tun-nocsum, -csum, -remcsum.
struct TunnelRule {
    std::string type = "ipip";
    uint16_t port = 0;
    std::string checksum = "nocsum";
    friend bool operator==(const TunnelRule&, const TunnelRule&) = default;
};

/// What ipvsadm -a and -e set.
struct ServerRule {
    std::string forward = "dr";  ///< nat, dr, tunnel
    uint32_t weight = 1, upper = 0, lower = 0;
    TunnelRule tunnel;
    friend bool operator==(const ServerRule&, const ServerRule&) = default;
};

enum class Verb : uint8_t {
    add_service,
    edit_service,
    delete_service,
    clear,
    add_server,
    edit_server,
    delete_server,
    zero,
    set_timeouts,
    start_daemon,
    stop_daemon,
};
std::string_view to_string(Verb);

/// One change. Only the members that the verb needs mean anything.
struct IpvsCommand {
    Verb verb = Verb::clear;
    std::optional<ServiceName> service;  ///< none: zero everything
    ServiceRule rule;
    Endpoint server;
    bool server_mapped = false;  ///< the server was written ::ffff:a.b.c.d
    ServerRule server_rule;
    std::array<uint32_t, 3> timeouts{};  ///< tcp, tcpfin, udp in seconds; 0 = leave
    std::string role;                    ///< of a daemon: master, backup
    friend bool operator==(const IpvsCommand&, const IpvsCommand&) = default;
};

/// A command that was not done.
struct IpvsError {
    uint32_t command = 0;  ///< its place in the batch
    std::string code;      ///< as <errno.h> spells it: EEXIST, ESRCH ...
    std::string message;   ///< a sentence where the code alone would not tell
    friend bool operator==(const IpvsError&, const IpvsError&) = default;
};
struct IpvsAnswer {
    std::vector<IpvsError> errors;  ///< in the order of the commands
    friend bool operator==(const IpvsAnswer&, const IpvsAnswer&) = default;
};

/// What a listing needs besides the services.
struct IpvsFacts {
    uint32_t table_buckets = 0;
    std::array<uint32_t, 3> timeouts{};  ///< tcp, tcpfin, udp in seconds
    friend bool operator==(const IpvsFacts&, const IpvsFacts&) = default;
};

/// A flag of a scheduler (IP_VS_SVC_F_SCHED1 to 3) by the names it goes by.
struct FlagName {
    std::string_view name;
    uint16_t bit = 0;
    std::string_view scheduler = {};  ///< the one it belongs to; empty: any
};
/// nullptr for an unknown name.
const FlagName* find_flag(std::string_view);
/// As LVS lists them: sh- and mh-fallback, -port for those two, flag-1 to flag-3 for others; one
/// empty name where there are flags, but none that the scheduler knows.
std::vector<std::string> flag_names(std::string_view scheduler, uint16_t flags);

/// The largest batch toriid takes in one request.
inline constexpr size_t kMaxBatch = 100000;

std::string to_json(const std::vector<IpvsCommand>&);
std::string to_json(const IpvsAnswer&);
std::string to_json(const IpvsFacts&);
Result<std::vector<IpvsCommand>> parse_commands(std::string_view json);
Result<IpvsAnswer> parse_answer(std::string_view json);
Result<IpvsFacts> parse_facts(std::string_view json);

}  // namespace torii::api
