// Every key of the configuration. Adding one is adding a row.

#include "config/schema/field.h"

namespace torii::config {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using enum Status;

constexpr Duration kMonth = std::chrono::hours(24 * 31);

constexpr Word kHugepages[] = {{"auto", int(Hugepages::automatic)},
                               {"never", int(Hugepages::never)},
                               {"require", int(Hugepages::require)}};
constexpr Word kDrivers[] = {{"af_xdp", int(Driver::af_xdp)},
                             {"pci", int(Driver::pci)},
                             {"tap", int(Driver::tap)},
                             {"memory", int(Driver::memory)},
                             {"bond", 0, later}};
constexpr Word kForwards[] = {
    {"nat", int(Forward::nat)}, {"dr", int(Forward::dr)}, {"tunnel", int(Forward::tunnel), later}};
constexpr Word kSchedulers[] = {{"rr"},
                                {"wrr"},
                                {"lc"},
                                {"wlc"},
                                {"sh"},
                                {"dh"},
                                {"lblc", 0, later},
                                {"lblcr", 0, later},
                                {"sed", 0, later},
                                {"nq", 0, later},
                                {"fo", 0, later},
                                {"ovf", 0, later},
                                {"mh", 0, later},
                                {"twos", 0, later}};
constexpr Word kSchedulerFlags[] = {{"sh-port", int(SchedulerFlag::sh_port)},
                                    {"sh-fallback", int(SchedulerFlag::sh_fallback)},
                                    {"mh-port", 0, later},
                                    {"mh-fallback", 0, later}};

constexpr Key kPortKeys[] = {
    {.name = "name",
     .field = field<&Port::name>,
     .help = "what logs, metrics and commands call the port",
     .required = true,
     .min = 1,
     .max = 31,
     .reload = Reload::restart,
     .mark = mark_in<&Port::name_mark>},
    {.name = "driver",
     .field = field<&Port::driver>,
     .help = "how packets reach the dataplane: `af_xdp` shares a Linux interface with the kernel, "
             "`pci` takes the whole card, `tap` and `memory` are for tests",
     .one_of = kDrivers,
     .reload = Reload::restart,
     .mark = mark_in<&Port::driver_mark>},
    {.name = "interface",
     .field = field<&Port::interface>,
     .help = "`af_xdp`: the Linux interface, required; `tap`: the name of the TAP to make",
     .reload = Reload::restart,
     .mark = mark_in<&Port::interface_mark>},
    {.name = "device",
     .field = field<&Port::device>,
     .help = "`pci`: the card's address as lspci -D prints it, required; `memory`: a DPDK "
             "virtual device in its place",
     .reload = Reload::restart,
     .mark = mark_in<&Port::device_mark>},
    {.name = "kernel_interface",
     .field = field<&Port::kernel_interface>,
     .help = "every driver but `af_xdp`: the name of the TAP for packets that are the kernel's",
     .reload = Reload::restart,
     .mark = mark_in<&Port::kernel_interface_mark>},
    {.name = "queues",
     .field = field<&Port::queues>,
     .help = "receive queues; `auto` takes all the interface has",
     .max = 1024,
     .zero = "auto",
     .reload = Reload::restart},
    {.name = "mode", .help = "`bond`: how it shares the load", .status = later},
    {.name = "members", .help = "`bond`: the ports it is made of", .status = later},
};

constexpr Key kDataplaneKeys[] = {
    {.name = "workers",
     .field = field<&Dataplane::workers>,
     .help =
         "up to 64 CPU cores that forward; by default core 1, or core 0 where it is the only one",
     .max = 1023,
     .most = 64,
     .reload = Reload::restart,
     .mark = mark_in<&Dataplane::workers_mark>},
    {.name = "hugepages",
     .field = field<&Dataplane::hugepages>,
     .help = "`auto` uses huge pages where there are some, `require` refuses to start without",
     .one_of = kHugepages,
     .reload = Reload::restart},
    {.name = "idle",
     .field = field<&Dataplane::idle>,
     .help = "longest sleep of an idle worker; `poll` never sleeps",
     .longest = milliseconds(100),
     .zero = "poll",
     .reload = Reload::restart},
    {.name = "connections",
     .field = field<&Dataplane::connections>,
     .help = "entries in the connection table, about 96 bytes each",
     .min = 16,
     .max = 1u << 30,
     .reload = Reload::restart,
     .mark = mark_in<&Dataplane::connections_mark>},
    {.name = "backends",
     .field = field<&Dataplane::backends>,
     .help = "backend slots: the backends of all services together, with those still draining",
     .min = 1,
     .max = 1u << 20,
     .reload = Reload::restart},
    {.name = "ports",
     .field = field<&Dataplane::ports>,
     .help = "where packets come in and go out; 1 to 16",
     .most = 16,
     .reload = Reload::restart,
     .mark = mark_in<&Dataplane::ports_mark>},
};

constexpr Key kTimeoutKeys[] = {
    {.name = "tcp",
     .field = field<&Timeouts::tcp>,
     .help = "an established TCP connection",
     .shortest = seconds(1),
     .longest = kMonth},
    {.name = "tcp_fin",
     .field = field<&Timeouts::tcp_fin>,
     .help = "a TCP connection after a FIN",
     .shortest = seconds(1),
     .longest = kMonth},
    {.name = "udp",
     .field = field<&Timeouts::udp>,
     .help = "a UDP flow",
     .shortest = seconds(1),
     .longest = kMonth},
};

constexpr Key kApiKeys[] = {
    {.name = "socket",
     .field = field<&Api::socket>,
     .help = "unix socket of the full API; by default `/run/torii/INSTANCE/api.sock`",
     .min = 1,
     .max = 107,  // sockaddr_un::sun_path with its NUL
     .reload = Reload::restart,
     .mark = mark_in<&Api::socket_mark>},
    {.name = "group",
     .field = field<&Api::group>,
     .help = "Unix group that may use the socket",
     .max = 32,
     .reload = Reload::restart,
     .mark = mark_in<&Api::group_mark>},
};

constexpr Key kWebKeys[] = {
    {.name = "listen",
     .field = field<&Web::listen>,
     .help = "where metrics, the read-only API and the page are served; `none` turns it off",
     .zero = "none",
     .reload = Reload::restart,
     .mark = mark_in<&Web::listen_mark>},
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
     .mark = mark_in<&Backend::address_mark>},
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
     .help = "how packets reach it; by default the service's",
     .one_of = kForwards,
     .mark = mark_in<&Backend::forward_mark>},
    {.name = "tunnel", .help = "encapsulation of `forward: tunnel`", .status = later},
    {.name = "health", .help = "its own health check", .status = later},
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
         "`sh-port`: hash the port too; `sh-fallback`: another backend where the hash's is down",
     .one_of = kSchedulerFlags},
    {.name = "forward",
     .field = field<&Service::forward>,
     .help =
         "`nat` rewrites addresses both ways; `dr` only the Ethernet address, replies go straight "
         "to the client",
     .one_of = kForwards},
    {.name = "backends",
     .field = field<&Service::backends>,
     .help = "the servers, in the order schedulers see them"},
    {.name = "persistence", .help = "a client keeps its backend", .status = later},
    {.name = "one_packet", .help = "schedule each UDP packet by itself", .status = later},
    {.name = "sorry_server", .help = "answers when no backend can", .status = later},
    {.name = "quorum", .help = "weight a service needs to be up", .status = later},
    {.name = "inhibit_on_failure", .help = "weight 0 rather than removal", .status = later},
    {.name = "start_down",
     .help = "backends are down until their first good probe",
     .status = later},
    {.name = "drain", .help = "how long a leaving backend keeps connections", .status = later},
    {.name = "health", .help = "how backends are checked", .status = later},
};

constexpr Key kConfigKeys[] = {
    {.name = "instance",
     .field = field<&Config::instance>,
     .help = "names `/run/torii/INSTANCE` and `/dev/shm/torii/INSTANCE`; `-i` and `TORII_INSTANCE` "
             "override it",
     .reload = Reload::restart,
     .mark = mark_in<&Config::instance_mark>},
    {.name = "dataplane",
     .field = field<&Config::dataplane>,
     .help = "what torii-dataplane needs at its start",
     .reload = Reload::restart},
    {.name = "timeouts",
     .field = field<&Config::timeouts>,
     .help = "how long a connection without packets is kept"},
    {.name = "api",
     .field = field<&Config::api>,
     .help = "the command's way in",
     .reload = Reload::restart},
    {.name = "web",
     .field = field<&Config::web>,
     .help = "the way in for browsers and Prometheus",
     .reload = Reload::restart},
    {.name = "servers",
     .field = field<&Config::servers>,
     .help = "machines by name; services refer to them",
     .mark = mark_in<&Config::servers_mark>},
    {.name = "services", .field = field<&Config::services>, .help = "what is balanced"},
    {.name = "marks", .help = "firewall marks given by destination", .status = later},
    {.name = "vrrp", .help = "failover between two balancers", .status = later},
};

}  // namespace

Keys keys_for(const Config*) { return kConfigKeys; }
Keys keys_for(const Dataplane*) { return kDataplaneKeys; }
Keys keys_for(const Port*) { return kPortKeys; }
Keys keys_for(const Timeouts*) { return kTimeoutKeys; }
Keys keys_for(const Api*) { return kApiKeys; }
Keys keys_for(const Web*) { return kWebKeys; }
Keys keys_for(const Server*) { return kServerKeys; }
Keys keys_for(const Service*) { return kServiceKeys; }
Keys keys_for(const Backend*) { return kBackendKeys; }

}  // namespace torii::config
