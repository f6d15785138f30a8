#include "healthcheck/detour.h"

#include <ifaddrs.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "healthcheck/enclave.h"
#include "healthcheck/outer.h"

namespace torii::healthcheck {

namespace asio = boost::asio;

namespace {

// Above what the kernel gives to sockets that ask for any port (ip_local_port_range).
constexpr uint16_t kFirstPort = 61000, kLastPort = 65535;
constexpr size_t kPorts = kLastPort - kFirstPort + 1;
constexpr size_t kMostPacket = 65536;  // the kernel may have put several together
constexpr std::chrono::seconds kRetry{5};
constexpr int kMostAtOnce = 64;  // packets, before others have their turn

/// Packets for the ports of probes, and ICMP errors about what they sent.
constexpr sock_filter kFilter4[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMP, 7, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 1, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 11),
    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 9, 0),
    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
    BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
    BPF_JUMP(BPF_JMP | BPF_JA, 4, 0, 0),
    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
    BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 3, 0, 3),
    BPF_STMT(BPF_LD | BPF_H | BPF_IND, 8 + 20),
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kFirstPort, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    BPF_STMT(BPF_RET | BPF_K, 0),
};
constexpr sock_filter kFilter6[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 4, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 1, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 7),
    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 40 + 2),
    BPF_JUMP(BPF_JMP | BPF_JA, 3, 0, 0),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 40),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 3),
    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 40 + 8 + 40),
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kFirstPort, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    BPF_STMT(BPF_RET | BPF_K, 0),
};

Address address_of(const sockaddr& a) {
    if (a.sa_family == AF_INET)
        return Address::v4(be32::from_raw(reinterpret_cast<const sockaddr_in&>(a).sin_addr.s_addr));
    return Address::v6(&reinterpret_cast<const sockaddr_in6&>(a).sin6_addr);
}

/// Another address of the interface that has `taken`, none of `virtuals`.
std::optional<Address> beside(const Address& taken, const std::set<Address>& virtuals) {
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) return std::nullopt;
    std::string interface;
    std::optional<Address> found;
    for (const bool naming : {true, false})
        for (const ifaddrs* i = all; i != nullptr; i = i->ifa_next) {
            if (i->ifa_addr == nullptr ||
                (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
                continue;
            const Address a = address_of(*i->ifa_addr);
            if (naming && a == taken) interface = i->ifa_name;
            if (!naming && !found && interface == i->ifa_name && a.family() == taken.family() &&
                !a.is_link_local() && !virtuals.contains(a))
                found = a;
        }
    ::freeifaddrs(all);
    return found;
}

/// Where the kernel would send from, but none of the virtual addresses.
tl::expected<Address, int> source_towards(const Address& server, const Way& way) {
    const Descriptor s(::socket(server.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_storage address;
    socklen_t size = to_sockaddr({server, 9}, address);
    if (s.get() < 0 || ::connect(s.get(), reinterpret_cast<sockaddr*>(&address), size) != 0)
        return tl::unexpected(errno);
    size = sizeof address;
    if (::getsockname(s.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
        return tl::unexpected(errno);
    const Address chosen = address_of(reinterpret_cast<sockaddr&>(address));
    if (!way.virtuals || !way.virtuals->contains(chosen)) return chosen;
    const auto other = beside(chosen, *way.virtuals);
    if (!other) return tl::unexpected(EADDRNOTAVAIL);
    return *other;
}

}  // namespace

struct Detour::State : std::enable_shared_from_this<State> {
    explicit State(asio::io_context& l) : loop(l), device(l), wire4(l), wire6(l) {}

    struct Flow {
        Address server;
        std::optional<config::Tunnel> tunnel;
        TimePoint until{};  // nobody else gets its port before
    };
    /// Towards one virtual service: flows by port, as many as were ever needed at a time.
    struct Peer {
        std::vector<Flow> flows;
        size_t last = 0;
    };
    using Wire = asio::posix::stream_descriptor;

    int prepare(const char** what);
    int try_to_prepare(const char** what);
    int listen(Wire&, uint16_t protocol, std::span<const sock_filter>);
    Flow* next_flow(Peer&, uint16_t& port);
    const Flow* flow_of(std::span<const uint8_t> packet) const;
    void watch_device();
    void watch(Wire&);
    void take_out();
    void take_in(Wire&);

    asio::io_context& loop;
    std::optional<Enclave> enclave;
    Outer outer;
    Wire device, wire4, wire6;
    std::set<Address> sources;  // that the enclave has
    std::map<Endpoint, Peer> peers;
    // An attempt that failed is not repeated for every probe.
    int failed = 0;
    const char* failed_what = "";
    TimePoint failed_until{};
    std::array<uint8_t, kMostPacket> buffer;
};

Detour::Detour(asio::io_context& loop) : state_(std::make_shared<State>(loop)) {}

Detour::~Detour() {
    boost::system::error_code ignored;
    for (State::Wire* w : {&state_->device, &state_->wire4, &state_->wire6}) w->close(ignored);
}

int Detour::State::listen(Wire& wire, uint16_t protocol, std::span<const sock_filter> filter) {
    Descriptor s(::socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (s.get() < 0) return errno;
    const sock_fprog program{uint16_t(filter.size()), const_cast<sock_filter*>(filter.data())};
    const int on = 1;
    sockaddr_ll where{};
    where.sll_family = AF_PACKET;
    where.sll_protocol = be16::from_host(protocol).raw();
    if (::setsockopt(s.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0 ||
        ::setsockopt(s.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) != 0 ||
        ::bind(s.get(), reinterpret_cast<sockaddr*>(&where), sizeof where) != 0)
        return errno;
    wire.assign(s.release());
    return 0;
}

int Detour::State::prepare(const char** what) {
    if (enclave) return 0;
    if (Clock::now() >= failed_until) {
        failed = try_to_prepare(&failed_what);
        failed_until = Clock::now() + kRetry;
    }
    *what = failed_what;
    return failed;
}

int Detour::State::try_to_prepare(const char** what) {
    auto made = Enclave::make(what);
    if (!made) return made.error();
    *what = "packet socket";
    boost::system::error_code ignored;
    wire4.close(ignored);  // of an attempt that failed
    wire6.close(ignored);
    if (const int error = listen(wire4, ETH_P_IP, kFilter4)) return error;
    if (const int error = listen(wire6, ETH_P_IPV6, kFilter6)) return error;
    enclave = std::move(*made);
    device.assign(enclave->device().release());
    watch_device();
    watch(wire4);
    watch(wire6);
    return 0;
}

Detour::State::Flow* Detour::State::next_flow(Peer& peer, uint16_t& port) {
    const TimePoint now = Clock::now();
    for (size_t tried = 0; tried < peer.flows.size(); ++tried) {
        peer.last = (peer.last + 1) % peer.flows.size();
        if (peer.flows[peer.last].until <= now) break;
    }
    if (peer.flows.empty() || peer.flows[peer.last].until > now) {
        if (peer.flows.size() == kPorts) return nullptr;
        peer.last = peer.flows.size();
        peer.flows.emplace_back();
    }
    port = uint16_t(kFirstPort + peer.last);
    return &peer.flows[peer.last];
}

/// Whose packet it is; null: nobody's.
const Detour::State::Flow* Detour::State::flow_of(std::span<const uint8_t> packet) const {
    const bool v4 = packet[0] >> 4 == 4;
    const size_t header = v4 ? size_t(packet[0] & 0x0f) * 4 : 40;
    const uint8_t protocol = v4 ? packet[9] : packet[6];
    if ((protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) || packet.size() < header + 4)
        return nullptr;
    const auto number = [&](size_t at) { return uint16_t(packet[at] << 8 | packet[at + 1]); };
    Endpoint to;
    to.port = number(header + 2);
    uint32_t raw = 0;
    std::memcpy(&raw, &packet[16], sizeof raw);
    to.address = v4 ? Address::v4(be32::from_raw(raw)) : Address::v6(&packet[24]);
    const auto peer = peers.find(to);
    const size_t slot = size_t(number(header)) - kFirstPort;
    if (peer == peers.end() || slot >= peer->second.flows.size()) return nullptr;
    return &peer->second.flows[slot];
}

tl::expected<Descriptor, int> Detour::open(const Request& r, int type, const char** what) {
    State& s = *state_;
    if (const int error = s.prepare(what)) return tl::unexpected(error);
    const config::Health& h = *r.settings;
    *what = "a source address that no service has (name one by 'bind')";
    Address source = h.bind;
    if (source.is_unspecified()) {
        const auto found = source_towards(r.target.to.address, *r.target.way);
        if (!found) return tl::unexpected(found.error());
        source = *found;
    }
    const bool v4 = r.target.peer().address.is_v4();
    if (source.is_v4() != v4) return tl::unexpected(EAFNOSUPPORT);
    if (!s.sources.contains(source)) {
        if (const int error = s.enclave->add_address(source)) return tl::unexpected(error);
        s.sources.insert(source);
    }
    *what = "socket";
    auto socket = s.enclave->socket(v4 ? AF_INET : AF_INET6, type);
    if (!socket) return socket;
    const int on = 1;
    ::setsockopt(socket->get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    *what = "port";
    uint16_t port = 0;
    State::Flow* flow = s.next_flow(s.peers[r.target.peer()], port);
    if (flow == nullptr) return tl::unexpected(EADDRNOTAVAIL);
    sockaddr_storage from;
    const socklen_t size = to_sockaddr({source, port}, from);
    if (::bind(socket->get(), reinterpret_cast<sockaddr*>(&from), size) != 0)
        return tl::unexpected(errno);
    // Twice its patience: what of it the loop is late by, and its last packets.
    *flow = {r.target.to.address, r.target.way->tunnel,
             Clock::now() + 2 * h.timeout + std::chrono::seconds(1)};
    return socket;
}

void Detour::State::watch_device() {
    device.async_wait(Wire::wait_read, [self = shared_from_this()](boost::system::error_code e) {
        if (e) return;
        self->take_out();
        self->watch_device();
    });
}

void Detour::State::watch(Wire& wire) {
    wire.async_wait(Wire::wait_read,
                    [self = shared_from_this(), &wire](boost::system::error_code e) {
                        if (e) return;
                        self->take_in(wire);
                        self->watch(wire);
                    });
}

// Only the probes' packets are sent on: the kernel says things of its own as well.
void Detour::State::take_out() {
    for (int n = 0; n < kMostAtOnce; ++n) {
        const ssize_t got = ::read(device.native_handle(), buffer.data(), buffer.size());
        if (got < 0) return;
        if (got < (buffer[0] >> 4 == 4 ? 20 : 40)) continue;
        const std::span<const uint8_t> packet(buffer.data(), size_t(got));
        if (const Flow* f = flow_of(packet))
            outer.send(packet, f->server, f->tunnel);  // what is lost is sent again
    }
}

void Detour::State::take_in(Wire& wire) {
    for (int n = 0; n < kMostAtOnce; ++n) {
        sockaddr_ll from{};
        iovec piece{buffer.data(), buffer.size()};
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(tpacket_auxdata))> more;
        msghdr m{&from, sizeof from, &piece, 1, more.data(), more.size(), 0};
        const ssize_t got = ::recvmsg(wire.native_handle(), &m, 0);
        if (got < 20) return;
        if (from.sll_pkttype != PACKET_HOST) continue;
        bool summed = true;
        for (cmsghdr* c = CMSG_FIRSTHDR(&m); c != nullptr; c = CMSG_NXTHDR(&m, c)) {
            tpacket_auxdata about;
            if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA) continue;
            std::memcpy(&about, CMSG_DATA(c), sizeof about);
            summed = (about.tp_status & TP_STATUS_CSUMNOTREADY) == 0;
        }
        if (!summed) complete_checksum({buffer.data(), size_t(got)});
        // What no probe waits for, the kernel inside refuses. A full queue loses it, as a wire
        // does.
        if (::write(device.native_handle(), buffer.data(), size_t(got)) < 0) continue;
    }
}

}  // namespace torii::healthcheck
