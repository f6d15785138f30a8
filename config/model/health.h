#pragma once
// How servers are checked and what their state means for a service, as an operator says it. A
// default is the member's initialiser. `written` holds the keys that were given: what a backend
// leaves out comes from its service.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/base/address.h"
#include "config/model/diagnostic.h"

namespace torii::config {

using Duration = std::chrono::microseconds;

enum class HealthType : uint8_t { none, tcp, http, https, smtp, script, dns, udp, icmp };
enum class HealthVia : uint8_t { server, service };
enum class HttpVersion : uint8_t { v1_0, v1_1 };
/// Numbers of RFC 1035 and RFC 3596.
enum class DnsRecord : uint8_t { a = 1, ns = 2, cname = 5, soa = 6, mx = 15, txt = 16, aaaa = 28 };
enum class DnsTransport : uint8_t { udp, tcp };

/// As YAML and the API spell them.
std::string_view to_string(HealthType);
std::string_view to_string(HealthVia);
std::string_view to_string(HttpVersion);
std::string_view to_string(DnsRecord);
std::string_view to_string(DnsTransport);

/// Names of the key table's rows that were given. Like a Mark, it never makes two values differ.
struct Written {
    std::vector<std::string_view> keys;
    friend bool operator==(const Written&, const Written&) { return true; }
};

/// HTTP status codes from first to last.
struct StatusRange {
    uint16_t first = 200, last = 299;
    friend bool operator==(const StatusRange&, const StatusRange&) = default;
};
std::string to_string(const StatusRange&);  ///< 200-299, 301

struct HttpHealth {
    std::string method = "GET";
    std::vector<std::string> path{"/"};  ///< asked for one after the other; all must be good
    std::string host;                    ///< empty = the server's address and port
    std::vector<std::string> headers;    ///< "Name: value"
    HttpVersion version = HttpVersion::v1_1;
    std::vector<StatusRange> status{{200, 299}};
    std::string body_regex;  ///< as Perl's; empty = any body
    bool regex_no_match = false;
    std::string digest;  ///< 32 (MD5) or 64 (SHA-256) hexadecimal digits of the body
    uint64_t max_body = 1u << 20;
    Written written;
    friend bool operator==(const HttpHealth&, const HttpHealth&) = default;
};

struct TlsHealth {
    std::string server_name;  ///< SNI; empty = http.host if that is a name, else none
    bool verify = false;
    std::string ca;                ///< file; empty = the system's
    std::string certificate, key;  ///< files, for a server that asks for one
    Duration expiry_warning{std::chrono::hours(24 * 14)};
    Written written;
    friend bool operator==(const TlsHealth&, const TlsHealth&) = default;
};

struct SmtpHealth {
    std::string helo = "torii.invalid";
    bool starttls = false;
    Written written;
    friend bool operator==(const SmtpHealth&, const SmtpHealth&) = default;
};

struct ScriptHealth {
    std::vector<std::string> command;  ///< path and arguments; no shell
    std::string user;                  ///< empty = root
    bool weight_from_exit = false;     ///< status 2 to 255 is weight 0 to 253
    Written written;
    friend bool operator==(const ScriptHealth&, const ScriptHealth&) = default;
};

struct DnsHealth {
    std::string name = ".";
    DnsRecord record = DnsRecord::soa;
    std::vector<std::string> answer;  ///< records of which one must be there; empty = anything
    DnsTransport transport = DnsTransport::udp;
    Written written;
    friend bool operator==(const DnsHealth&, const DnsHealth&) = default;
};

struct UdpHealth {
    std::string payload;  ///< text, or hexadecimal digits after "hex:"
    std::string reply;    ///< what the answer begins with; hexadecimal may have X for any digit
    bool require_reply = false;
    Written written;
    friend bool operator==(const UdpHealth&, const UdpHealth&) = default;
};

/// A server that changes state more than `changes` times within `window` stays down for `hold`.
struct FlapDamping {
    uint32_t changes = 0;  ///< 0 = off
    Duration window{std::chrono::seconds(60)};
    Duration hold{std::chrono::seconds(30)};
    Written written;
    friend bool operator==(const FlapDamping&, const FlapDamping&) = default;
};

struct Health {
    HealthType type = HealthType::none;
    Duration interval{std::chrono::seconds(2)};
    Duration timeout{std::chrono::seconds(1)};
    uint32_t fall = 3, rise = 2;
    Duration retry_interval{0};  ///< 0 = as interval
    Duration jitter{0};
    Duration warm_up{0};  ///< first probes are spread over it; 0 = the interval, 2 s at most
    FlapDamping flap;
    HealthVia via = HealthVia::server;
    Address address;               ///< to probe instead of the backend's; unspecified = that
    std::optional<uint16_t> port;  ///< none = the backend's
    Address bind;                  ///< source address; unspecified = the kernel's choice
    std::string interface;         ///< SO_BINDTODEVICE
    uint32_t fwmark = 0;           ///< SO_MARK
    HttpHealth http;
    TlsHealth tls;
    SmtpHealth smtp;
    ScriptHealth script;
    DnsHealth dns;
    UdpHealth udp;
    Mark mark;
    Written written;
    friend bool operator==(const Health&, const Health&) = default;
};

/// How much of a service must be there.
struct Quorum {
    uint32_t up = 1;          ///< weight of the servers that are up
    uint32_t hysteresis = 0;  ///< it is gained at up + hysteresis, lost below up - hysteresis
    std::vector<std::string> on_up, on_down;  ///< commands
    Mark mark;
    friend bool operator==(const Quorum&, const Quorum&) = default;
};

/// Programs for what becomes of the servers of a service; `user` and `timeout` are also those of
/// the quorum's.
struct Notify {
    std::vector<std::string> up, down;  ///< commands
    std::string user;                   ///< empty = root
    Duration timeout{std::chrono::seconds(10)};
    Mark mark;
    friend bool operator==(const Notify&, const Notify&) = default;
};

/// Answers when no backend can.
struct SorryServer {
    Address address;               ///< unspecified = there is none
    std::optional<uint16_t> port;  ///< none = the virtual's
    Mark mark;
    friend bool operator==(const SorryServer&, const SorryServer&) = default;
};

}  // namespace torii::config
