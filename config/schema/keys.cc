// Every key of the configuration but those of services (keys_services.cc). Adding one is adding a
// row.

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

// LVS's that torii has, and those that would mean nothing here.
constexpr std::string_view kNoSync = "there is no synchronisation daemon";
#define TORII_SWITCH(NAME, MOST, HELP) \
    { .name = #NAME, .field = field<&Behaviour::NAME>, .help = HELP, .max = MOST }
#define TORII_ABSENT(NAME, WHY) \
    { .name = #NAME, .status = later, .absent = WHY }
constexpr Key kBehaviourKeys[] = {
    TORII_ABSENT(am_droprate, "it says how much 'drop_packet' drops, which torii has not"),
    TORII_ABSENT(amemthresh,
                 "the connection table has a fixed size, so that memory never runs short"),
    TORII_SWITCH(
        backup_only, 1,
        "1: packets to an address that another VRRP router has now are left to the kernel, "
        "so that a backup can be a server of the active balancer (dr, tunnel)"),
    TORII_SWITCH(cache_bypass, 1,
                 "1: packets of a mark service without a usable backend go on to where they were "
                 "going, by the kernel's routes"),
    TORII_SWITCH(conn_reuse_mode, 3,
                 "a client that uses its port again: 0 keeps the backend, 1 is scheduled anew if "
                 "the old connection is closed, 2 and 3 also after its FIN (dr, tunnel)"),
    TORII_ABSENT(conntrack, "there is no connection tracking beside the connection table"),
    TORII_ABSENT(debug_level, "counters of verdicts and 'torii' say why a packet took its way"),
    TORII_ABSENT(drop_entry,
                 "half-open connections are recycled when the connection table is full"),
    TORII_ABSENT(drop_packet, "a new connection costs no memory that could run short"),
    TORII_SWITCH(expire_nodest_conn, 1, "1: connections of a removed backend end at once"),
    TORII_SWITCH(expire_quiescent_template, 1,
                 "1: persistence does not hold clients at a backend of weight 0"),
    TORII_ABSENT(ignore_tunneled, "packets are seen once, before any tunnel of torii's own"),
    TORII_SWITCH(lblc_expiration, UINT32_MAX, "seconds lblc remembers a destination"),
    TORII_SWITCH(lblcr_expiration, UINT32_MAX,
                 "seconds until lblcr takes a backend from a set that has not changed"),
    TORII_SWITCH(nat_icmp_send, 1,
                 "1: a NAT backend's packet without a connection is answered with ICMP port "
                 "unreachable"),
    TORII_SWITCH(pmtu_disc, 1, "tunnels: 1 copies don't fragment to the outer header, 0 clears it"),
    TORII_ABSENT(run_estimation, "rates are made from counters when they are asked for"),
    TORII_SWITCH(schedule_icmp, 1,
                 "1: a client's ICMP errors about no known connection are scheduled as its packets "
                 "are"),
    TORII_ABSENT(secure_tcp,
                 "it shortens the life of half-open connections, which are recycled when the "
                 "connection table is full"),
    TORII_SWITCH(sloppy_sctp, 1, "1: any SCTP packet but an ABORT begins a connection"),
    TORII_SWITCH(sloppy_tcp, 1, "1: any TCP segment but a reset begins a connection"),
    TORII_ABSENT(snat_reroute, "replies are always routed by what they are when they leave"),
    TORII_ABSENT(sync_persist_mode, kNoSync),
    TORII_ABSENT(sync_ports, kNoSync),
    TORII_ABSENT(sync_qlen_max, kNoSync),
    TORII_ABSENT(sync_refresh_period, kNoSync),
    TORII_ABSENT(sync_retries, kNoSync),
    TORII_ABSENT(sync_sock_size, kNoSync),
    TORII_ABSENT(sync_threshold, kNoSync),
    TORII_ABSENT(sync_version, kNoSync),
};
#undef TORII_SWITCH
#undef TORII_ABSENT

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

constexpr Key kConfigKeys[] = {
    {.name = "instance",
     .field = field<&Config::instance>,
     .help = "names `/run/torii/INSTANCE` and `/dev/shm/torii/INSTANCE`; `-i` and `TORII_INSTANCE` "
             "override it",
     .reload = Reload::restart,
     .mark = mark_in<&Config::instance_mark>},
    {.name = "include",
     .field = field<&Config::include>,
     .help = "files to read as well, by name or glob pattern, relative to this file; lists and "
             "sections of the same name are put together",
     .min = 1},
    {.name = "dataplane",
     .field = field<&Config::dataplane>,
     .help = "what torii-dataplane needs at its start",
     .reload = Reload::restart},
    {.name = "timeouts",
     .field = field<&Config::timeouts>,
     .help = "how long a connection without packets is kept"},
    {.name = "behaviour",
     .field = field<&Config::behaviour>,
     .help = "LVS's switches, by the names of /proc/sys/net/ipv4/vs"},
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
    {.name = "marks",
     .field = field<&Config::marks>,
     .help = "firewall marks given by destination; the most specific rule wins"},
    {.name = "vrrp",
     .field = field<&Config::vrrp>,
     .help = "failover between machines that share addresses"},
};

}  // namespace

Keys keys_for(const Config*) { return kConfigKeys; }
Keys keys_for(const Dataplane*) { return kDataplaneKeys; }
Keys keys_for(const Port*) { return kPortKeys; }
Keys keys_for(const Timeouts*) { return kTimeoutKeys; }
Keys keys_for(const Behaviour*) { return kBehaviourKeys; }
Keys keys_for(const Api*) { return kApiKeys; }
Keys keys_for(const Web*) { return kWebKeys; }

}  // namespace torii::config
