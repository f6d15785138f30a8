#include "control/kernel/parse.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <tuple>

namespace torii::kernel {
namespace {

/// The attributes of a message or of a nest, by type.
template <int Max>
struct Attributes {
    nlattr* at[Max + 1] = {};

    bool parse_message(const nlmsghdr& header, size_t family_header) {
        // libnl takes the header as mutable but only reads it.
        auto* message = const_cast<nlmsghdr*>(&header);
        return nlmsg_valid_hdr(message, int(family_header)) &&
               nlmsg_parse(message, int(family_header), at, Max, nullptr) >= 0;
    }
    bool parse_nest(nlattr* nest) { return nla_parse_nested(at, Max, nest, nullptr) >= 0; }
    bool parse_bytes(void* first, int bytes) {
        return nla_parse(at, Max, static_cast<nlattr*>(first), bytes, nullptr) >= 0;
    }
    nlattr* operator[](int type) const { return at[type]; }
};

template <class T>
T number(const nlattr* attribute, T otherwise = 0) {
    if (!attribute || nla_len(attribute) < int(sizeof(T))) return otherwise;
    T value;
    std::memcpy(&value, nla_data(attribute), sizeof value);
    return value;
}

std::optional<Address> bytes_to_address(int family, const void* bytes, int size) {
    if (family == AF_INET && size == 4) {
        uint32_t raw;
        std::memcpy(&raw, bytes, 4);
        return Address::v4(be32::from_raw(raw));
    }
    if (family == AF_INET6 && size == 16) return Address::v6(bytes);
    return std::nullopt;
}

std::optional<Address> address_of(int family, const nlattr* attribute) {
    if (!attribute) return std::nullopt;
    return bytes_to_address(family, nla_data(attribute), nla_len(attribute));
}

/// RTA_VIA: a gateway whose family is its own (struct rtvia).
std::optional<Address> via_of(const nlattr* attribute) {
    if (!attribute || nla_len(attribute) < 2) return std::nullopt;
    const auto* data = static_cast<const uint8_t*>(nla_data(attribute));
    uint16_t family;
    std::memcpy(&family, data, sizeof family);
    return bytes_to_address(family, data + 2, nla_len(attribute) - 2);
}

Mac mac_of(const nlattr* attribute) {
    Mac mac;
    if (attribute && nla_len(attribute) == 6) std::memcpy(mac.bytes.data(), nla_data(attribute), 6);
    return mac;
}

template <class Header>
const Header& body(const nlmsghdr& header) {
    return *static_cast<const Header*>(nlmsg_data(&header));
}

std::optional<Vlan> vlan_of(nlattr* link_info, uint32_t parent) {
    Attributes<IFLA_INFO_MAX> info;
    if (!link_info || !info.parse_nest(link_info) || !info[IFLA_INFO_KIND] || !info[IFLA_INFO_DATA])
        return std::nullopt;
    const auto* kind = info[IFLA_INFO_KIND];
    const std::string_view name(static_cast<const char*>(nla_data(kind)), size_t(nla_len(kind)));
    if (name.substr(0, name.find('\0')) != "vlan") return std::nullopt;
    Attributes<IFLA_VLAN_MAX> data;
    if (!data.parse_nest(info[IFLA_INFO_DATA]) || !data[IFLA_VLAN_ID]) return std::nullopt;
    const auto tpid = be16::from_raw(number<uint16_t>(data[IFLA_VLAN_PROTOCOL]));
    return Vlan{parent, number<uint16_t>(data[IFLA_VLAN_ID]),
                tpid.raw() ? tpid.host() : uint16_t{0x8100}};
}

Change parse_link(const nlmsghdr& header) {
    Attributes<IFLA_MAX> attributes;
    if (!attributes.parse_message(header, sizeof(ifinfomsg))) return Nothing{};
    const auto& info = body<ifinfomsg>(header);
    // Bridges report their ports as links of family AF_BRIDGE: the removal of a port is not that of
    // the link.
    if (info.ifi_family != AF_UNSPEC || info.ifi_index <= 0) return Nothing{};
    LinkChange change;
    change.removed = header.nlmsg_type == RTM_DELLINK;
    change.link.ifindex = uint32_t(info.ifi_index);
    if (change.removed) return change;

    const auto* name = attributes[IFLA_IFNAME];
    if (!name) return Nothing{};
    const char* text = static_cast<const char*>(nla_data(name));
    change.link.name.assign(text, strnlen(text, size_t(nla_len(name))));
    if (info.ifi_type == ARPHRD_ETHER) change.link.mac = mac_of(attributes[IFLA_ADDRESS]);
    change.link.mtu = number<uint32_t>(attributes[IFLA_MTU]);
    change.flags = info.ifi_flags & (IFF_UP | IFF_RUNNING);
    change.link.up = change.flags == (IFF_UP | IFF_RUNNING);
    change.link.loopback = info.ifi_flags & IFF_LOOPBACK;
    change.link.master = number<uint32_t>(attributes[IFLA_MASTER]);
    // An index in another namespace would name the wrong link here.
    const bool foreign = attributes[IFLA_LINK_NETNSID] != nullptr;
    const uint32_t parent = foreign ? 0 : number<uint32_t>(attributes[IFLA_LINK]);
    change.link.vlan = vlan_of(attributes[IFLA_LINKINFO], parent);
    return change;
}

Change parse_address(const nlmsghdr& header) {
    Attributes<IFA_MAX> attributes;
    if (!attributes.parse_message(header, sizeof(ifaddrmsg))) return Nothing{};
    const auto& info = body<ifaddrmsg>(header);
    const auto peer = address_of(info.ifa_family, attributes[IFA_ADDRESS]);
    const auto local = address_of(info.ifa_family, attributes[IFA_LOCAL]);
    if (!peer && !local) return Nothing{};

    AddressChange change;
    change.address.ifindex = info.ifa_index;
    change.address.prefix.address = local ? *local : *peer;
    const uint8_t full = change.address.prefix.address.is_v4() ? 32 : 128;
    const bool point_to_point = local && peer && *local != *peer;
    change.address.prefix.length = point_to_point ? full : std::min(info.ifa_prefixlen, full);
    const uint32_t flags = number<uint32_t>(attributes[IFA_FLAGS], info.ifa_flags);
    change.removed = header.nlmsg_type == RTM_DELADDR || (flags & IFA_F_DADFAILED);
    change.tentative = flags & IFA_F_TENTATIVE;
    change.secondary = info.ifa_family == AF_INET && (flags & IFA_F_SECONDARY);
    change.protocol = number<uint8_t>(attributes[IFA_PROTO]);
    return change;
}

std::optional<RouteType> type_of(uint8_t kernel_type) {
    switch (kernel_type) {
        case RTN_UNICAST:
            return RouteType::unicast;
        case RTN_LOCAL:
            return RouteType::local;
        case RTN_BLACKHOLE:
            return RouteType::blackhole;
        case RTN_UNREACHABLE:
            return RouteType::unreachable;
        case RTN_PROHIBIT:
            return RouteType::prohibit;
        default:
            return std::nullopt;
    }
}

struct ParsedHop {
    Hop hop;
    unsigned flags = 0;  // RTNH_F_*
};

std::vector<ParsedHop> parse_multipath(int family, nlattr* multipath) {
    std::vector<ParsedHop> hops;
    auto* next = static_cast<uint8_t*>(nla_data(multipath));
    int left = nla_len(multipath);
    while (left >= int(sizeof(rtnexthop))) {
        rtnexthop head;
        std::memcpy(&head, next, sizeof head);
        if (head.rtnh_len < sizeof head || head.rtnh_len > left) break;
        Attributes<RTA_MAX> attributes;
        if (!attributes.parse_bytes(next + sizeof head, int(head.rtnh_len - sizeof head))) break;
        auto gateway = address_of(family, attributes[RTA_GATEWAY]);
        if (!gateway) gateway = via_of(attributes[RTA_VIA]);
        // rtnh_hops holds weight - 1.
        hops.push_back({{uint32_t(head.rtnh_ifindex), gateway, uint16_t(head.rtnh_hops + 1)},
                        head.rtnh_flags});
        const int step = int(RTNH_ALIGN(head.rtnh_len));
        next += step;
        left -= step;
    }
    return hops;
}

/// Sorts the hops into the change. A dead hop carries nothing; one that only lost its carrier is
/// still used by the kernel, but we pass it over while another one is alive.
void take_hops(RouteChange& change, std::vector<ParsedHop> hops) {
    std::sort(hops.begin(), hops.end(), [](const ParsedHop& a, const ParsedHop& b) {
        return std::tie(a.hop.ifindex, a.hop.gateway, a.hop.weight) <
               std::tie(b.hop.ifindex, b.hop.gateway, b.hop.weight);
    });
    constexpr unsigned kNoCarrier = RTNH_F_DEAD | RTNH_F_LINKDOWN;
    const bool any_alive =
        std::any_of(hops.begin(), hops.end(), [](auto& h) { return !(h.flags & kNoCarrier); });
    for (const auto& [hop, flags] : hops) {
        change.route.hops.push_back(hop);
        if (flags & (any_alive ? kNoCarrier : unsigned{RTNH_F_DEAD})) change.dead.push_back(hop);
    }
}

uint32_t route_mtu(nlattr* metrics) {
    Attributes<RTAX_MAX> values;
    if (!metrics || !values.parse_nest(metrics)) return 0;
    return number<uint32_t>(values[RTAX_MTU]);
}

Change parse_route(const nlmsghdr& header) {
    Attributes<RTA_MAX> attributes;
    if (!attributes.parse_message(header, sizeof(rtmsg))) return Nothing{};
    const auto& info = body<rtmsg>(header);
    const auto type = type_of(info.rtm_type);
    const bool v4 = info.rtm_family == AF_INET;
    if (!type || (!v4 && info.rtm_family != AF_INET6)) return Nothing{};
    if (number<uint32_t>(attributes[RTA_TABLE], info.rtm_table) != RT_TABLE_MAIN) return Nothing{};
    if ((info.rtm_flags & RTM_F_CLONED) || info.rtm_tos || info.rtm_src_len) return Nothing{};
    if (info.rtm_dst_len > (v4 ? 32 : 128)) return Nothing{};

    RouteChange change;
    change.removed = header.nlmsg_type == RTM_DELROUTE;
    change.replace = header.nlmsg_flags & NLM_F_REPLACE;
    change.append = header.nlmsg_flags & NLM_F_APPEND;
    change.nexthop_object = attributes[RTA_NH_ID] != nullptr;
    Route& route = change.route;
    route.type = *type;
    route.destination.address = v4 ? Address::v4(be32{}) : Address{};
    if (auto to = address_of(info.rtm_family, attributes[RTA_DST])) route.destination.address = *to;
    route.destination.length = info.rtm_dst_len;
    route.metric = number<uint32_t>(attributes[RTA_PRIORITY]);
    route.preferred_source = address_of(info.rtm_family, attributes[RTA_PREFSRC]);
    route.mtu = route_mtu(attributes[RTA_METRICS]);
    if (*type != RouteType::unicast && *type != RouteType::local) return change;

    if (attributes[RTA_MULTIPATH]) {
        change.multipath = true;
        take_hops(change, parse_multipath(info.rtm_family, attributes[RTA_MULTIPATH]));
    } else if (attributes[RTA_OIF]) {
        auto gateway = address_of(info.rtm_family, attributes[RTA_GATEWAY]);
        if (!gateway) gateway = via_of(attributes[RTA_VIA]);
        take_hops(change, {{{number<uint32_t>(attributes[RTA_OIF]), gateway, 1}, info.rtm_flags}});
    }
    return change;
}

Change parse_neighbour(const nlmsghdr& header) {
    Attributes<NDA_MAX> attributes;
    if (!attributes.parse_message(header, sizeof(ndmsg))) return Nothing{};
    const auto& info = body<ndmsg>(header);
    const auto address = address_of(info.ndm_family, attributes[NDA_DST]);
    if (!address || address->is_multicast() || (info.ndm_flags & NTF_PROXY)) return Nothing{};

    constexpr unsigned kUsable =
        NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;
    NeighbourChange change;
    change.neighbour.ifindex = uint32_t(info.ndm_ifindex);
    change.neighbour.address = *address;
    change.neighbour.usable = info.ndm_state & kUsable;
    change.neighbour.failed = info.ndm_state & NUD_FAILED;
    // What a failed entry was last known by is of no use, and would only look like news.
    if (change.neighbour.usable) change.neighbour.mac = mac_of(attributes[NDA_LLADDR]);
    change.removed = header.nlmsg_type == RTM_DELNEIGH;
    change.untouchable = info.ndm_state & (NUD_PERMANENT | NUD_NOARP);
    change.managed = number<uint32_t>(attributes[NDA_FLAGS_EXT]) & NTF_EXT_MANAGED;
    change.protocol = number<uint8_t>(attributes[NDA_PROTOCOL]);
    return change;
}

}  // namespace

Change parse(const nlmsghdr& header) {
    switch (header.nlmsg_type) {
        case RTM_NEWLINK:
        case RTM_DELLINK:
            return parse_link(header);
        case RTM_NEWADDR:
        case RTM_DELADDR:
            return parse_address(header);
        case RTM_NEWROUTE:
        case RTM_DELROUTE:
            return parse_route(header);
        case RTM_NEWNEIGH:
        case RTM_DELNEIGH:
            return parse_neighbour(header);
        case RTM_NEWNEXTHOP:
        case RTM_DELNEXTHOP:
            return NexthopChange{};
        default:
            return Nothing{};
    }
}

}  // namespace torii::kernel
