// What next_hop.h leaves to the few packets that need it.

#include "dataplane/stages/next_hop.h"

#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

uint32_t look_up(const View& view, const Address& to, uint64_t hash) {
    const shm::RouteResult r = view.routes.lookup(to, uint32_t(hash));
    const bool usable = r.kind == shm::RouteKind::gateway || r.kind == shm::RouteKind::connected;
    return usable ? r.next_hop : shm::kNoNextHop;
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
        e.address = p.nat || p.direction == Direction::reply
                        ? destination_of(p)
                        : c.view.services.backends[p.backend].address;
    if (!c.events->push(e)) c.counters.worker(c.worker).events_lost.add(1);
}

}  // namespace

namespace detail {

uint32_t look_up_client(Context& c, const Packet& p) {
    const uint32_t hop = look_up(c.view, destination_of(p), p.hash);
    reply_route(c.flows.head(p.entry), p.ipv6)
        .store(uint64_t(c.view.routes_stamp) << 32 | hop, std::memory_order_relaxed);
    return hop;
}

uint32_t look_up_without_entry(const View& view, const Packet& p) {
    const bool held = p.nat || p.direction == Direction::reply;
    return held ? look_up(view, destination_of(p), p.hash) : view.next_hop_of(p.backend);
}

// A backend on this machine itself needs no way out, unless replies have to come back (LVS: Local).
Verdict why_no_hop(const View& view, const Packet& p) {
    if (p.direction == Direction::reply || p.nat || p.backend >= view.services.backends.size())
        return Verdict::drop_no_route;
    const shm::BackendRecord& b = view.services.backends[p.backend];
    const bool local = b.address.is_loopback() || view.routes.is_local(b.address);
    return local && b.forward != shm::Forward::nat ? Verdict::kernel_local : Verdict::drop_no_route;
}

void hold(Context& c, Packet& p, const shm::NextHop& hop) {
    p.held = true;
    ask_for(c, p, hop);
}

void send_tagged(Packet& p, const shm::NextHop& hop) {
    const uint16_t want = uint16_t(sizeof(wire::Ethernet) + (hop.vlan ? sizeof(wire::Vlan) : 0));
    if (p.l3 != want && !fit_link_header(p, want)) return p.close(Verdict::drop_no_memory);
    std::memcpy(p.data, &hop.destination, 12);
    if (hop.vlan) {
        auto* tag = p.at<wire::Vlan>(sizeof(wire::Ethernet));
        tag->tci = uint16_t((tag->tci & wire::net16(0xf000)) | wire::net16(hop.vlan & 0xfff));
        p.at<wire::Ethernet>(0)->type = wire::kTypeVlan;
    }
    p.out_port = hop.port;
    p.close(p.intended);
}

}  // namespace detail
}  // namespace torii::stages
