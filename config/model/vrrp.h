#pragma once
// What an operator can say about VRRP: instances, groups of instances that move together, what they
// watch and whom they tell. Plain structs, as in config.h.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/base/address.h"
#include "config/model/diagnostic.h"

namespace torii::config {

using Duration = std::chrono::microseconds;

/// An address an instance holds while it is active.
struct VrrpAddress {
    Prefix prefix;          ///< written without a length it is a host's: /32 or /128
    std::string interface;  ///< empty = the instance's
    Mark mark, address_mark, interface_mark;
    friend bool operator==(const VrrpAddress&, const VrrpAddress&) = default;
};

/// A route an instance installs while it is active.
struct VrrpRoute {
    Prefix destination;
    Address via;            ///< unspecified = directly connected
    std::string interface;  ///< empty = the instance's
    Address source;         ///< preferred source; unspecified = the kernel's choice
    uint32_t metric = 0;
    uint32_t table = 254;  ///< the kernel's number of the routing table; 254 is main
    Mark mark, destination_mark, via_mark, interface_mark, source_mark;
    friend bool operator==(const VrrpRoute&, const VrrpRoute&) = default;
};

struct VrrpPreempt {
    bool enabled = true;  ///< take over from an active router of lower priority
    Duration delay{0};    ///< how long such a router is left alone first
    Mark mark, enabled_mark, delay_mark;
    friend bool operator==(const VrrpPreempt&, const VrrpPreempt&) = default;
};

/// Gratuitous ARP and unsolicited neighbour advertisements of an active instance.
struct VrrpGarp {
    uint32_t repeat = 5;                       ///< packets an address in each burst
    Duration delay = std::chrono::seconds(5);  ///< second burst, so long after the first; 0 = none
    Duration refresh{0};                       ///< a burst every so often; 0 = never
    uint32_t refresh_repeat = 1;               ///< packets an address in those
    Duration interval{0};                      ///< pause between two packets of a burst
    friend bool operator==(const VrrpGarp&, const VrrpGarp&) = default;
};

/// What a change of a watched thing does. A weight above 0 is added while the thing is well, one
/// below 0 while it is not; 0 makes the instance faulty while it is not.
struct VrrpTrackInterface {
    std::string name;
    int32_t weight = 0;
    bool reverse = false;  ///< well and not well change places
    Mark mark, name_mark, weight_mark;
    friend bool operator==(const VrrpTrackInterface&, const VrrpTrackInterface&) = default;
};

struct VrrpTrackScript {
    std::string name;                  ///< empty = the program's file name
    std::vector<std::string> command;  ///< program and arguments; well = it exits with 0
    Duration interval = std::chrono::seconds(1);
    Duration timeout{0};  ///< killed after so long, which is a failure; 0 = the interval
    uint32_t rise = 1;    ///< successes in a row that make it well
    uint32_t fall = 1;    ///< failures in a row that make it not well
    int32_t weight = 0;
    bool reverse = false;
    std::string user;  ///< whom it runs as; empty = toriid's user
    Mark mark, name_mark, command_mark, weight_mark, timeout_mark;
    friend bool operator==(const VrrpTrackScript&, const VrrpTrackScript&) = default;
};

/// A file that holds a number. With a weight, number times weight is added; with weight 0 a number
/// other than 0 is a fault. A file that is missing or holds no number counts as 0.
struct VrrpTrackFile {
    std::string path;
    int32_t weight = 0;
    Mark mark, path_mark, weight_mark;
    friend bool operator==(const VrrpTrackFile&, const VrrpTrackFile&) = default;
};

struct VrrpTrackProcess {
    std::string name;     ///< as in /proc/PID/comm, or a path: as in /proc/PID/exe
    uint32_t quorum = 1;  ///< so many must run
    Duration delay{0};    ///< a change counts when it has lasted so long
    int32_t weight = 0;
    bool reverse = false;
    Mark mark, name_mark, weight_mark;
    friend bool operator==(const VrrpTrackProcess&, const VrrpTrackProcess&) = default;
};

/// The quorum of one of the configured services.
struct VrrpTrackService {
    std::string name;
    int32_t weight = 0;
    bool reverse = false;
    Mark mark, name_mark, weight_mark;
    friend bool operator==(const VrrpTrackService&, const VrrpTrackService&) = default;
};

struct VrrpTrack {
    std::vector<VrrpTrackInterface> interfaces;  ///< the instance's own is always watched
    std::vector<VrrpTrackScript> scripts;
    std::vector<VrrpTrackFile> files;
    std::vector<VrrpTrackProcess> processes;
    /// A dead dataplane is a fault. Unless written, true where `dataplane.ports` has any.
    bool dataplane = false;
    std::vector<VrrpTrackService> services;
    Mark mark, dataplane_mark;
    friend bool operator==(const VrrpTrack&, const VrrpTrack&) = default;
};

enum class VrrpAuth : uint8_t { none, pass };
std::string_view to_string(VrrpAuth);  ///< as YAML spells it

struct VrrpAuthentication {
    VrrpAuth type = VrrpAuth::none;
    std::string secret;  ///< 1 to 8 characters; after loading also that of secret_file
    std::string secret_file;
    Mark mark, type_mark, secret_mark, secret_file_mark;
    friend bool operator==(const VrrpAuthentication&, const VrrpAuthentication&) = default;
};

/// Commands (program and arguments) that a transition starts; empty = none.
struct VrrpNotify {
    std::vector<std::string> active, backup, fault, stop;
    std::vector<std::string> any;  ///< on every transition, after the one above
    Duration timeout = std::chrono::seconds(60);
    std::string user;  ///< whom they run as; empty = toriid's user
    Mark mark, active_mark, backup_mark, fault_mark, stop_mark, any_mark;
    friend bool operator==(const VrrpNotify&, const VrrpNotify&) = default;
};

struct VrrpInstance {
    std::string name;
    std::string interface;
    uint16_t router_id = 0;  ///< 1 to 255; all routers of one virtual router have the same
    uint16_t version = 3;
    uint16_t priority = 100;  ///< 255: the addresses are this machine's own
    Duration interval = std::chrono::seconds(1);
    uint32_t missed_adverts = 3;  ///< so many are missing before a backup takes over
    VrrpPreempt preempt;
    Duration startup_delay{0};
    std::vector<VrrpAddress> addresses;  ///< told to the peers, in this order
    std::vector<VrrpAddress> excluded;   ///< held as well, but not told: any number, any family
    std::vector<VrrpRoute> routes;
    std::vector<Address> peers;  ///< unicast; empty = multicast
    uint16_t min_ttl = 1;        ///< what unicast peers' packets must have left
    Address source;              ///< of adverts; unspecified = the interface's first
    bool virtual_mac = false;    ///< answer with 00:00:5e:00:01:ID by a macvlan
    bool accept = true;          ///< the machine itself takes packets to the addresses
    bool pseudo_header = true;   ///< version 3 over IPv4: the checksum covers one
    VrrpGarp garp;
    VrrpTrack track;
    VrrpAuthentication authentication;
    VrrpNotify notify;
    Mark mark, name_mark, interface_mark, router_id_mark, version_mark, priority_mark,
        interval_mark, addresses_mark, excluded_mark, peers_mark, min_ttl_mark, source_mark,
        virtual_mac_mark, pseudo_header_mark, accept_mark;
    friend bool operator==(const VrrpInstance&, const VrrpInstance&) = default;

    /// Of its adverts: that of the first address, or of source and peers where there is none.
    Family family() const;
};

/// Instances that are active, backup or faulty together.
struct VrrpGroup {
    std::string name;
    std::vector<std::string> members;
    VrrpNotify notify;
    Mark mark, name_mark, members_mark;
    friend bool operator==(const VrrpGroup&, const VrrpGroup&) = default;
};

/// Addresses of all instances together where behaviour.backup_only is on.
inline constexpr size_t kMostStandby = 4096;

struct Vrrp {
    std::vector<VrrpGroup> groups;
    std::vector<VrrpInstance> instances;
    std::string fifo;        ///< a line for each transition is written there; empty = none
    uint32_t realtime = 50;  ///< SCHED_FIFO priority of the thread; 0 = an ordinary thread
    Mark mark, fifo_mark;
    friend bool operator==(const Vrrp&, const Vrrp&) = default;
};

/// The group the instance is in, or null.
const VrrpGroup* group_of(const Vrrp&, std::string_view instance);

}  // namespace torii::config
