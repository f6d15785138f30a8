#pragma once
// What an operator can say, as plain structs. config/load fills them from YAML, config/check judges
// them, everything else reads them. A default is the member's initialiser, here and nowhere else.
// Marks say where a value was written, so that a check made much later can still point at it.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/base/address.h"
#include "config/model/diagnostic.h"
#include "config/model/health.h"
#include "config/model/vrrp.h"

namespace torii::config {

enum class Hugepages : uint8_t { automatic, never, require };
enum class Driver : uint8_t { af_xdp, pci, tap, memory };
enum class Forward : uint8_t { nat, dr, tunnel };
enum class SchedulerFlag : uint8_t { sh_port, sh_fallback, mh_port, mh_fallback };
enum class TunnelType : uint8_t { ipip, gue, gre };
enum class TunnelChecksum : uint8_t { none, csum, remcsum };

/// As YAML and the API spell them.
std::string_view to_string(Hugepages);
std::string_view to_string(Driver);
std::string_view to_string(Forward);
std::string_view to_string(SchedulerFlag);
std::string_view to_string(TunnelType);
std::string_view to_string(TunnelChecksum);

/// A port of the dataplane.
struct Port {
    std::string name;
    Driver driver = Driver::af_xdp;
    std::string interface;  ///< af_xdp: the Linux interface; tap: the name of the TAP it makes
    std::string device;     ///< pci: the PCI address, 0000:3b:00.0
    std::string kernel_interface;  ///< pci, tap, memory: the TAP that carries the kernel's packets
    uint32_t queues = 0;           ///< receive queues; 0 = as many as the interface has
    Mark mark, name_mark, driver_mark, interface_mark, device_mark, kernel_interface_mark;
    friend bool operator==(const Port&, const Port&) = default;
};

struct Dataplane {
    std::vector<uint32_t> workers;  ///< cores that forward; empty = chosen by worker_cores()
    Hugepages hugepages = Hugepages::automatic;
    Duration idle{50};                ///< longest sleep of an idle worker; 0 = never sleeps
    uint64_t connections = 1u << 20;  ///< entries of the connection table
    uint64_t backends = 64u << 10;    ///< backend slots
    std::vector<Port> ports;
    Mark mark, workers_mark, connections_mark, ports_mark;
    friend bool operator==(const Dataplane&, const Dataplane&) = default;
};

/// LVS's switches that torii has, with its names and defaults (/proc/sys/net/ipv4/vs).
struct Behaviour {
    uint32_t backup_only = 0, cache_bypass = 0, conn_reuse_mode = 1, expire_nodest_conn = 0,
             expire_quiescent_template = 0, lblc_expiration = 86400, lblcr_expiration = 86400,
             nat_icmp_send = 0, pmtu_disc = 1, schedule_icmp = 0, sloppy_sctp = 0, sloppy_tcp = 0;
    friend bool operator==(const Behaviour&, const Behaviour&) = default;
};

/// How long a connection without packets is kept (ipvsadm --set).
struct Timeouts {
    Duration tcp = std::chrono::seconds(900);
    Duration tcp_fin = std::chrono::seconds(120);
    Duration udp = std::chrono::seconds(300);
    friend bool operator==(const Timeouts&, const Timeouts&) = default;
};

struct Api {
    std::string socket = "/run/torii/default/api.sock";  ///< follows the instance unless written
    std::string group = "torii";                         ///< who may use it; empty = only root
    Mark socket_mark, group_mark;
    friend bool operator==(const Api&, const Api&) = default;
};

struct Web {
    /// Metrics, read-only API and page over HTTP; none = not served.
    std::optional<Endpoint> listen = Endpoint{Address::v4(be32::from_host(0x7f000001)), 9105};
    Mark listen_mark;
    friend bool operator==(const Web&, const Web&) = default;
};

struct Server {
    Address address;
    uint16_t weight = 1;
    Mark mark, address_mark;
    friend bool operator==(const Server&, const Server&) = default;
};

/// Ports from first to last, both included.
struct PortRange {
    uint16_t first = 0, last = 65535;
    friend bool operator==(const PortRange&, const PortRange&) = default;
};
std::string to_string(const PortRange&);  ///< 80, or 80-443

/// Gives packets a firewall mark by where they go; the most specific rule wins.
struct MarkRule {
    uint32_t fwmark = 0;
    Prefix destination;
    Protocol protocol = Protocol::tcp;
    std::vector<PortRange> ports;  ///< empty = every port
    Mark mark, fwmark_mark, destination_mark, ports_mark;
    friend bool operator==(const MarkRule&, const MarkRule&) = default;
};

/// One address a service answers on, or a firewall mark.
struct Virtual {
    Endpoint endpoint;  ///< of a mark: the unspecified address of its family, port 0
    Protocol protocol = Protocol::tcp;  ///< of a mark: any
    uint32_t fwmark = 0;                ///< 0 = none
    Mark mark;
    friend bool operator==(const Virtual&, const Virtual&) = default;
};
std::string to_string(const Virtual&);  ///< 192.0.2.1:80/tcp, mark:7, mark:7/ipv6

/// Which clients count as one.
struct Netmask {
    uint32_t mask = 0;    ///< an IPv4 mask in host order, if it was written with dots
    uint16_t length = 0;  ///< else the bits of the virtual's family
    friend bool operator==(const Netmask&, const Netmask&) = default;
};

std::string to_string(const Netmask&);  ///< 255.255.255.0, or 24

/// A client keeps its backend for this long after its last new connection.
struct Persistence {
    Duration timeout{0};             ///< 0 = not persistent
    std::optional<Netmask> netmask;  ///< none = every address by itself
    Mark mark, timeout_mark, netmask_mark;
    friend bool operator==(const Persistence&, const Persistence&) = default;
};

/// What becomes of connections whose backend leaves (weight 0, or removed).
struct Drain {
    Duration deadline{0};  ///< they end after this long; 0 = they go on as long as they like
    friend bool operator==(const Drain&, const Drain&) = default;
};

/// The outer header of `forward: tunnel`.
struct Tunnel {
    TunnelType type = TunnelType::ipip;
    uint16_t port = 0;  ///< gue: destination port
    TunnelChecksum checksum = TunnelChecksum::none;
    Mark mark, type_mark, port_mark, checksum_mark;
    friend bool operator==(const Tunnel&, const Tunnel&) = default;
};

/// A server of a service. After loading, everything is resolved: address and weight come from the
/// named server, `forward` and `tunnel` from the service where the backend itself says nothing.
struct Backend {
    std::string server;  ///< name in Config::servers; empty when given by address
    Address address;
    std::optional<uint16_t> port;  ///< none = the port of the virtual; see backend_port()
    uint16_t weight = 1;           ///< 0 = no new connections
    uint32_t upper = 0;            ///< connections at which it takes no new ones; 0 = no limit
    uint32_t lower = 0;            ///< connections below which it does again; 0 = 3/4 of upper
    Forward forward = Forward::nat;
    Tunnel tunnel;
    std::vector<Health> health;    ///< at most one: what differs from the service's checks
    std::vector<Health> checks;    ///< instead of the service's
    std::vector<Health> resolved;  ///< after loading: its checks, if they are not the service's
    Mark mark, server_mark, address_mark, port_mark, weight_mark, upper_mark, lower_mark,
        forward_mark, tunnel_mark;
    friend bool operator==(const Backend&, const Backend&) = default;
};

struct Service {
    std::string name;
    std::vector<Virtual> virtuals;
    std::string scheduler = "wlc";  ///< as ipvsadm -s spells it
    std::vector<SchedulerFlag> scheduler_flags;
    Forward forward = Forward::nat;
    Tunnel tunnel;
    std::vector<Backend> backends;  ///< in the order they were written: schedulers depend on it
    Persistence persistence;
    bool one_packet = false;  ///< UDP: every packet is scheduled by itself
    Drain drain;
    Health health;                 ///< the one check, or what `checks` have in common
    std::vector<Health> checks;    ///< several; all must be good
    std::vector<Health> resolved;  ///< after loading: the checks of backends without their own
    Quorum quorum;
    SorryServer sorry_server;
    bool inhibit_on_failure = false;  ///< a server that is down keeps weight 0
    bool start_down = false;          ///< servers are down until their first good probe
    uint32_t max_down = 0;   ///< per cent of the servers that checks may take away; 0 = all
    Duration slow_start{0};  ///< in which the weight of a server that came back grows; 0 = at once
    Notify notify;
    Mark mark, name_mark, virtual_mark, scheduler_flags_mark, one_packet_mark, health_mark;
    friend bool operator==(const Service&, const Service&) = default;
};

struct Config {
    std::string instance = "default";  ///< change it with set_instance()
    std::vector<std::string> include;  ///< as written; loading merges those files in
    Dataplane dataplane;
    Timeouts timeouts;
    Behaviour behaviour;
    Api api;
    Web web;
    std::map<std::string, Server, std::less<>> servers;
    std::vector<Service> services;
    std::vector<MarkRule> marks;
    Vrrp vrrp;
    Mark mark, instance_mark, servers_mark;
    friend bool operator==(const Config&, const Config&) = default;
};

/// Names the instance and, unless the file wrote it, the API socket after it.
/// Precondition: is_instance_name(name).
void set_instance(Config&, std::string name);
/// 1 to 32 of A-Z a-z 0-9 _ and -: it becomes part of file names.
bool is_instance_name(std::string_view);
/// /run/torii/<instance>/api.sock
std::string default_api_socket(std::string_view instance);
/// The cores that forward on a machine with `cpus` of them: the configured ones, else core 1 (core
/// 0 is left to the kernel), else core 0 when there is no other.
std::vector<uint32_t> worker_cores(const Dataplane&, unsigned cpus);
/// The checks of a loaded configuration's backend; `type: none` among them means nothing.
const std::vector<Health>& checks_of(const Service&, const Backend&);
/// The port packets of this virtual reach this backend on.
uint16_t backend_port(const Backend&, const Virtual&);

}  // namespace torii::config
