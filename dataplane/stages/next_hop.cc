// next_hop: where a packet leaves, and the link header it leaves with.

#include "config/base/either.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

uint32_t look_up(const View& view, const Address& to, uint64_t hash) {
    const shm::RouteResult r = view.routes.lookup(to, uint32_t(hash));
    const bool usable = r.kind == shm::RouteKind::gateway || r.kind == shm::RouteKind::connected;
    return usable ? r.next_hop : shm::kNoNextHop;
}

// A reply's next hop is looked up once a connection and generation of routes.
std::atomic<uint64_t>& reply_route(const Context& c, const Packet& p) {
    return p.ipv6 ? c.flows.cell6(p.entry).reply_route : c.flows.cell4(p.entry).reply_route;
}
uint32_t look_up_client(Context& c, const Packet& p) {
    const uint32_t hop = look_up(c.view, destination_of(p), p.hash);
    reply_route(c, p).store(uint64_t(c.view.routes_stamp) << 32 | hop, std::memory_order_relaxed);
    return hop;
}

uint32_t of_backend(const View& view, const Packet& p) {
    return p.backend < view.backend_next_hop.size() ? view.backend_next_hop[p.backend]
                                                    : shm::kNoNextHop;
}

bool accept(const View& view, Packet& p, uint32_t hop) {
    if (hop == shm::kNoNextHop) return p.close(Verdict::drop_no_route), false;
    p.next_hop = hop;
    if (view.routes.next_hops[hop].port == shm::kNoPort)
        return p.close(Verdict::drop_no_port), false;
    return true;
}

// The next hop wants a tag or none; the frame has none, one or two. Moves the frame's start so that
// the link header in front of the IP header has the right size.
bool fit_link_header(Packet& p, uint16_t want) {
    uint16_t tci = 0;
    if (p.l3 > sizeof(wire::Ethernet))  // the priority of the outer tag is kept
        tci = p.at<wire::Vlan>(sizeof(wire::Ethernet))->tci & wire::net16(0xf000);
    const int grow = int(want) - int(p.l3);
    if (grow > int(p.headroom)) return false;
    uint16_t type;
    std::memcpy(&type, p.data + p.l3 - sizeof type, sizeof type);
    p.data -= grow;
    p.headroom = uint16_t(p.headroom - grow);
    p.length = uint16_t(p.length + grow);
    p.l3 = want;
    p.l4 = uint16_t(p.l4 + grow);
    auto* ethernet = p.at<wire::Ethernet>(0);
    ethernet->type = type;
    if (want > sizeof(wire::Ethernet)) {
        ethernet->type = wire::kTypeVlan;
        *p.at<wire::Vlan>(sizeof(wire::Ethernet)) = {tci, type};
    }
    return true;
}

void ask_for(Context& c, const Packet& p, const shm::NextHop& hop) {
    if (!c.events || !c.state.wanted.take(c.now_us)) return;
    shm::Event e;
    e.kind = shm::EventKind::neighbour_wanted;
    e.ifindex = hop.ifindex;
    e.address = hop.address;
    // The device's template has no address: the neighbour is whom the packet goes to.
    if (hop.address == Address{} || hop.address.is_unspecified())
        e.address = p.nat ? destination_of(p) : c.view.services.backends[p.backend].address;
    if (!c.events->push(e)) c.counters.worker(c.worker).events_lost.add(1);
}

}  // namespace

[[gnu::always_inline]] inline bool choose_inline(Context& c, Packet& p) {
    const bool reply = p.direction == Direction::reply;
    if (p.entry == flow::kNone) [[unlikely]] {
        // Held: rewritten, and its entry may have ended since. Or without one from the beginning.
        const bool held = p.nat || reply;
        return accept(c.view, p,
                      held ? look_up(c.view, destination_of(p), p.hash) : of_backend(c.view, p));
    }
    const uint64_t known = reply_route(c, p).load(std::memory_order_relaxed);
    if (reply & (known >> 32 != c.view.routes_stamp)) [[unlikely]]
        return accept(c.view, p, look_up_client(c, p));
    return accept(c.view, p, either(reply, uint32_t(known), of_backend(c.view, p)));
}

bool choose_next_hop(Context& c, Packet& p) { return choose_inline(c, p); }

void find_next_hop(Context& c, std::span<Packet> burst) {
    each_open(burst, [&](Packet& p) { choose_inline(c, p); });
}

[[gnu::always_inline]] inline void send_inline(Context& c, Packet& p) {
    const shm::NextHop& hop = c.view.routes.next_hops[p.next_hop];
    if (!hop.resolved) [[unlikely]] {
        p.held = true;
        return ask_for(c, p, hop);
    }
    const uint16_t vlan = hop.vlan, port = hop.port;
    if ((vlan == 0) & (p.l3 == sizeof(wire::Ethernet))) [[likely]] {
        const Verdict verdict = p.intended;
        std::memcpy(p.data, &hop.destination, 12);
        p.out_port = port;
        return p.close(verdict);
    }
    const uint16_t want = uint16_t(sizeof(wire::Ethernet) + (hop.vlan ? sizeof(wire::Vlan) : 0));
    if (p.l3 != want && !fit_link_header(p, want)) [[unlikely]]
        return p.close(Verdict::drop_no_memory);
    static_assert(offsetof(shm::NextHop, source) == offsetof(shm::NextHop, destination) + 6);
    std::memcpy(p.data, &hop.destination, 12);
    if (hop.vlan) {
        auto* tag = p.at<wire::Vlan>(sizeof(wire::Ethernet));
        tag->tci = uint16_t((tag->tci & wire::net16(0xf000)) | wire::net16(hop.vlan & 0xfff));
        p.at<wire::Ethernet>(0)->type = wire::kTypeVlan;
    }
    p.out_port = port;
    p.close(p.intended);
}

void send_one(Context& c, Packet& p) { send_inline(c, p); }

void send(Context& c, std::span<Packet> burst) {
    each_open(burst, [&](Packet& p) { send_inline(c, p); });
}

}  // namespace torii::stages
