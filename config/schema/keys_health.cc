// The keys of health checks, quorum and sorry server. Adding one is adding a row.

#include "config/schema/field.h"

namespace torii::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Word kTypes[] = {{"none", int(HealthType::none)}, {"tcp", int(HealthType::tcp)},
                           {"http", int(HealthType::http)}, {"https", int(HealthType::https)},
                           {"smtp", int(HealthType::smtp)}, {"script", int(HealthType::script)},
                           {"dns", int(HealthType::dns)},   {"udp", int(HealthType::udp)},
                           {"icmp", int(HealthType::icmp)}};
constexpr Word kVersions[] = {{"1.0", int(HttpVersion::v1_0)}, {"1.1", int(HttpVersion::v1_1)}};
constexpr Word kRecords[] = {{"A", int(DnsRecord::a)},     {"AAAA", int(DnsRecord::aaaa)},
                             {"NS", int(DnsRecord::ns)},   {"CNAME", int(DnsRecord::cname)},
                             {"SOA", int(DnsRecord::soa)}, {"MX", int(DnsRecord::mx)},
                             {"TXT", int(DnsRecord::txt)}};
constexpr Word kVias[] = {{"server", int(HealthVia::server)}, {"service", int(HealthVia::service)}};
constexpr Word kTransports[] = {{"udp", int(DnsTransport::udp)}, {"tcp", int(DnsTransport::tcp)}};

constexpr Key kHttpKeys[] = {
    {.name = "method",
     .field = field<&HttpHealth::method>,
     .help = "the request's method",
     .min = 1,
     .max = 32},
    {.name = "path",
     .field = field<&HttpHealth::path>,
     .help = "what is asked for; of several paths, all must be answered well",
     .max = 4096,
     .most = 16},
    {.name = "host",
     .field = field<&HttpHealth::host>,
     .help = "the Host header; by default the server's address and port",
     .max = 255},
    {.name = "headers",
     .field = field<&HttpHealth::headers>,
     .help = "further headers, each `Name: value`",
     .max = 4096,
     .most = 32},
    {.name = "version",
     .field = field<&HttpHealth::version>,
     .help = "of HTTP",
     .one_of = kVersions},
    {.name = "status",
     .field = field<&HttpHealth::status>,
     .help = "status codes that are good",
     .most = 64},
    {.name = "body_regex",
     .field = field<&HttpHealth::body_regex>,
     .help = "a regular expression (Perl's) that the body must contain",
     .max = 4096},
    {.name = "regex_no_match",
     .field = field<&HttpHealth::regex_no_match>,
     .help = "the body must not contain `body_regex` instead"},
    {.name = "digest",
     .field = field<&HttpHealth::digest>,
     .help = "MD5 (32 digits) or SHA-256 (64 digits) of the body, hexadecimal",
     .max = 64},
    {.name = "max_body",
     .field = field<&HttpHealth::max_body>,
     .help = "a longer body is a failure, where the body is looked at",
     .min = 1,
     .max = 64u << 20},
};

constexpr Key kTlsKeys[] = {
    {.name = "server_name",
     .field = field<&TlsHealth::server_name>,
     .help = "the name asked for (SNI) and verified; by default `http.host`",
     .max = 255},
    {.name = "verify",
     .field = field<&TlsHealth::verify>,
     .help = "the server's certificate must be valid for the name"},
    {.name = "ca",
     .field = field<&TlsHealth::ca>,
     .help = "file of the authorities that `verify` trusts; by default the system's",
     .max = 4096},
    {.name = "certificate",
     .field = field<&TlsHealth::certificate>,
     .help = "file of the certificate shown to a server that asks for one",
     .max = 4096},
    {.name = "key",
     .field = field<&TlsHealth::key>,
     .help = "file of its private key",
     .max = 4096},
    {.name = "expiry_warning",
     .field = field<&TlsHealth::expiry_warning>,
     .help = "warn when the server's certificate ends sooner than this",
     .longest = hours(24 * 400),
     .zero = "never"},
};

constexpr Key kSmtpKeys[] = {
    {.name = "helo",
     .field = field<&SmtpHealth::helo>,
     .help = "the name given in EHLO and HELO",
     .min = 1,
     .max = 255},
    {.name = "starttls",
     .field = field<&SmtpHealth::starttls>,
     .help = "STARTTLS must work as well"},
};

constexpr Key kScriptKeys[] = {
    {.name = "command",
     .field = field<&ScriptHealth::command>,
     .help = "the program's path and its arguments; no shell is involved. Status 0 is up",
     .max = 4096,
     .most = 256},
    {.name = "user",
     .field = field<&ScriptHealth::user>,
     .help = "who runs it; by default root",
     .max = 64},
    {.name = "weight_from_exit",
     .field = field<&ScriptHealth::weight_from_exit>,
     .help = "status 2 to 255 is up as well, and means weight 0 to 253"},
};

constexpr Key kDnsKeys[] = {
    {.name = "name", .field = field<&DnsHealth::name>, .help = "asked for", .min = 1, .max = 255},
    {.name = "record",
     .field = field<&DnsHealth::record>,
     .help = "type of the record",
     .one_of = kRecords},
    {.name = "answer",
     .field = field<&DnsHealth::answer>,
     .help = "one of these must be among the answers; by default any reply without error is good",
     .max = 512,
     .most = 64},
    {.name = "transport",
     .field = field<&DnsHealth::transport>,
     .help = "how it is asked",
     .one_of = kTransports},
};

constexpr Key kUdpKeys[] = {
    {.name = "payload",
     .field = field<&UdpHealth::payload>,
     .help = "what is sent: text, or `hex:` and hexadecimal digits",
     .max = 2804},
    {.name = "reply",
     .field = field<&UdpHealth::reply>,
     .help = "what the reply begins with; after `hex:`, X stands for any digit",
     .max = 2804},
    {.name = "require_reply",
     .field = field<&UdpHealth::require_reply>,
     .help = "silence is a failure; `reply` implies it. Otherwise only ICMP unreachable is one"},
};

constexpr Key kFlapKeys[] = {
    {.name = "changes",
     .field = field<&FlapDamping::changes>,
     .help = "a server that changes state more often than this within `window` is held down",
     .max = 1000,
     .zero = "off"},
    {.name = "window",
     .field = field<&FlapDamping::window>,
     .help = "time in which a change is forgotten",
     .shortest = seconds(1),
     .longest = hours(24)},
    {.name = "hold",
     .field = field<&FlapDamping::hold>,
     .help = "how long it is held down",
     .shortest = milliseconds(1),
     .longest = hours(24)},
};

constexpr Key kHealthKeys[] = {
    {.name = "type",
     .field = field<&Health::type>,
     .help = "how servers are probed; `none` for not at all",
     .one_of = kTypes},
    {.name = "interval",
     .field = field<&Health::interval>,
     .help = "from the start of a probe to that of the next",
     .shortest = milliseconds(10),
     .longest = hours(24)},
    {.name = "timeout",
     .field = field<&Health::timeout>,
     .help = "a probe that takes longer has failed, whatever the server does meanwhile",
     .shortest = milliseconds(1),
     .longest = hours(1)},
    {.name = "fall",
     .field = field<&Health::fall>,
     .help = "failures in a row that take a server down; the very first probe decides alone",
     .min = 1,
     .max = 1000},
    {.name = "rise",
     .field = field<&Health::rise>,
     .help = "successes in a row that bring it back",
     .min = 1,
     .max = 1000},
    {.name = "retry_interval",
     .field = field<&Health::retry_interval>,
     .help = "instead of `interval` while a change is being confirmed",
     .shortest = milliseconds(10),
     .longest = hours(24),
     .zero = "interval"},
    {.name = "jitter",
     .field = field<&Health::jitter>,
     .help = "each probe starts up to so much later, at random",
     .longest = hours(1)},
    {.name = "warm_up",
     .field = field<&Health::warm_up>,
     .help = "first probes are spread over this time; `auto` is the interval, but 2 s at most for "
             "the first 10,000 and as much more for each further",
     .longest = hours(1),
     .zero = "auto"},
    {.name = "flap", .field = field<&Health::flap>, .help = "damping of servers that flap"},
    {.name = "via",
     .field = field<&Health::via>,
     .help = "`service` probes the virtual address on that server, by the way that traffic takes; "
             "for `dr` and `tunnel`",
     .one_of = kVias},
    {.name = "address",
     .field = field<&Health::address>,
     .help = "where to probe; by default the backend's address"},
    {.name = "port",
     .field = field<&Health::port>,
     .help = "where to probe; by default the backend's port",
     .min = 1},
    {.name = "bind", .field = field<&Health::bind>, .help = "source address of probes"},
    {.name = "interface",
     .field = field<&Health::interface>,
     .help = "interface that probes leave by",
     .max = 15},
    {.name = "fwmark",
     .field = field<&Health::fwmark>,
     .help = "firewall mark of probes, for the kernel's policy routing"},
    {.name = "http", .field = field<&Health::http>, .help = "`http` and `https`"},
    {.name = "tls", .field = field<&Health::tls>, .help = "`https`, and `smtp` with `starttls`"},
    {.name = "smtp", .field = field<&Health::smtp>, .help = "`smtp`"},
    {.name = "script", .field = field<&Health::script>, .help = "`script`"},
    {.name = "dns", .field = field<&Health::dns>, .help = "`dns`"},
    {.name = "udp", .field = field<&Health::udp>, .help = "`udp`"},
};

constexpr Key kQuorumKeys[] = {
    {.name = "up",
     .field = field<&Quorum::up>,
     .help = "weight of the servers that are up, for the service to be up",
     .min = 1},
    {.name = "hysteresis",
     .field = field<&Quorum::hysteresis>,
     .help = "it is gained at `up` plus this, and lost below `up` minus this"},
    {.name = "on_up",
     .field = field<&Quorum::on_up>,
     .help = "command for when it is gained: a path, or a list with arguments",
     .most = 256},
    {.name = "on_down",
     .field = field<&Quorum::on_down>,
     .help = "command for when it is lost",
     .most = 256},
};

constexpr Key kNotifyKeys[] = {
    {.name = "up",
     .field = field<&Notify::up>,
     .help = "command for when a server goes up: a path, or a list with arguments",
     .most = 256},
    {.name = "down",
     .field = field<&Notify::down>,
     .help = "command for when a server goes down",
     .most = 256},
    {.name = "user",
     .field = field<&Notify::user>,
     .help = "who runs them, and `quorum`'s commands; by default root",
     .max = 64},
    {.name = "timeout",
     .field = field<&Notify::timeout>,
     .help = "a command that takes longer is killed, and the next one runs",
     .shortest = milliseconds(10),
     .longest = hours(1)},
};

constexpr Key kSorryKeys[] = {
    {.name = "address",
     .field = field<&SorryServer::address>,
     .help = "its address",
     .required = true},
    {.name = "port",
     .field = field<&SorryServer::port>,
     .help = "its port; by default the virtual's",
     .min = 1},
};

}  // namespace

Keys keys_for(const Health*) { return kHealthKeys; }
Keys keys_for(const HttpHealth*) { return kHttpKeys; }
Keys keys_for(const TlsHealth*) { return kTlsKeys; }
Keys keys_for(const SmtpHealth*) { return kSmtpKeys; }
Keys keys_for(const ScriptHealth*) { return kScriptKeys; }
Keys keys_for(const DnsHealth*) { return kDnsKeys; }
Keys keys_for(const UdpHealth*) { return kUdpKeys; }
Keys keys_for(const FlapDamping*) { return kFlapKeys; }
Keys keys_for(const Quorum*) { return kQuorumKeys; }
Keys keys_for(const Notify*) { return kNotifyKeys; }
Keys keys_for(const SorryServer*) { return kSorryKeys; }

}  // namespace torii::config
