#include "control/vrrp/advert_socket.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

namespace torii::control::vrrp {
namespace {

namespace wire = torii::vrrp;

constexpr int kReceiveBuffer = 4 << 20;
constexpr size_t kMessage = 60 + wire::kMaxMessage + 8 + 1;  // one more: too long is seen
constexpr size_t kControl = 128;
constexpr int kPriority = 6;  // TC_PRIO_INTERACTIVE: the highest an ordinary qdisc knows

template <class T>
bool set(int fd, int level, int option, const T& value) {
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

// The only control message of a send; returns its length.
template <class T>
size_t put_control(std::byte* control, int level, int type, const T& value) {
    auto* c = reinterpret_cast<cmsghdr*>(control);
    c->cmsg_len = CMSG_LEN(sizeof value);
    c->cmsg_level = level;
    c->cmsg_type = type;
    std::memcpy(CMSG_DATA(c), &value, sizeof value);
    return CMSG_SPACE(sizeof value);
}

Result<> set_up_v4(int fd, uint32_t ifindex) {
    ip_mreqn group{};
    const uint32_t raw = wire::group_address(Family::ipv4).as_v4().raw();
    std::memcpy(&group.imr_multiaddr, &raw, 4);
    group.imr_ifindex = int(ifindex);
    const int ttl = wire::kTtl, tos = wire::kTrafficClass, off = 0, on = 1;
    if (!set(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, group))
        return fail_errno("cannot join 224.0.0.18", errno);
    if (!set(fd, IPPROTO_IP, IP_MULTICAST_IF, group) ||
        !set(fd, IPPROTO_IP, IP_MULTICAST_LOOP, off) ||
        !set(fd, IPPROTO_IP, IP_MULTICAST_TTL, ttl) || !set(fd, IPPROTO_IP, IP_TTL, ttl) ||
        !set(fd, IPPROTO_IP, IP_TOS, tos) || !set(fd, IPPROTO_IP, IP_MULTICAST_ALL, off) ||
        !set(fd, IPPROTO_IP, IP_PKTINFO, on))
        return fail_errno("cannot set up the socket", errno);
    return {};
}

Result<> set_up_v6(int fd, uint32_t ifindex) {
    ipv6_mreq group{};
    const Address to = wire::group_address(Family::ipv6);
    std::memcpy(&group.ipv6mr_multiaddr, to.bytes.data(), 16);
    group.ipv6mr_interface = ifindex;
    const int hops = wire::kTtl, tclass = wire::kTrafficClass, off = 0, on = 1;
    const int index = int(ifindex);
    if (!set(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, group))
        return fail_errno("cannot join ff02::12", errno);
    if (!set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, index) ||
        !set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, off) ||
        !set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hops) ||
        !set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, hops) ||
        !set(fd, IPPROTO_IPV6, IPV6_TCLASS, tclass) ||
        !set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, on) ||
        !set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, on))
        return fail_errno("cannot set up the socket", errno);
    return {};
}

// Classic BPF: the router id is the second byte of the message. Over IPv4 the IP header comes
// before it.
std::vector<sock_filter> filter_for(Family family, const RouterIds& ids) {
    std::vector<sock_filter> code;
    if (family == Family::ipv4) {
        code.push_back(BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0));
        code.push_back(BPF_STMT(BPF_LD | BPF_B | BPF_IND, 1));
    } else {
        code.push_back(BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 1));
    }
    for (size_t id = 1; id < ids.size(); ++id) {
        if (!ids[id]) continue;
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, uint32_t(id), 0, 1));
        code.push_back(BPF_STMT(BPF_RET | BPF_K, 0xffffffff));
    }
    code.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
    return code;
}

}  // namespace

struct AdvertSocket::Buffers {
    std::array<std::array<std::byte, kMessage>, kBatch> bytes;
    std::array<std::array<std::byte, kControl>, kBatch> control;
    std::array<sockaddr_storage, kBatch> names;
    std::array<iovec, kBatch> parts;
    std::array<mmsghdr, kBatch> heads;
    std::array<wire::Received, kBatch> parsed;

    void prepare() {
        for (size_t i = 0; i < kBatch; ++i) {
            parts[i] = {bytes[i].data(), kMessage};
            heads[i] = {};
            heads[i].msg_hdr.msg_name = &names[i];
            heads[i].msg_hdr.msg_namelen = sizeof names[i];
            heads[i].msg_hdr.msg_iov = &parts[i];
            heads[i].msg_hdr.msg_iovlen = 1;
            heads[i].msg_hdr.msg_control = control[i].data();
            heads[i].msg_hdr.msg_controllen = kControl;
        }
    }
};

AdvertSocket::AdvertSocket(int fd, uint32_t ifindex, Family family)
    : fd_(fd), ifindex_(ifindex), family_(family), buffers_(std::make_unique<Buffers>()) {
    std::memset(buffers_->bytes.data(), 0, sizeof buffers_->bytes);  // no page is missing later
}
AdvertSocket::~AdvertSocket() { ::close(fd_); }

Result<std::unique_ptr<AdvertSocket>> AdvertSocket::open(uint32_t ifindex, const std::string& name,
                                                         Family family) {
    const bool v4 = family == Family::ipv4;
    const int fd = ::socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
                            wire::kIpProtocol);
    if (fd < 0) return fail_errno("cannot open a VRRP socket", errno);
    std::unique_ptr<AdvertSocket> made(new AdvertSocket(fd, ifindex, family));
    const int on = 1;
    if (auto ok = made->accept({}); !ok) return tl::unexpected(ok.error());
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name.c_str(), socklen_t(name.size() + 1)) != 0)
        return fail_errno("cannot bind a VRRP socket to " + name, errno);
    if (!set(fd, SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBuffer))
        set(fd, SOL_SOCKET, SO_RCVBUF, kReceiveBuffer);
    set(fd, SOL_SOCKET, SO_PRIORITY, kPriority);
    set(fd, SOL_SOCKET, SO_RXQ_OVFL, on);
    if (auto ok = v4 ? set_up_v4(fd, ifindex) : set_up_v6(fd, ifindex); !ok)
        return tl::unexpected(std::move(ok.error()).within(name));
    return made;
}

Result<> AdvertSocket::accept(const RouterIds& ids) {
    std::vector<sock_filter> code = filter_for(family_, ids);
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    if (!set(fd_, SOL_SOCKET, SO_ATTACH_FILTER, program))
        return fail_errno("cannot attach a filter to a VRRP socket", errno);
    return {};
}

bool AdvertSocket::send(std::span<const std::byte> message, const Address& source,
                        const Address& destination) const {
    iovec part{const_cast<std::byte*>(message.data()), message.size()};
    alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(in6_pktinfo))] = {};
    sockaddr_in to4{};
    sockaddr_in6 to6{};
    msghdr head{};
    head.msg_iov = &part;
    head.msg_iovlen = 1;
    head.msg_control = control;
    if (family_ == Family::ipv4) {
        to4.sin_family = AF_INET;
        const uint32_t raw = destination.as_v4().raw(), from = source.as_v4().raw();
        std::memcpy(&to4.sin_addr, &raw, 4);
        head.msg_name = &to4;
        head.msg_namelen = sizeof to4;
        in_pktinfo info{};
        info.ipi_ifindex = int(ifindex_);
        std::memcpy(&info.ipi_spec_dst, &from, 4);
        head.msg_controllen = put_control(control, IPPROTO_IP, IP_PKTINFO, info);
    } else {
        to6.sin6_family = AF_INET6;
        to6.sin6_scope_id = ifindex_;
        std::memcpy(&to6.sin6_addr, destination.bytes.data(), 16);
        head.msg_name = &to6;
        head.msg_namelen = sizeof to6;
        in6_pktinfo info{};
        info.ipi6_ifindex = ifindex_;
        std::memcpy(&info.ipi6_addr, source.bytes.data(), 16);
        head.msg_controllen = put_control(control, IPPROTO_IPV6, IPV6_PKTINFO, info);
    }
    return ::sendmsg(fd_, &head, MSG_DONTWAIT) == ssize_t(message.size());
}

// SO_RXQ_OVFL's number is the socket's total when this message was queued.
void AdvertSocket::count_lost(uint32_t total) {
    if (int32_t(total - lost_total_) > 0) lost_total_ = total;
}

bool AdvertSocket::parse(size_t i, wire::Received& out) {
    msghdr& head = buffers_->heads[i].msg_hdr;
    std::span<const std::byte> bytes(buffers_->bytes[i].data(), buffers_->heads[i].msg_len);
    out = {};
    for (cmsghdr* c = CMSG_FIRSTHDR(&head); c != nullptr; c = CMSG_NXTHDR(&head, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
            uint32_t total;
            std::memcpy(&total, CMSG_DATA(c), sizeof total);
            count_lost(total);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT) {
            int hops;
            std::memcpy(&hops, CMSG_DATA(c), sizeof hops);
            out.ttl = uint8_t(hops);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            in6_pktinfo info;
            std::memcpy(&info, CMSG_DATA(c), sizeof info);
            out.destination = Address::v6(&info.ipi6_addr);
        }
    }
    if (family_ == Family::ipv6) {
        sockaddr_in6 from;
        std::memcpy(&from, &buffers_->names[i], sizeof from);
        out.source = Address::v6(&from.sin6_addr);
        out.message = bytes;
        return true;
    }
    iphdr ip;
    if (bytes.size() < sizeof ip) return false;
    std::memcpy(&ip, bytes.data(), sizeof ip);
    if (bytes.size() < size_t(ip.ihl) * 4) return false;
    out.ttl = ip.ttl;
    out.source = Address::v4(be32::from_raw(ip.saddr));
    out.destination = Address::v4(be32::from_raw(ip.daddr));
    out.message = bytes.subspan(size_t(ip.ihl) * 4);
    return true;
}

std::span<const wire::Received> AdvertSocket::receive() {
    buffers_->prepare();
    const int n = ::recvmmsg(fd_, buffers_->heads.data(), kBatch, MSG_DONTWAIT, nullptr);
    size_t good = 0;
    for (int i = 0; i < n; ++i)
        if (parse(size_t(i), buffers_->parsed[good])) ++good;
    return {buffers_->parsed.data(), good};
}

uint32_t AdvertSocket::lost() {
    const uint32_t n = lost_total_ - lost_told_;
    lost_told_ = lost_total_;
    return n;
}

}  // namespace torii::control::vrrp
