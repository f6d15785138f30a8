// schedule: a backend and a connection for whoever has none yet (LVS: ip_vs_schedule). Without an
// eligible backend the client is told at once, with ICMP port unreachable, for TCP as well.

#include <array>
#include <cstring>

#include "dataplane/scheduler/consistent.h"
#include "dataplane/stages/affinity.h"
#include "dataplane/stages/forward_nat.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/icmp_quote.h"
#include "dataplane/stages/limits.h"
#include "dataplane/stages/pick.h"
#include "dataplane/stages/stages.h"
#include "dataplane/stages/step.h"
#include "dataplane/stages/track.h"

namespace torii::stages {
namespace {

constexpr flow::Tick kQuotedTime = 3 * flow::kTicksPerSecond;
constexpr uint64_t kFullMemory = 60'000'000;  // stateless flows may still be under way, us
constexpr uint64_t kFullLook = 1'000;         // how often the other workers are asked, us

// Only a SYN begins a TCP connection; SYN with ACK does too, as in LVS (tcp_conn_schedule); with
// sloppy_tcp everything but a reset does. Of SCTP an INIT does, or all but an ABORT (sctp_flags()).
// FTP servers' data connections are never begun from here.
bool begins(const Context& c, const Packet& p) {
    if (p.protocol == wire::kUdp) return true;
    const bool tcp = p.protocol == wire::kTcp;
    if (tcp && p.source_port == be16::from_host(20)) return false;
    const shm::Behaviour& how = c.view.services.header->behaviour;
    const bool sloppy = (tcp ? how.sloppy_tcp : how.sloppy_sctp) != 0;
    const uint8_t asked = sloppy ? wire::kRst : wire::kSyn | wire::kRst;
    return (p.tcp_flags & asked) == (sloppy ? 0 : wire::kSyn);
}

// Whether some worker has found the table full within the last minute.
bool full_lately(Context& c) {
    WorkerState& s = c.state;
    if (c.now_us - s.full_looked_us >= kFullLook) {
        s.full_looked_us = c.now_us;
        uint64_t seen = 0;
        for (uint32_t w = 0; w < c.counters.workers(); ++w)
            seen += c.counters.worker(w).table_full.get();
        if (seen != s.full_seen) s.full_until_us = c.now_us + kFullMemory;
        s.full_seen = seen;
    }
    return c.now_us < s.full_until_us;
}

uint32_t slot_of(const View& view, const Packet& p) {
    return view.services.services[p.service].slot;
}

// Without an entry: every worker, and the dataplane after a restart, chooses the same backend.
bool forward_stateless(Context& c, Packet& p) {
    const auto& table = c.view.runtime[p.service].consistent;
    const uint32_t target = scheduler::pick_consistent(table, uint32_t(p.hash >> 32));
    const uint32_t slot = backend_at(c.view, p.service, target);
    if (slot == scheduler::kNoBackend) return false;
    p.backend = slot;
    p.service_slot = slot_of(c.view, p);
    p.intended = Verdict::stateless;
    c.counters.worker(c.worker).table_stateless.add(1);
    return true;
}

flow::NewEntry entry_for(Context& c, const Packet& p, const Choice& choice) {
    const shm::BackendRecord& backend = c.view.services.backends[choice.slot];
    flow::NewEntry e;
    e.tuple = {source_of(p),
               destination_of(p),
               backend.address,
               p.source_port,
               p.destination_port,
               backend_port(c.view.services.services[p.service], backend, p.destination_port),
               Protocol(p.protocol)};
    e.backend = choice.slot;
    e.control = choice.control;
    e.backend_generation = backend.generation;
    e.service_slot = slot_of(c.view, p);
    e.forward = backend.forward;
    // LVS makes it with state NONE and runs the state machine for the same packet.
    flow::Word w{flow::Phase::live, 0, flow::kInactive, 0};
    if (backend.forward != shm::Forward::nat) w.flags |= flow::kNoOutput;
    // The first reply of UDP then changes the word, and with it the template (assure()).
    if (choice.control != flow::kNone && p.protocol == wire::kUdp) w.flags |= flow::kNoOutput;
    // A quoted packet moves no state; what it belongs to is to show itself soon.
    w = p.is_icmp_error
            ? flow::Word{w.phase, w.state, w.flags, flow::whole_second(c.now) + kQuotedTime}
            : flow::Word::unpack(next_word(c, p, false, w.pack()));
    e.state = w.state;
    e.flags = w.flags;
    e.expiry = w.expiry;
    return e;
}

void table_full(Context& c, Packet& p, shm::Forward forward) {
    c.counters.worker(c.worker).table_full.add(1);
    c.state.full_looked_us = 0;
    if (forward == shm::Forward::nat || !forward_stateless(c, p)) p.close(Verdict::drop_table_full);
}

// Another packet was first and its choice stands; false if that connection has already ended.
bool join(Context& c, Packet& p) {
    follow(c, p);
    return p.entry != flow::kNone || p.verdict != Verdict::open;
}

// False if another worker's connection was found instead, and had just ended.
bool begin(Context& c, Packet& p, const Choice& choice) {
    const uint32_t slot = choice.slot;
    const shm::Forward forward = c.view.services.backends[slot].forward;
    const flow::NewEntry entry = entry_for(c, p, choice);
    const auto made = c.flows.insert(entry, p.hash, c.now);
    if (!made.created) give_up(c, choice);
    if (made.entry == flow::kFull) return table_full(c, p, forward), true;
    shm::WorkerCounters& own = c.counters.worker(c.worker);
    if (made.recycled) own.table_recycled.add(1);
    p.entry = made.entry;
    if (!made.created) return join(c, p);
    own.table_insertions.add(1);
    if (choice.control != flow::kNone)  // sloppy_tcp, sloppy_sctp: it may begin established
        detail::assure(c, p, 0, flow::Word{flow::Phase::live, entry.state}.pack());
    picked(c, p, slot);
    p.backend = slot;
    p.service_slot = slot_of(c.view, p);
    p.nat = forward == shm::Forward::nat;
    return true;
}

bool is_one_packet(const Context& c, const Packet& p) {
    return p.protocol == wire::kUdp &&
           (c.view.services.services[p.service].flags & shm::kOnePacket);
}

// Whether check_limits() will let the packet pass: what it answers must not be rewritten before.
bool passes_limits(const Context& c, const Packet& p, uint32_t slot) {
    const uint8_t ttl = p.ipv6 ? p.at<wire::Ipv6>(p.l3)->hop_limit : p.at<wire::Ipv4>(p.l3)->ttl;
    const uint32_t hop = c.view.next_hop_of(slot);
    if (hop == shm::kNoNextHop) return false;
    const uint32_t mtu = c.view.routes.next_hops[hop].mtu;
    return ttl > 1 && (mtu == 0 || p.l3_length <= mtu || !detail::dont_fragment(p));
}

// One-packet scheduling: the packet is a connection of its own that ends with it, and has no entry.
// NAT is done here, by a cell that nobody else sees; the time to live is left to forward_dr().
void send_once(Context& c, Packet& p, const Choice& choice) {
    give_up(c, choice);
    const uint32_t slot = choice.slot;
    const shm::BackendRecord& backend = c.view.services.backends[slot];
    p.backend = slot;
    p.service_slot = slot_of(c.view, p);
    if (p.service_slot < c.counters.header().service_slots)
        c.counters.services(c.worker)[p.service_slot].connections.add(1);
    if (slot < c.counters.header().backend_slots)
        c.counters.backends(c.worker)[slot].connections.add(1);
    if (backend.forward != shm::Forward::nat || !passes_limits(c, p, slot)) return;
    translate_once(c, p, backend.address,
                   backend_port(c.view.services.services[p.service], backend, p.destination_port));
    p.intended = Verdict::nat_request;
}

// Nobody can take it (LVS: ip_vs_leave). With cache_bypass a mark service's packets go on to where
// they were going.
void nobody(Context& c, Packet& p) {
    const Address to = destination_of(p);
    if (c.view.services.header->behaviour.cache_bypass &&
        c.view.services.services[p.service].mark != 0 && !c.view.routes.is_local(to) &&
        !to.is_multicast() && !to.is_broadcast())
        return p.close(Verdict::kernel_bypass);
    answer(c, p, kPortUnreachable, to);
}

void schedule_one(Context& c, Packet& p) {
    // A packet earlier in this burst may have begun the same connection.
    if ((c.found & kBegun) && (p.entry = find_request(c, p)) != flow::kNone && join(c, p)) return;
    if (!begins(c, p)) {
        if (!full_lately(c) || !forward_stateless(c, p)) p.close(Verdict::kernel_no_connection);
        return;
    }
    for (int tries = 0; tries < 2; ++tries) {
        const Choice choice = choose_backend(c, p);
        if (choice.slot == scheduler::kNoBackend) return nobody(c, p);
        if (is_one_packet(c, p)) return send_once(c, p, choice);
        c.found |= kBegun;
        if (begin(c, p, choice)) return;
    }
    p.close(Verdict::drop_table_full);
}

// The quoted packet as the client's, which it answers: headers alone, in `room`.
Packet turned(const Packet& p, const Quote& q, std::span<std::byte> room) {
    Packet s;
    s.data = room.data();
    s.length = uint16_t(room.size());
    s.ipv6 = p.ipv6;
    s.is_icmp_error = true;
    s.protocol = q.protocol;
    s.in_port = p.in_port;
    if (p.ipv6) {
        const auto* ip = p.at<wire::Ipv6>(q.l3);
        std::memcpy(s.at<wire::Ipv6>(0)->source, ip->destination, 16);
        std::memcpy(s.at<wire::Ipv6>(0)->destination, ip->source, 16);
    } else {
        const auto* ip = p.at<wire::Ipv4>(q.l3);
        s.at<wire::Ipv4>(0)->source = ip->destination;
        s.at<wire::Ipv4>(0)->destination = ip->source;
    }
    s.source_port = be16::from_raw(q.destination_port);
    s.destination_port = be16::from_raw(q.source_port);
    return s;
}

}  // namespace

bool schedule_quoted(Context& c, Packet& p, const Quote& q) {
    std::array<std::byte, sizeof(wire::Ipv6)> room{};
    Packet s = turned(p, q, room);
    if (!find_service(c.view, s)) return false;
    const Address client = source_of(s);
    s.hash = s.ipv6
                 ? flow::hash6(c.state.seed, s.protocol, client.bytes.data(), s.source_port.raw())
                 : flow::hash4(c.state.seed, s.protocol, client.as_v4().raw(), s.source_port.raw());
    for (int tries = 0; tries < 2 && s.entry == flow::kNone && s.verdict == Verdict::open;
         ++tries) {
        const Choice choice = choose_backend(c, s);
        if (choice.slot == scheduler::kNoBackend) break;
        if (is_one_packet(c, s)) {
            give_up(c, choice);
            break;
        }
        if (begin(c, s, choice)) break;
    }
    if (s.verdict != Verdict::open)
        p.close(s.verdict);
    else if (s.entry == flow::kNone)
        p.close(Verdict::drop_no_backend);
    p.entry = s.entry;
    p.hash = s.hash;
    p.direction = Direction::request;
    return true;
}

bool schedule(Context& c, Packet& p, Notes&) {
    if (p.entry == flow::kNone && !p.is_icmp_error) schedule_one(c, p);
    return p.verdict == Verdict::open;
}

}  // namespace torii::stages
