#include "healthcheck/enclave.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace torii::healthcheck {
namespace {

constexpr const char* kDevice = "torii";
constexpr unsigned kMtu = 1400;  // room for the outer header of any tunnel
constexpr const char* kNamespace = "/proc/thread-self/ns/net";

/// The thread is in another namespace while this lives.
class Visit {
public:
    Visit(int outside, int inside) : outside_(outside) { ok_ = ::setns(inside, CLONE_NEWNET) == 0; }
    ~Visit() {
        // A thread that cannot come back must not go on: everything it does would be elsewhere.
        if (ok_ && ::setns(outside_, CLONE_NEWNET) != 0) std::abort();
    }
    explicit operator bool() const { return ok_; }

private:
    int outside_;
    bool ok_;
};

/// One request to the kernel's rtnetlink, with its answer.
class Message {
public:
    template <class Head>
    Message(uint16_t type, uint16_t flags, const Head& head) {
        message_.header.nlmsg_type = type;
        message_.header.nlmsg_flags = uint16_t(NLM_F_REQUEST | NLM_F_ACK | flags);
        std::memcpy(message_.body, &head, sizeof head);
        message_.header.nlmsg_len = NLMSG_LENGTH(sizeof head);
    }
    Message& add(uint16_t type, const void* value, size_t size) {
        const size_t at = NLMSG_ALIGN(message_.header.nlmsg_len);
        char* place = reinterpret_cast<char*>(&message_) + at;
        const rtattr attribute{uint16_t(RTA_LENGTH(size)), type};
        std::memcpy(place, &attribute, sizeof attribute);
        std::memcpy(place + RTA_LENGTH(0), value, size);
        message_.header.nlmsg_len = uint32_t(at + RTA_ALIGN(attribute.rta_len));
        return *this;
    }
    int send() const {
        const Descriptor s(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
        if (s.get() < 0) return errno;
        if (::send(s.get(), &message_, message_.header.nlmsg_len, 0) < 0) return errno;
        struct {
            nlmsghdr header;
            nlmsgerr error;
            char more[512];
        } answer{};
        if (::recv(s.get(), &answer, sizeof answer, 0) < 0) return errno;
        return answer.header.nlmsg_type == NLMSG_ERROR ? -answer.error.error : EPROTO;
    }

private:
    struct {
        nlmsghdr header{};
        char body[256]{};
    } message_;
};

void set(const char* name, std::string_view value) {
    const Descriptor f(
        ::open((std::string("/proc/sys/net/") + name).c_str(), O_WRONLY | O_CLOEXEC));
    // What cannot be set stays at a default that serves, too, for most.
    if (f.get() >= 0 && ::write(f.get(), value.data(), value.size()) < 0) return;
}

int open_device(Descriptor& device) {
    device.reset(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (device.get() < 0) return errno;
    ifreq request{};
    std::strcpy(request.ifr_name, kDevice);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    return ::ioctl(device.get(), TUNSETIFF, &request) != 0 ? errno : 0;
}

int bring_up(unsigned index) {
    ifinfomsg link{};
    link.ifi_index = int(index);
    link.ifi_flags = link.ifi_change = IFF_UP;
    return Message(RTM_NEWLINK, 0, link).add(IFLA_MTU, &kMtu, sizeof kMtu).send();
}

int route_all(unsigned index, uint8_t family) {
    rtmsg route{};
    route.rtm_family = family;
    route.rtm_table = RT_TABLE_MAIN;
    route.rtm_protocol = RTPROT_STATIC;
    route.rtm_scope = family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    route.rtm_type = RTN_UNICAST;
    return Message(RTM_NEWROUTE, NLM_F_CREATE, route).add(RTA_OIF, &index, sizeof index).send();
}

}  // namespace

tl::expected<Enclave, int> Enclave::make(const char** what) {
    Enclave e;
    *what = "network namespace";
    e.outside_.reset(::open(kNamespace, O_RDONLY | O_CLOEXEC));
    if (e.outside_.get() < 0 || ::unshare(CLONE_NEWNET) != 0) return tl::unexpected(errno);
    e.inside_.reset(::open(kNamespace, O_RDONLY | O_CLOEXEC));
    const Visit visit(e.outside_.get(),
                      e.inside_.get());  // it is there already; this brings it back
    if (!visit) std::abort();
    // Ports are used again soon, towards different servers of one address: their clocks must agree.
    for (const auto& [name, value] : {std::pair{"ipv4/tcp_tw_reuse", "1"},
                                      {"ipv4/tcp_timestamps", "2"},
                                      {"ipv4/conf/all/rp_filter", "0"},
                                      {"ipv4/conf/default/rp_filter", "0"},
                                      {"ipv6/conf/all/disable_ipv6", "0"},
                                      {"ipv6/conf/default/accept_ra", "0"}})
        set(name, value);
    *what = "TUN device";
    if (const int error = open_device(e.device_)) return tl::unexpected(error);
    e.index_ = ::if_nametoindex(kDevice);
    if (const int error = bring_up(e.index_)) return tl::unexpected(error);
    *what = "route to the TUN device";
    if (const int error = route_all(e.index_, AF_INET)) return tl::unexpected(error);
    route_all(e.index_, AF_INET6);  // a kernel without IPv6 has none
    return e;
}

tl::expected<Descriptor, int> Enclave::socket(int family, int type) {
    const Visit visit(outside_.get(), inside_.get());
    if (!visit) return tl::unexpected(errno);
    Descriptor s(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (s.get() < 0) return tl::unexpected(errno);
    return s;
}

int Enclave::add_address(const Address& a) {
    const Visit visit(outside_.get(), inside_.get());
    if (!visit) return errno;
    ifaddrmsg address{};
    address.ifa_family = a.is_v4() ? AF_INET : AF_INET6;
    address.ifa_prefixlen = a.is_v4() ? 32 : 128;
    address.ifa_flags = IFA_F_NODAD;
    address.ifa_index = index_;
    const uint8_t* bytes = a.bytes.data() + (a.is_v4() ? 12 : 0);
    const size_t size = a.is_v4() ? 4 : 16;
    const int error = Message(RTM_NEWADDR, NLM_F_CREATE, address)
                          .add(IFA_LOCAL, bytes, size)
                          .add(IFA_ADDRESS, bytes, size)
                          .send();
    return error == EEXIST ? 0 : error;
}

}  // namespace torii::healthcheck
