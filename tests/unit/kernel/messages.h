#pragma once
// rtnetlink messages as the kernel would send them, built by libnl.

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <string_view>

#include "control/kernel/socket.h"

namespace torii::kernel::testing {

/// Wraps a message under construction: `built(...).u32(RTA_OIF, 7).address(RTA_DST, "10.0.0.0")`.
struct Built {
    Message message;
    Built u32(int type, uint32_t value) && {
        nla_put_u32(message.get(), type, value);
        return std::move(*this);
    }
    Built text(int type, const char* value) && {
        nla_put_string(message.get(), type, value);
        return std::move(*this);
    }
    Built address(int type, std::string_view value) && {
        put_address(message.get(), type, *parse_address(value));
        return std::move(*this);
    }
    Built mac(int type, std::string_view value) && {
        const Mac mac = *parse_mac(value);
        nla_put(message.get(), type, 6, mac.bytes.data());
        return std::move(*this);
    }
    template <class F>
    Built with(F f) && {
        f(message.get());
        return std::move(*this);
    }
    const nlmsghdr& header() const { return *nlmsg_hdr(message.get()); }
};

inline Built link_message(int index, const char* name, unsigned flags, uint16_t type = RTM_NEWLINK,
                          uint8_t family = AF_UNSPEC) {
    ifinfomsg header{};
    header.ifi_family = family;
    header.ifi_type = 1;  // ARPHRD_ETHER
    header.ifi_index = index;
    header.ifi_flags = flags;
    return Built{make_request(type, 0, header)}.text(IFLA_IFNAME, name);
}

inline Built address_message(std::string_view prefix, unsigned index, uint16_t type = RTM_NEWADDR) {
    const Prefix p = *parse_prefix(prefix);
    ifaddrmsg header{};
    header.ifa_family = p.address.is_v4() ? AF_INET : AF_INET6;
    header.ifa_prefixlen = p.length;
    header.ifa_index = index;
    Built built{make_request(type, 0, header)};
    put_address(built.message.get(), IFA_ADDRESS, p.address);
    return built;
}

inline Built route_message(std::string_view prefix, uint16_t type = RTM_NEWROUTE,
                           uint16_t flags = 0, uint8_t route_type = RTN_UNICAST) {
    const Prefix p = *parse_prefix(prefix);
    rtmsg header{};
    header.rtm_family = p.address.is_v4() ? AF_INET : AF_INET6;
    header.rtm_dst_len = p.length;
    header.rtm_table = RT_TABLE_MAIN;
    header.rtm_type = route_type;
    Built built{make_request(type, flags, header)};
    if (p.length) put_address(built.message.get(), RTA_DST, p.address);
    return built;
}

inline Built neighbour_message(std::string_view address, int index, uint16_t state,
                               uint16_t type = RTM_NEWNEIGH) {
    const Address a = *parse_address(address);
    ndmsg header{};
    header.ndm_family = a.is_v4() ? AF_INET : AF_INET6;
    header.ndm_ifindex = index;
    header.ndm_state = state;
    Built built{make_request(type, 0, header)};
    put_address(built.message.get(), NDA_DST, a);
    return built;
}

struct TestHop {
    int ifindex;
    const char* gateway;  // null: on the link
    uint8_t weight = 1;
    uint8_t flags = 0;
};

/// Adds RTA_MULTIPATH; a gateway of the other family goes into RTA_VIA.
inline auto multipath(std::initializer_list<TestHop> hops, int family) {
    return [hops = std::vector<TestHop>(hops), family](nl_msg* message) {
        nlattr* nest = nla_nest_start(message, RTA_MULTIPATH);
        for (const auto& hop : hops) {
            auto* head = static_cast<rtnexthop*>(nlmsg_reserve(message, sizeof(rtnexthop), 4));
            head->rtnh_ifindex = hop.ifindex;
            head->rtnh_hops = uint8_t(hop.weight - 1);
            head->rtnh_flags = hop.flags;
            if (hop.gateway) {
                const Address gateway = *parse_address(hop.gateway);
                if (gateway.is_v4() == (family == AF_INET)) {
                    put_address(message, RTA_GATEWAY, gateway);
                } else {
                    uint8_t via[18] = {AF_INET6, 0};
                    std::memcpy(via + 2, gateway.bytes.data(), 16);
                    nla_put(message, RTA_VIA, sizeof via, via);
                }
            }
            const auto* end = static_cast<uint8_t*>(nlmsg_tail(nlmsg_hdr(message)));
            head->rtnh_len = uint16_t(end - reinterpret_cast<uint8_t*>(head));
        }
        nla_nest_end(message, nest);
    };
}

}  // namespace torii::kernel::testing
