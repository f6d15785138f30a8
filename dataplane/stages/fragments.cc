#include "dataplane/stages/fragments.h"

#include "dataplane/stages/checksum.h"
#include "dataplane/stages/fragment.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/parse.h"
#include "dataplane/stages/sctp.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

constexpr uint32_t kNoDatagram = FragmentTable::kNobody;

void set_aside(Packet& p) {
    p.held = true;
    p.close(Verdict::aside);
}

// The transport header must be whole: a filter or a translator that sees only a part of it could be
// deceived (RFC 1858, RFC 3128, RFC 7112). Its length says nothing about this fragment's.
Verdict parse_first(Packet& p) {
    const uint32_t room = uint32_t(p.l3) + p.l3_length - p.l4;
    const bool tcp = p.protocol == wire::kTcp;
    if (p.protocol == wire::kSctp)
        return parse_sctp(p, p.data + p.l4, room) == Verdict::open ? Verdict::open
                                                                   : Verdict::drop_fragment_tiny;
    if (!detail::kBalanced[p.protocol]) return Verdict::kernel_other;
    if (room < (tcp ? sizeof(wire::Tcp) : sizeof(wire::Udp))) return Verdict::drop_fragment_tiny;
    const auto* udp = p.at<wire::Udp>(p.l4);
    p.source_port = be16::from_raw(udp->source_port);
    p.destination_port = be16::from_raw(udp->destination_port);
    p.tcp_flags = 0;
    if (!tcp) return Verdict::open;
    const auto* header = p.at<wire::Tcp>(p.l4);
    const uint32_t claimed = (header->data_offset >> 4) * 4u;
    if (claimed < sizeof(wire::Tcp)) return Verdict::drop_bad_header;
    if (p.ipv6 && claimed > room) return Verdict::drop_fragment_tiny;
    p.tcp_flags = header->flags;
    return Verdict::open;
}

// Of a connection, as the first fragment was; what has happened to that since counts.
void follow_connection(Context& c, Packet& p, const Decision& d) {
    const flow::Head& head = c.flows.head(d.entry);
    const auto word = flow::Word::unpack(head.word.load(std::memory_order_acquire));
    if (word.phase != flow::Phase::live ||
        head.generation.load(std::memory_order_acquire) != d.generation)
        return p.close(Verdict::drop_fragment_refused);
    const bool backend = c.view.backend(head.backend, head.backend_generation);
    if (!backend && p.direction == Direction::request) return p.close(Verdict::drop_backend_gone);
    p.entry = d.entry;
    p.nat = head.forward == uint8_t(shm::Forward::nat);
    if (!backend) return;
    p.backend = head.backend;
    p.service_slot = head.service_slot;
}

void readdress(Packet& p, const Address& to) {
    if (p.ipv6) {
        std::memcpy(p.at<wire::Ipv6>(p.l3)->destination, to.bytes.data(), 16);
        return;
    }
    auto* ip = p.at<wire::Ipv4>(p.l3);
    Delta delta;
    delta.change32(ip->destination, to.as_v4().raw());
    ip->destination = to.as_v4().raw();
    ip->checksum = update(ip->checksum, delta);
}

// The table was full, or each datagram of the service is a connection of its own.
void follow_stateless(Context& c, Packet& p, const Decision& d) {
    const shm::BackendRecord* backend = c.view.services.backend(d.backend, d.generation);
    if (!backend) return p.close(Verdict::drop_backend_gone);
    p.backend = d.backend;
    p.service_slot = d.service_slot;
    p.intended = d.intended;
    if (d.intended == Verdict::nat_request) readdress(p, backend->address);
}

void follow_first(Context& c, Packet& p, const Decision& d) {
    p.held = false;
    p.verdict = Verdict::open;
    p.direction = d.direction;
    p.hash = d.hash;
    switch (d.kind) {
        case Decision::Kind::connection:
            return follow_connection(c, p, d);
        case Decision::Kind::stateless:
            return follow_stateless(c, p, d);
        case Decision::Kind::pending:
        case Decision::Kind::ended:
            return p.close(d.verdict);
    }
}

// Of a packet that has been through all stages.
Decision decision_of(const Context& c, const Packet& p) {
    Decision d;
    d.direction = p.direction;
    const Outcome outcome = info(p.verdict).outcome;
    if (p.held || outcome == Outcome::forwarded) {
        d.entry = p.entry;
        d.backend = p.backend;
        d.service_slot = p.service_slot;
        d.hash = p.hash;
        if (p.entry != flow::kNone) {
            d.kind = Decision::Kind::connection;
            d.generation = c.flows.head(p.entry).generation.load(std::memory_order_acquire);
        } else {
            d.kind = Decision::Kind::stateless;
            d.intended = p.intended == Verdict::tunnel ? Verdict::direct : p.intended;
            d.generation = c.view.services.backends[p.backend].generation;
        }
        return d;
    }
    d.kind = Decision::Kind::ended;
    d.verdict = outcome == Outcome::kernel ? p.verdict : Verdict::drop_fragment_refused;
    return d;
}

// A first fragment. SCTP's checksum covers the whole datagram, and how NAT changes it depends on
// its length, which the last fragment tells.
void begin(Context& c, Packet& p, const Fragment& f, uint32_t datagram) {
    p.ip_bytes = uint16_t(f.length + f.header + p.ipv6 * sizeof(wire::Ipv6));
    p.datagram = datagram;
    const Verdict verdict = parse_first(p);
    if (verdict == Verdict::open && p.protocol == wire::kSctp &&
        c.state.fragments.end_of(datagram) == 0) {
        const bool taken = c.state.fragments.hold_first(datagram, p);
        p.datagram = kNoDatagram;  // not to be settled
        return taken ? set_aside(p) : p.close(Verdict::drop_fragment_full);
    }
    c.found |= kFirstFragments;
    if (verdict != Verdict::open) p.close(verdict);
}

}  // namespace

void gather(Context& c, Packet& p) {
    const Fragment f = read_fragment(p);
    if (p.datagram != kNoDatagram) return begin(c, p, f, p.datagram);  // resumed
    const uint64_t hash = hash_of(c.state.seed, f.key);
    const uint32_t owner = owner_of(hash, c.counters.workers());
    if (owner != c.worker) {
        p.give_to = uint16_t(owner);
        return set_aside(p);
    }
    FragmentTable& table = c.state.fragments;
    const FragmentTable::Placed at = table.place(f, hash, c.now_us);
    if (at.verdict != Verdict::open) return p.close(at.verdict);
    p.ip_bytes = uint16_t(f.length);  // what it adds to the datagram, as LVS counts
    if (!p.later_fragment) return begin(c, p, f, at.datagram);
    if (at.decision.kind == Decision::Kind::ended) return p.close(at.decision.verdict);
    const bool taken = at.decision.kind == Decision::Kind::pending ? table.hold(at.datagram, p)
                                                                   : table.pass(p, at.decision);
    if (!taken) return p.close(Verdict::drop_fragment_full);
    set_aside(p);
}

void settle_fragments(Context& c, std::span<const Packet> burst) {
    for (const Packet& p : burst)
        if (p.datagram != kNoDatagram)
            c.state.fragments.settle(p.datagram, decision_of(c, p), c.now_us);
}

size_t resume_fragments(Context& c, std::span<Packet> out) {
    size_t n = 0;
    while (n < out.size()) {
        const Packet* kept = c.state.fragments.resume();
        if (!kept) break;
        Packet& p = out[n++] = Packet{};
        p.data = kept->data;
        p.length = kept->length;
        p.headroom = kept->headroom;
        p.tailroom = kept->tailroom;
        p.in_port = kept->in_port;
        p.owner = kept->owner;
        p.datagram = kept->datagram;
    }
    return n;
}

size_t release_fragments(Context& c, std::span<Packet> out) {
    size_t n = 0;
    while (n < out.size()) {
        const FragmentTable::Released* r = c.state.fragments.take();
        if (!r) break;
        out[n] = r->packet;
        follow_first(c, out[n++], r->decision);
    }
    return n;
}

bool forward_nat_later(Context&, Packet& p, Notes& n) {
    if (!n.nat) return true;
    p.intended = n.reply ? Verdict::nat_reply : Verdict::nat_request;
    if (p.ipv6) {
        const auto& cell = *reinterpret_cast<const flow::Cell6*>(n.cell);
        auto* ip = p.at<wire::Ipv6>(p.l3);
        std::memcpy(n.reply ? ip->source : ip->destination,
                    n.reply ? cell.virtual_address : cell.backend_address, 16);
        --ip->hop_limit;
        return true;
    }
    const auto& cell = *reinterpret_cast<const flow::Cell4*>(n.cell);
    auto* ip = p.at<wire::Ipv4>(p.l3);
    Delta delta;
    const uint32_t to = n.reply ? cell.virtual_address : cell.backend_address;
    delta.change32(n.reply ? ip->source : ip->destination, to);
    (n.reply ? ip->source : ip->destination) = to;
    delta.change16(ip->ttl, uint16_t(ip->ttl - 1));
    --ip->ttl;
    ip->checksum = update(ip->checksum, delta);
    return true;
}

}  // namespace torii::stages
