// What makes sense in the `vrrp:` section: instances, their timing, addresses and peers. What they
// watch and whom they tell is in vrrp_track.cc.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "config/base/units.h"
#include "config/check/checks.h"

namespace torii::config {
namespace {

using namespace std::chrono_literals;

constexpr uint16_t kOwner = 255;
constexpr Duration kStep = 10ms;         // what version 3's interval counts in
constexpr Duration kLongest3 = 40950ms;  // 12 bits of them

/// The place of a value if it was written, else that of what holds it.
const Mark& at(const Mark& value, const Mark& holder) { return value ? value : holder; }

std::string_view name_of(Family family) { return family == Family::ipv4 ? "IPv4" : "IPv6"; }

void check_version(const VrrpInstance& i, Diagnostics& out) {
    if (i.version != 2 || i.family() != Family::ipv6) return;
    out.push_back(
        {at(i.version_mark, i.mark),
         fmt::format("version 2 is for IPv4 only, and '{}' is IPv6: use version 3", i.name)});
}

void check_interval(const VrrpInstance& i, Diagnostics& out) {
    if (i.interval_mark.bad || i.version_mark.bad) return;
    const std::string got = torii::to_string(i.interval);
    const Mark& place = at(i.interval_mark, i.mark);
    if (i.version == 2 && i.interval % 1s != 0s)
        out.push_back({place, fmt::format("version 2 counts the interval in whole seconds, got {}: "
                                          "write 1s or more, or use version 3",
                                          got)});
    else if (i.version == 3 && (i.interval % kStep != 0ms || i.interval > kLongest3))
        out.push_back({place, fmt::format("version 3 counts the interval in steps of 10ms up to "
                                          "40950ms, got {}",
                                          got)});
}

/// An owner's addresses are its own, and it answers for them (RFC 5798 section 6.1).
void check_accept(const VrrpInstance& i, Diagnostics& out) {
    if (!i.accept && i.priority == kOwner)
        out.push_back({i.accept_mark,
                       "'accept: false' cannot stand beside priority 255: the owner of the "
                       "addresses takes packets to them; lower 'priority'"});
}

/// Settings of preemption that can never act.
void check_preempt(const VrrpInstance& i, Diagnostics& out) {
    const VrrpPreempt& p = i.preempt;
    if (!p.enabled && p.delay > 0s)
        out.push_back(
            {p.delay_mark, "'delay' can never act while 'enabled' is false: leave one out"});
    if (i.priority == kOwner && !p.enabled)
        out.push_back({p.enabled_mark,
                       "'enabled: false' can never act with priority 255: the owner of the "
                       "addresses always takes over; lower 'priority'"});
    if (i.priority == kOwner && p.enabled && p.delay > 0s)
        out.push_back({p.delay_mark,
                       "'delay' can never act with priority 255: the owner of the addresses takes "
                       "over at once; lower 'priority'"});
}

void check_authentication(const VrrpInstance& i, Diagnostics& out) {
    const VrrpAuthentication& a = i.authentication;
    if (a.type_mark.bad || a.secret_mark.bad) return;
    if (a.type == VrrpAuth::none) {
        const Mark& place = a.secret_mark ? a.secret_mark : a.secret_file_mark;
        if (place) out.push_back({place, "a secret needs 'type: pass' beside it"});
        return;
    }
    if (i.version == 3)
        out.push_back({a.type_mark,
                       "version 3 has no authentication (RFC 5798 section 9): leave it out, or use "
                       "version 2"});
    if (a.secret_mark && a.secret_file_mark)
        out.push_back({a.secret_file_mark, "'secret_file' cannot stand beside 'secret'"});
    else if (!a.secret_mark && !a.secret_file_mark)
        out.push_back({at(a.mark, i.mark), "'type: pass' needs 'secret' or 'secret_file'"});
    if (a.secret_file_mark && !a.secret_file.starts_with('/'))
        out.push_back({a.secret_file_mark, "'secret_file' must be an absolute path"});
}

void check_unicast(const Address& address, const Mark& place, std::string_view what,
                   Diagnostics& out) {
    if (const auto why = why_not_unicast(address); !why.empty())
        out.push_back(
            {place, fmt::format("{} {} is {}: it must be unicast", what, to_string(address), why)});
}

void check_held(const VrrpInstance& i, Diagnostics& out) {
    for (const auto* list : {&i.addresses, &i.excluded}) {
        for (const VrrpAddress& a : *list) {
            if (a.address_mark.bad) continue;
            check_unicast(a.prefix.address, a.mark, "the address", out);
            check_interface_name(a.interface, a.interface_mark, out);
            if (a.prefix.length == 0)
                out.push_back({a.mark, fmt::format("{} has the prefix length 0: an interface "
                                                   "address needs its network's",
                                                   to_string(a.prefix))});
        }
    }
    for (const VrrpAddress& a : i.addresses)
        if (!a.address_mark.bad && a.prefix.address.family() != i.family())
            out.push_back({a.mark, fmt::format("{} is {}, and the addresses of '{}' are {}: an "
                                               "instance has one family; move it to 'excluded' or "
                                               "to an instance of its own",
                                               to_string(a.prefix.address),
                                               name_of(a.prefix.address.family()), i.name,
                                               name_of(i.family()))});
}

void check_peers(const VrrpInstance& i, Diagnostics& out) {
    std::set<Address> seen;
    for (const Address& peer : i.peers) {
        check_unicast(peer, i.peers_mark, "the peer", out);
        if (peer.family() != i.family())
            out.push_back(
                {i.peers_mark, fmt::format("the peer {} is {}, and '{}' is {}", to_string(peer),
                                           name_of(peer.family()), i.name, name_of(i.family()))});
        if (peer == i.source)
            out.push_back({i.peers_mark, fmt::format("{} is this machine's own 'source': 'peers' "
                                                     "are the other routers",
                                                     to_string(peer))});
        if (!seen.insert(peer).second)
            out.push_back(
                {i.peers_mark, fmt::format("the peer {} is given twice", to_string(peer))});
    }
    if (i.min_ttl > 1 && i.peers.empty() && !i.peers_mark.bad)
        out.push_back({i.min_ttl_mark,
                       "'min_ttl' can never act without 'peers': multicast always needs 255"});
}

void check_source(const VrrpInstance& i, Diagnostics& out) {
    // Unspecified is what it is when it is not written.
    if (!i.source_mark || i.source_mark.bad || i.source.is_unspecified()) return;
    check_unicast(i.source, i.source_mark, "the source", out);
    if (i.source.family() != i.family())
        out.push_back(
            {i.source_mark, fmt::format("the source {} is {}, and '{}' is {}", to_string(i.source),
                                        name_of(i.source.family()), i.name, name_of(i.family()))});
    if (i.priority == kOwner) return;
    for (const VrrpAddress& a : i.addresses)
        if (a.prefix.address == i.source)
            out.push_back({i.source_mark,
                           fmt::format("the source {} is one of the addresses that only the active "
                                       "router has: name one that this machine always has",
                                       to_string(i.source))});
}

void check_routes(const VrrpInstance& i, Diagnostics& out) {
    for (const VrrpRoute& r : i.routes) {
        if (r.destination_mark.bad || r.via_mark.bad || r.source_mark.bad) continue;
        check_interface_name(r.interface, r.interface_mark, out);
        const Family family = r.destination.address.family();
        if (r.destination.masked() != r.destination)
            out.push_back(
                {r.destination_mark,
                 fmt::format("{} has bits set after its prefix: the network is {}",
                             to_string(r.destination), to_string(r.destination.masked()))});
        for (const auto& [address, mark] :
             {std::pair{r.via, r.via_mark}, {r.source, r.source_mark}})
            if (mark && !address.is_unspecified() && address.family() != family)
                out.push_back({mark, fmt::format("{} is {}, and the destination {} is {}",
                                                 to_string(address), name_of(address.family()),
                                                 to_string(r.destination), name_of(family))});
    }
}

/// An instance that would do nothing: the usual case is a forgotten 'addresses'.
void check_purpose(const VrrpInstance& i, Diagnostics& out) {
    const VrrpNotify& n = i.notify;
    const bool tells = n.active_mark || n.backup_mark || n.any_mark;
    if (i.addresses.empty() && i.excluded.empty() && i.routes.empty() && !tells &&
        !i.addresses_mark.bad && !i.excluded_mark.bad)
        out.push_back({i.mark, fmt::format("'{}' has nothing to do: it needs 'addresses', or "
                                           "'notify' to tell somebody",
                                           i.name)});
}

void check_one(const VrrpInstance& i, Diagnostics& out) {
    check_interface_name(i.interface, i.interface_mark, out);
    check_version(i, out);
    check_interval(i, out);
    check_preempt(i, out);
    check_accept(i, out);
    check_authentication(i, out);
    check_held(i, out);
    check_peers(i, out);
    check_source(i, out);
    check_routes(i, out);
    check_purpose(i, out);
    if (!i.pseudo_header && (i.version == 2 || i.family() == Family::ipv6))
        out.push_back(
            {i.pseudo_header_mark,
             "'pseudo_header' can never act here: only version 3 over IPv4 has a choice"});
}

}  // namespace

void check_vrrp_instances(const Config& config, Diagnostics& out) {
    std::map<std::string_view, Mark> names;
    for (const VrrpInstance& i : config.vrrp.instances) {
        check_one(i, out);
        if (i.name.empty()) continue;
        const auto [first, fresh] = names.emplace(i.name, i.name_mark);
        if (!fresh)
            out.push_back({i.name_mark, fmt::format("the instance name '{}' is already used at {}",
                                                    i.name, to_string(first->second))});
    }
}

void check_vrrp_router_ids(const Config& config, Diagnostics& out) {
    std::map<std::tuple<std::string, uint16_t, Family>, const VrrpInstance*> seen;
    for (const VrrpInstance& i : config.vrrp.instances) {
        if (i.router_id_mark.bad || i.interface_mark.bad || !i.router_id_mark) continue;
        const auto [first, fresh] = seen.try_emplace({i.interface, i.router_id, i.family()}, &i);
        if (!fresh)
            out.push_back({i.router_id_mark,
                           fmt::format("router_id {} on {} is already '{}' at {}: give one of them "
                                       "another number",
                                       i.router_id, i.interface, first->second->name,
                                       to_string(first->second->router_id_mark))});
    }
}

void check_vrrp_addresses(const Config& config, Diagnostics& out) {
    struct Holder {
        const VrrpInstance* instance;
        const VrrpAddress* address;
    };
    std::map<std::pair<Address, std::string>, Holder> seen;
    for (const VrrpInstance& i : config.vrrp.instances) {
        for (const auto* list : {&i.addresses, &i.excluded}) {
            for (const VrrpAddress& a : *list) {
                if (a.address_mark.bad) continue;
                // A link-local address is one of its link only.
                std::string link;
                if (a.prefix.address.is_link_local())
                    link = a.interface.empty() ? i.interface : a.interface;
                const auto [first, fresh] =
                    seen.try_emplace({a.prefix.address, link}, Holder{&i, &a});
                if (!fresh)
                    out.push_back(
                        {a.mark,
                         fmt::format("{} already belongs to '{}' at {}: two would "
                                     "take it from each other",
                                     to_string(a.prefix.address), first->second.instance->name,
                                     to_string(first->second.address->mark))});
            }
        }
    }
}

// Every packet is looked up among them, so there is room for so many.
void check_vrrp_standby(const Config& config, Diagnostics& out) {
    size_t addresses = 0;
    for (const VrrpInstance& i : config.vrrp.instances)
        addresses += i.addresses.size() + i.excluded.size();
    if (config.behaviour.backup_only != 0 && addresses > kMostStandby)
        out.push_back({config.vrrp.mark,
                       fmt::format("'backup_only' has room for {} addresses, and the instances "
                                   "have {}",
                                   kMostStandby, addresses)});
}

}  // namespace torii::config
