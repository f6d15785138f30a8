#pragma once
// Which packets of an interface torii takes from the kernel, and the two kernel programs that see
// to it: torii_xdp, which DPDK's net_af_xdp attaches and which redirects them to its sockets, and
// torii_guard at tc ingress, which drops them while torii_xdp is not attached.
//
// Interfaces are named, and looked up in the network namespace of the calling thread. All functions
// talk to the kernel and may take milliseconds: never on the packet path. They may be called from
// any process with CAP_NET_ADMIN and CAP_BPF (or root), also while no dataplane runs. Nothing is
// pinned: maps are found through the attached program. Two callers must not change the same
// interface at the same time; reading (attached, queues) is always safe.
//
// Errors: not_found (no such interface, nothing attached), exists (a program that is not torii's is
// in the way), full (more keys than the map holds), layout (programs of another torii release), io.

#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "config/base/address.h"
#include "config/base/error.h"

namespace torii::xdp {

/// What a packet is matched by: a service's or a server's address, port (host order, 0: every port)
/// and protocol (tcp, udp or sctp).
struct ServiceKey {
    Address address;
    uint16_t port = 0;
    Protocol protocol = Protocol::any;
    // Address, port, protocol, without a call for each address: there may be tens of thousands.
    friend bool operator==(const ServiceKey& a, const ServiceKey& b) {
        return a.words() == b.words();
    }
    friend auto operator<=>(const ServiceKey& a, const ServiceKey& b) {
        return a.words() <=> b.words();
    }

private:
    uint64_t word(size_t at) const {
        uint64_t w;
        std::memcpy(&w, address.bytes.data() + at, sizeof w);
        return std::endian::native == std::endian::little ? __builtin_bswap64(w) : w;
    }
    std::tuple<uint64_t, uint64_t, uint32_t> words() const {
        return {word(0), word(8), uint32_t(port) << 8 | uint32_t(protocol)};
    }
};

/// What becomes of a destination's packets of one protocol (any: of each) and ports from first to
/// last: `take` them, or let the services decide.
struct MarkedPorts {
    Protocol protocol = Protocol::any;
    uint16_t first = 0, last = 65535;
    bool take = true;
    friend bool operator==(const MarkedPorts&, const MarkedPorts&) = default;
    friend auto operator<=>(const MarkedPorts&, const MarkedPorts&) = default;
};
/// A block of destinations with firewall marks. The longest block that holds an address counts,
/// and in it the first ports that fit; more than kMaxMarkedPorts become "take all".
struct MarkedBlock {
    Prefix destination;
    std::vector<MarkedPorts> ports;
    friend bool operator==(const MarkedBlock&, const MarkedBlock&) = default;
    friend auto operator<=>(const MarkedBlock&, const MarkedBlock&) = default;
};
inline constexpr size_t kMaxMarkedPorts = 16;

/// Everything the decision depends on. Order and repetition do not matter.
struct SteeringSet {
    std::vector<ServiceKey> services;
    std::vector<Address> vips;         ///< the addresses of `services`
    std::vector<Address> locals;       ///< the host's own addresses that are no VIP
    std::vector<ServiceKey> backends;  ///< servers of NAT services; their replies are taken
    std::vector<MarkedBlock> marks;    ///< each destination once
    /// Servers behind tunnels: errors about packets to them are taken. The protocol is that of the
    /// outer header (4, 41, 47 or UDP), the port that of GUE or 0.
    std::vector<ServiceKey> tunnels;
    std::vector<Mac> macs;  ///< unicast MACs that are ours; empty: every unicast MAC
};

enum class Owner : uint8_t { none, ours, foreign };
enum class Mode : uint8_t { none, native, generic, offload };

struct Program {
    Owner owner = Owner::none;
    uint32_t id = 0;   ///< the kernel's program id, 0 for none
    std::string name;  ///< up to 15 characters
};

/// What is attached to an interface. `guard` looks only at the handle and priority that are ours.
struct Attached {
    Program xdp;
    Mode mode = Mode::none;  ///< how the XDP program runs
    Program guard;
};

Result<Attached> attached(std::string_view interface);

/// Installs the tc guard with its maps filled before it is attached, or replaces it in one step, so
/// that there is no moment in which a packet of `set` reaches the kernel.
Result<> guard(std::string_view interface, const SteeringSet& set);

/// Brings the maps of the attached program and of the guard to `set`: first every addition in both,
/// then every removal. Fails with not_found when neither is attached. A foreign XDP program is
/// reported (exists) after the guard was brought up to date.
Result<> apply(std::string_view interface, const SteeringSet& set);

/// The same where the maps are known to be at `from`, as the last apply() left them: costs what
/// differs. Lists of both are sorted and without repetition.
Result<> apply(std::string_view interface, const SteeringSet& from, const SteeringSet& to);

/// Loads torii_xdp, fills its maps and attaches it. For what does not use net_af_xdp, which
/// attaches the program itself. Without a socket in xsks_map, packets of `set` are dropped.
Result<> attach_xdp(std::string_view interface, const SteeringSet& set);

/// Detaches torii_xdp. Nothing attached is success; a foreign program is refused with exists.
Result<> detach_xdp(std::string_view interface);

/// Gives everything back to the kernel: removes torii_xdp and the guard, and leaves what is not
/// torii's (a foreign XDP program is no error here). The empty clsact qdisc stays.
Result<> release(std::string_view interface);

/// torii_xdp as a file for net_af_xdp's xdp_prog=FILE. It lives in memory and is gone with this
/// object; the path names it for this process only. The driver reads it while it configures the
/// first receive queue.
class ProgramFile {
public:
    static Result<ProgramFile> create();
    ProgramFile(ProgramFile&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
    ProgramFile& operator=(ProgramFile&&) = delete;
    ~ProgramFile();
    std::string path() const;  ///< /proc/self/fd/N

private:
    explicit ProgramFile(int fd) : fd_(fd) {}
    int fd_;
};

/// The AF_XDP sockets of this process, ascending. net_af_xdp has no receive interrupts and does not
/// tell its sockets; the one that rte_eth_rx_queue_setup() added is found by comparing before and
/// after. An idle worker waits in ppoll() on them and wakes with the first packet.
std::vector<int> xsk_sockets();

/// Puts `sockets[i]` behind receive queue i of the attached torii_xdp. For drivers without combined
/// channels, where each queue needs a vdev, and so a program, of its own: only the program attached
/// last is left, and has to know all sockets.
Result<> bind_sockets(std::string_view interface, std::span<const int> sockets);

/// Lifts RLIMIT_MEMLOCK of this process as far as its capabilities allow; call it before the DPDK
/// port is configured. Packet memory of AF_XDP sockets is charged to it unless the process has
/// CAP_IPC_LOCK, and so are BPF maps before Linux 5.11.
Result<> raise_memlock();

struct Queues {
    unsigned receive = 1;  ///< receive queues in use; a packet may arrive on any of them
    /// Queues one net_af_xdp vdev can bind: what the driver calls combined channels, else one.
    /// Packets of services on a queue without a socket are dropped: see bind_sockets().
    unsigned bindable = 1;
};
Result<Queues> queues(std::string_view interface);

Result<Mac> interface_mac(std::string_view interface);

}  // namespace torii::xdp
