#include "control/kernel/editor.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>

#include <cerrno>
#include <cstring>

#include "control/kernel/socket.h"

namespace torii::kernel {
namespace {

constexpr size_t kReceiveBuffer = size_t{1} << 20;
constexpr int kAnswerMilliseconds = 5000;

uint8_t family_of(const Address& a) { return a.is_v4() ? AF_INET : AF_INET6; }

bool unset(const Address& a) { return a.is_unspecified(); }

Message address_request(uint16_t type, uint16_t flags, uint32_t ifindex, const Prefix& p) {
    ifaddrmsg header{};
    header.ifa_family = family_of(p.address);
    header.ifa_prefixlen = p.length;
    header.ifa_index = ifindex;
    Message m = make_request(type, uint16_t(NLM_F_ACK | flags), header);
    if (!m) return m;
    put_address(m.get(), IFA_LOCAL, p.address);
    put_address(m.get(), IFA_ADDRESS, p.address);
    return m;
}

Message route_request(uint16_t type, uint16_t flags, const RouteEdit& r) {
    rtmsg header{};
    header.rtm_family = family_of(r.destination.address);
    header.rtm_dst_len = r.destination.length;
    header.rtm_table = r.table < 256 ? uint8_t(r.table) : uint8_t(RT_TABLE_UNSPEC);
    header.rtm_protocol = kVrrpMark;
    const bool link = unset(r.via) && header.rtm_family == AF_INET;
    header.rtm_scope = link ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    header.rtm_type = RTN_UNICAST;
    Message m = make_request(type, uint16_t(NLM_F_ACK | flags), header);
    if (!m) return m;
    put_address(m.get(), RTA_DST, r.destination.masked().address);
    nla_put_u32(m.get(), RTA_TABLE, r.table);
    if (!unset(r.via)) put_address(m.get(), RTA_GATEWAY, r.via);
    if (r.ifindex != 0) nla_put_u32(m.get(), RTA_OIF, r.ifindex);
    if (!unset(r.source)) put_address(m.get(), RTA_PREFSRC, r.source);
    if (r.metric != 0) nla_put_u32(m.get(), RTA_PRIORITY, r.metric);
    return m;
}

Message link_request(uint16_t type, uint16_t flags, uint32_t ifindex, bool up = false) {
    ifinfomsg header{};
    header.ifi_change = type == RTM_SETLINK ? unsigned{IFF_UP} : 0;
    header.ifi_flags = up ? unsigned{IFF_UP} : 0;
    header.ifi_index = int(ifindex);
    return make_request(type, uint16_t(NLM_F_ACK | flags), header);
}

/// No link-local address: what the link sends comes from the addresses it is given.
Message no_link_local(uint32_t ifindex) {
    ifinfomsg header{};
    header.ifi_index = int(ifindex);
    Message m = make_request(RTM_SETLINK, NLM_F_ACK, header);
    if (!m) return m;
    nlattr* families = nla_nest_start(m.get(), IFLA_AF_SPEC);
    nlattr* inet6 = nla_nest_start(m.get(), AF_INET6);
    nla_put_u8(m.get(), IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    nla_nest_end(m.get(), inet6);
    nla_nest_end(m.get(), families);
    return m;
}

}  // namespace

struct Editor::State {
    explicit State(Socket s) : socket(std::move(s)) {}
    Socket socket;

    /// Sends and waits; the kernel's answer as a positive errno.
    Result<int> ask(const Message& message) {
        if (!message) return fail(Errc::io, "no memory for a netlink message");
        const auto sequence = socket.send(message.get());
        if (!sequence) return tl::unexpected(sequence.error());
        int error = -1;
        while (error < 0) {
            const auto status = socket.receive();
            if (!status) return tl::unexpected(status.error());
            if (*status == Socket::Status::empty) {
                if (auto ready = socket.wait(kAnswerMilliseconds); !ready)
                    return tl::unexpected(ready.error());
                continue;
            }
            socket.each([&](const nlmsghdr& h) {
                if (h.nlmsg_seq == *sequence && h.nlmsg_type == NLMSG_ERROR) error = error_of(h);
            });
        }
        return error;
    }
    Result<Made> make(const Message& message, const std::string& what) {
        const auto error = ask(message);
        if (!error) return tl::unexpected(error.error());
        if (*error == 0) return Made::made;
        if (*error == EEXIST) return Made::existed;
        return fail_errno("cannot add " + what, *error);
    }
    Result<> remove(const Message& message, const std::string& what) {
        const auto error = ask(message);
        if (!error) return tl::unexpected(error.error());
        for (const int gone : {0, EADDRNOTAVAIL, ENODEV, ESRCH, ENOENT})
            if (*error == gone) return {};
        return fail_errno("cannot remove " + what, *error);
    }
};

Editor::Editor(std::unique_ptr<State> s) : state_(std::move(s)) {}
Editor::~Editor() = default;

Result<std::unique_ptr<Editor>> Editor::open() {
    auto socket = Socket::open({}, kReceiveBuffer);
    if (!socket) return tl::unexpected(std::move(socket.error()));
    return std::unique_ptr<Editor>(new Editor(std::make_unique<State>(std::move(*socket))));
}

Result<Editor::Made> Editor::add_address(uint32_t ifindex, const Prefix& p) {
    Message m = address_request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, p);
    if (m) {
        nla_put_u8(m.get(), IFA_PROTO, kVrrpMark);
        if (!p.address.is_v4()) nla_put_u32(m.get(), IFA_FLAGS, IFA_F_NODAD);
        if (!p.address.is_v4() && p.length == 128) {
            ifa_cacheinfo life{};
            life.ifa_prefered = 0;
            life.ifa_valid = 0xffffffff;
            nla_put(m.get(), IFA_CACHEINFO, sizeof life, &life);
        }
    }
    return state_->make(m, "address " + to_string(p));
}

Result<> Editor::remove_address(uint32_t ifindex, const Prefix& p) {
    return state_->remove(address_request(RTM_DELADDR, 0, ifindex, p), "address " + to_string(p));
}

Result<Editor::Made> Editor::add_route(const RouteEdit& r) {
    return state_->make(route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, r),
                        "route " + to_string(r.destination));
}

Result<> Editor::remove_route(const RouteEdit& r) {
    return state_->remove(route_request(RTM_DELROUTE, 0, r), "route " + to_string(r.destination));
}

Result<uint32_t> Editor::add_macvlan(const std::string& name, uint32_t parent, const Mac& mac) {
    if (const uint32_t old = if_nametoindex(name.c_str()))
        if (auto ok = remove_link(old); !ok) return tl::unexpected(ok.error());
    Message m = link_request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
    if (m) {
        nla_put_string(m.get(), IFLA_IFNAME, name.c_str());
        nla_put_u32(m.get(), IFLA_LINK, parent);
        nla_put(m.get(), IFLA_ADDRESS, int(mac.bytes.size()), mac.bytes.data());
        nlattr* info = nla_nest_start(m.get(), IFLA_LINKINFO);
        nla_put_string(m.get(), IFLA_INFO_KIND, "macvlan");
        nlattr* data = nla_nest_start(m.get(), IFLA_INFO_DATA);
        // In private mode the parent would not hear what another router sends from this MAC.
        nla_put_u32(m.get(), IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
        nla_nest_end(m.get(), data);
        nla_nest_end(m.get(), info);
    }
    const auto made = state_->make(m, "macvlan " + name);
    if (!made) return tl::unexpected(made.error());
    const uint32_t ifindex = if_nametoindex(name.c_str());
    if (*made == Made::existed || ifindex == 0)
        return fail(Errc::exists, "cannot add macvlan " + name + ": the name is taken");
    // Newer kernels take this for a link that is there, and refuse it for one that is being made.
    const auto error = state_->ask(no_link_local(ifindex));
    if (!error) return tl::unexpected(error.error());
    if (*error != 0 && *error != EAFNOSUPPORT)
        return fail_errno("cannot keep macvlan " + name + " free of link-local addresses", *error);
    return ifindex;
}

Result<> Editor::remove_link(uint32_t ifindex) {
    return state_->remove(link_request(RTM_DELLINK, 0, ifindex), "link " + std::to_string(ifindex));
}

Result<> Editor::set_link(uint32_t ifindex, bool up) {
    const auto error = state_->ask(link_request(RTM_SETLINK, 0, ifindex, up));
    if (!error) return tl::unexpected(error.error());
    if (*error == 0 || (!up && *error == ENODEV)) return {};
    return fail_errno("cannot set link " + std::to_string(ifindex) + (up ? " up" : " down"),
                      *error);
}

}  // namespace torii::kernel
