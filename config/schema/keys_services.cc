// The keys of what is balanced: servers, services, backends, marks. Adding one is adding a row.

#include "config/schema/field.h"

namespace torii::config {
namespace {

using std::chrono::seconds;
using enum Status;

constexpr Duration kMonth = std::chrono::hours(24 * 31);

constexpr Word kForwards[] = {
    {"nat", int(Forward::nat)}, {"dr", int(Forward::dr)}, {"tunnel", int(Forward::tunnel)}};
constexpr Word kSchedulers[] = {{"rr"},    {"wrr"}, {"lc"}, {"wlc"}, {"sh"},  {"dh"}, {"lblc"},
                                {"lblcr"}, {"sed"}, {"nq"}, {"fo"},  {"ovf"}, {"mh"}, {"twos"}};
constexpr Word kSchedulerFlags[] = {{"sh-port", int(SchedulerFlag::sh_port)},
                                    {"sh-fallback", int(SchedulerFlag::sh_fallback)},
                                    {"mh-port", int(SchedulerFlag::mh_port)},
                                    {"mh-fallback", int(SchedulerFlag::mh_fallback)}};
constexpr Word kTunnelTypes[] = {
    {"ipip", int(TunnelType::ipip)}, {"gue", int(TunnelType::gue)}, {"gre", int(TunnelType::gre)}};
constexpr Word kTunnelChecksums[] = {{"none", int(TunnelChecksum::none)},
                                     {"csum", int(TunnelChecksum::csum)},
                                     {"remcsum", int(TunnelChecksum::remcsum)}};
constexpr Word kMarkProtocols[] = {{"any", int(Protocol::any)},
                                   {"tcp", int(Protocol::tcp)},
                                   {"udp", int(Protocol::udp)},
                                   {"sctp", int(Protocol::sctp)}};

constexpr Key kPersistenceKeys[] = {
    {.name = "timeout",
     .field = field<&Persistence::timeout>,
     .help = "how long after its last new connection a client keeps its backend",
     .required = true,
     .shortest = seconds(1),
     .longest = kMonth,
     .mark = mark_in<&Persistence::timeout_mark>},
    {.name = "netmask",
     .field = field<&Persistence::netmask>,
     .help = "which clients count as one: an IPv4 mask, or bits of the virtual's address family; "
             "by default each by itself",
     .mark = mark_in<&Persistence::netmask_mark>},
};

constexpr Key kDrainKeys[] = {
    {.name = "deadline",
     .field = field<&Drain::deadline>,
     .help = "connections of a backend that has weight 0 or was removed end after this long",
     .shortest = seconds(1),
     .longest = kMonth,
     .zero = "forever"},
};

constexpr Key kTunnelKeys[] = {
    {.name = "type",
     .field = field<&Tunnel::type>,
     .help = "the outer header: IP in IP, generic UDP encapsulation, or GRE",
     .one_of = kTunnelTypes,
     .mark = mark_in<&Tunnel::type_mark>},
    {.name = "port",
     .field = field<&Tunnel::port>,
     .help = "`gue`: the UDP port it goes to, required",
     .min = 1,
     .mark = mark_in<&Tunnel::port_mark>},
    {.name = "checksum",
     .field = field<&Tunnel::checksum>,
     .help = "`gue`, `gre`: a checksum over the packet; `gue`: or remote checksum offload",
     .one_of = kTunnelChecksums,
     .mark = mark_in<&Tunnel::checksum_mark>},
};

constexpr Key kMarkKeys[] = {
    {.name = "mark",
     .field = field<&MarkRule::fwmark>,
     .help = "the mark that packets get",
     .required = true,
     .min = 1,
     .mark = mark_in<&MarkRule::fwmark_mark>},
    {.name = "destination",
     .field = field<&MarkRule::destination>,
     .help = "addresses they go to",
     .required = true,
     .mark = mark_in<&MarkRule::destination_mark>},
    {.name = "protocol",
     .field = field<&MarkRule::protocol>,
     .help = "their protocol",
     .one_of = kMarkProtocols},
    {.name = "ports",
     .field = field<&MarkRule::ports>,
     .help = "ports they go to; by default all",
     .most = 64,
     .mark = mark_in<&MarkRule::ports_mark>},
};

constexpr Key kServerKeys[] = {
    {.name = "address",
     .field = field<&Server::address>,
     .help = "the machine's own address",
     .required = true,
     .mark = mark_in<&Server::address_mark>},
    {.name = "weight",
     .field = field<&Server::weight>,
     .help = "its weight where a backend names none"},
};

constexpr Key kBackendKeys[] = {
    {.name = "server",
     .field = field<&Backend::server>,
     .help = "a name from `servers`; either this or `address` is required",
     .min = 1,
     .mark = mark_in<&Backend::server_mark>},
    {.name = "address",
     .field = field<&Backend::address>,
     .help = "the backend's address",
     .mark = mark_in<&Backend::address_mark>,
     .unless = "server"},
    {.name = "port",
     .field = field<&Backend::port>,
     .help = "its port; by default the virtual's",
     .min = 1,
     .mark = mark_in<&Backend::port_mark>},
    {.name = "weight",
     .field = field<&Backend::weight>,
     .help = "share of new connections, 0 for none; by default the server's, else 1",
     .mark = mark_in<&Backend::weight_mark>},
    {.name = "upper",
     .field = field<&Backend::upper>,
     .help = "connections at which it gets no new ones; 0 for no limit",
     .mark = mark_in<&Backend::upper_mark>},
    {.name = "lower",
     .field = field<&Backend::lower>,
     .help = "connections below which it gets new ones again; 0 for three quarters of `upper`",
     .mark = mark_in<&Backend::lower_mark>},
    {.name = "forward",
     .field = field<&Backend::forward>,
     .help = "how packets reach it; by default the service's; one of the machine's own addresses "
             "is served by its kernel, with `dr` and `tunnel` alike",
     .one_of = kForwards,
     .mark = mark_in<&Backend::forward_mark>},
    {.name = "tunnel",
     .field = field<&Backend::tunnel>,
     .help = "encapsulation of `forward: tunnel`; by default the service's",
     .mark = mark_in<&Backend::tunnel_mark>,
     .quiet = true},
    {.name = "health",
     .field = field<&Backend::health>,
     .help = "what differs from the service's checks; see `services[].health`",
     .most = 1},
    {.name = "checks",
     .field = field<&Backend::checks>,
     .help = "its own checks instead of the service's",
     .most = 16},
};

constexpr Key kServiceKeys[] = {
    {.name = "name",
     .field = field<&Service::name>,
     .help = "what logs, metrics and commands call the service",
     .required = true,
     .min = 1,
     .max = 128,
     .mark = mark_in<&Service::name_mark>},
    {.name = "virtual",
     .field = field<&Service::virtuals>,
     .help = "what clients connect to; each virtual uses the backends of its own address family",
     .required = true,
     .mark = mark_in<&Service::virtual_mark>},
    {.name = "scheduler",
     .field = field<&Service::scheduler>,
     .help = "how new connections choose a backend, as in LVS",
     .one_of = kSchedulers},
    {.name = "scheduler_flags",
     .field = field<&Service::scheduler_flags>,
     .help =
         "`sh-port`, `mh-port`: hash the port too; `sh-fallback`, `mh-fallback`: another backend "
         "where the hash's is down",
     .one_of = kSchedulerFlags,
     .mark = mark_in<&Service::scheduler_flags_mark>},
    {.name = "forward",
     .field = field<&Service::forward>,
     .help = "`nat` rewrites addresses both ways; `dr` only the Ethernet address, `tunnel` puts an "
             "IP header "
             "in front; with these two replies go straight to the client",
     .one_of = kForwards},
    {.name = "tunnel",
     .field = field<&Service::tunnel>,
     .help = "encapsulation of `forward: tunnel`",
     .quiet = true},
    {.name = "backends",
     .field = field<&Service::backends>,
     .help = "the servers, in the order schedulers see them"},
    {.name = "persistence",
     .field = field<&Service::persistence>,
     .help = "a client keeps its backend"},
    {.name = "one_packet",
     .field = field<&Service::one_packet>,
     .help = "schedule each UDP packet by itself; NAT does not translate the answers",
     .mark = mark_in<&Service::one_packet_mark>},
    {.name = "drain",
     .field = field<&Service::drain>,
     .help = "how long a leaving backend keeps connections"},
    {.name = "sorry_server",
     .field = field<&Service::sorry_server>,
     .help = "gets the new connections while the service has no quorum"},
    {.name = "quorum",
     .field = field<&Service::quorum>,
     .help = "weight of servers that a service needs to be up"},
    {.name = "inhibit_on_failure",
     .field = field<&Service::inhibit_on_failure>,
     .help = "a server that is down keeps its place with weight 0 instead of being removed"},
    {.name = "start_down",
     .field = field<&Service::start_down>,
     .help = "a server is down until its first good probe"},
    {.name = "max_down",
     .field = field<&Service::max_down>,
     .help = "per cent of its servers that checks may take away; of more, those that went down "
             "last stay in service",
     .min = 1,
     .max = 100,
     .zero = "all"},
    {.name = "slow_start",
     .field = field<&Service::slow_start>,
     .help = "the weight of a server that came back grows from a tenth to the whole in this time; "
             "give weights of 10 or more",
     .longest = kMonth,
     .zero = "off"},
    {.name = "notify",
     .field = field<&Service::notify>,
     .help = "commands for when a server of it goes up or down; those of a service run one after "
             "the other"},
    {.name = "health",
     .field = field<&Service::health>,
     .help = "how servers are checked; with `checks`, what they have in common",
     .mark = mark_in<&Service::health_mark>,
     .quiet = true},
    {.name = "checks",
     .field = field<&Service::checks>,
     .help = "several checks of each server, which must all be good; keys as in `health`",
     .most = 16},
};

}  // namespace

Keys keys_for(const Server*) { return kServerKeys; }
Keys keys_for(const Service*) { return kServiceKeys; }
Keys keys_for(const Backend*) { return kBackendKeys; }
Keys keys_for(const Persistence*) { return kPersistenceKeys; }
Keys keys_for(const Drain*) { return kDrainKeys; }
Keys keys_for(const Tunnel*) { return kTunnelKeys; }
Keys keys_for(const MarkRule*) { return kMarkKeys; }

}  // namespace torii::config
