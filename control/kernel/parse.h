#pragma once
// rtnetlink messages into values. Pure: bytes in, a Change out; whatever a message lacks or has too
// short makes it Nothing, never a read past its end.

#include <linux/netlink.h>

#include <variant>

#include "control/kernel/snapshot.h"

namespace torii::kernel {

/// A message that says nothing about what we mirror.
struct Nothing {};

struct LinkChange {
    Link link;
    unsigned flags = 0;  ///< IFF_UP and IFF_RUNNING, as far as set
    bool removed = false;
};

struct AddressChange {
    LocalAddress address;
    bool removed = false;
    bool tentative = false;  ///< not usable yet: duplicate detection goes on
    bool secondary = false;  ///< IPv4: of the same network as an earlier address
    uint8_t protocol = 0;    ///< who made it (IFA_PROTO); 0 = unknown
};

struct RouteChange {
    Route route;                           ///< with all hops, sorted, dead ones too
    std::vector<Hop> dead;                 ///< those of them that carry no traffic, sorted
    bool multipath = false;                ///< the message listed several hops
    bool replace = false, append = false;  ///< NLM_F_REPLACE, NLM_F_APPEND
    bool nexthop_object = false;           ///< refers to an `ip nexthop`
    bool removed = false;
};

struct NeighbourChange {
    Neighbour neighbour;
    bool removed = false;
    bool untouchable = false;  ///< permanent or noarp: not to be resolved or managed
    bool managed = false;      ///< NTF_EXT_MANAGED
    uint8_t protocol = 0;      ///< who made it
};

/// An `ip nexthop` object came, went or changed: routes that use it may have changed without a
/// word.
struct NexthopChange {};

using Change =
    std::variant<Nothing, LinkChange, AddressChange, RouteChange, NeighbourChange, NexthopChange>;

/// Precondition: nlmsg_len bytes are readable. Skipped: bridge ports and FDB entries, routes of
/// other tables, with a TOS, cloned, or of type broadcast, multicast, anycast, throw and nat; proxy
/// and multicast neighbours; addresses that failed duplicate detection (these count as removed).
Change parse(const nlmsghdr&);

}  // namespace torii::kernel
