// icmp_tunnel: errors about packets that torii has sent through a tunnel (LVS: ip_vs_in_icmp). They
// come to the address the tunnel begins at, and quote the outer header. The client knows nothing of
// that: it gets a new error about the packet inside.

#include "dataplane/stages/encapsulation.h"
#include "dataplane/stages/extensions.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/icmp_quote.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

// The quoted tunnel packet, as far as it is there. Offsets count from the frame's start.
struct Quoted {
    uint32_t outer, inner, end;
    shm::TunnelType type;
    be16 port;  // GUE: destination
    bool inner_v6;
    Address to;  // the real server
};

template <class Header>
const Header* header_at(const Packet& p, uint32_t at, uint32_t end) {
    return at + sizeof(Header) <= end ? p.at<Header>(at) : nullptr;
}

// The outer IP header; `protocol` is what it carries. IPv6 is looked at without extension headers,
// because torii's outer headers have none.
bool read_outer(const Packet& p, Quoted& q, uint8_t& protocol) {
    q.outer = uint32_t(p.l4) + sizeof(wire::Icmp);
    q.end = uint32_t(p.l3) + p.l3_length;
    if (p.ipv6) {
        const auto* ip = header_at<wire::Ipv6>(p, q.outer, q.end);
        if (!ip || wire::host32(ip->version_class_flow) >> 28 != 6) return false;
        protocol = ip->next_header;
        q.to = Address::v6(ip->destination);
        q.inner = q.outer + sizeof(wire::Ipv6);
        return std::memcmp(ip->source, p.at<wire::Ipv6>(p.l3)->destination, 16) == 0;
    }
    const auto* ip = header_at<wire::Ipv4>(p, q.outer, q.end);
    if (!ip || ip->version_ihl != 0x45 || (ip->fragment & wire::kOffset)) return false;
    protocol = ip->protocol;
    q.to = Address::v4(be32::from_raw(ip->destination));
    q.inner = q.outer + sizeof(wire::Ipv4);
    return ip->source == p.at<wire::Ipv4>(p.l3)->destination;
}

bool read_gue(const Packet& p, Quoted& q) {
    const auto* udp = header_at<wire::Udp>(p, q.inner, q.end);
    const auto* gue = header_at<wire::Gue>(p, q.inner + sizeof(wire::Udp), q.end);
    if (!udp || !gue || gue->control != 0) return false;
    q.type = shm::TunnelType::gue;
    q.port = be16::from_raw(udp->destination_port);
    q.inner_v6 = gue->protocol == wire::kIpv6InIp;
    q.inner += sizeof *udp + sizeof *gue;
    return q.inner_v6 || gue->protocol == wire::kIpip;
}

bool read_gre(const Packet& p, Quoted& q) {
    const auto* gre = header_at<wire::Gre>(p, q.inner, q.end);
    if (!gre || (gre->flags & ~wire::kGreChecksum) != 0) return false;
    q.type = shm::TunnelType::gre;
    q.inner_v6 = gre->type == wire::kTypeIpv6;
    q.inner += sizeof *gre * (gre->flags ? 2 : 1);
    return q.inner_v6 || gre->type == wire::kTypeIpv4;
}

bool read_tunnel(const Packet& p, Quoted& q) {
    uint8_t protocol;
    if (!read_outer(p, q, protocol)) return false;
    switch (protocol) {
        case wire::kIpip:
        case wire::kIpv6InIp:
            q.type = shm::TunnelType::ipip;
            q.inner_v6 = protocol == wire::kIpv6InIp;
            return true;
        case wire::kUdp:
            return read_gue(p, q);
        case wire::kGre:
            return read_gre(p, q);
        default:
            return false;
    }
}

// The connection that the packet inside was a request of, if it goes through this very tunnel.
uint32_t find_tunnelled(Context& c, Packet& p, const Quoted& q) {
    Quote inside;
    if (!read_quote_at(p, q.inner, q.end, q.inner_v6, inside)) return flow::kNone;
    const uint32_t entry = find_quoted_request(c, p, inside, q.inner_v6);
    if (entry == flow::kNone) return flow::kNone;
    const flow::Head& head = c.flows.head(entry);
    const auto* backend = c.view.services.backend(head.backend, head.backend_generation);
    const bool same = backend && head.forward == uint8_t(shm::Forward::tunnel) &&
                      backend->address == q.to && backend->tunnel.type == q.type &&
                      (q.type != shm::TunnelType::gue || backend->tunnel.port == q.port);
    return same ? entry : flow::kNone;
}

constexpr IcmpAnswer said(uint8_t type4, uint8_t code4, uint8_t type6, uint8_t code6) {
    return {type4, code4, type6, code6, 0, Verdict::icmp_related, Verdict::drop_too_big};
}
constexpr IcmpAnswer kHostUnreachable = said(3, 1, 1, 3), kTooLong = said(3, 4, 2, 0);

bool is_too_big(const Packet& p) {
    const auto* icmp = p.at<wire::Icmp>(p.l4);
    return p.ipv6 ? icmp->type == 2 : icmp->type == 3 && icmp->code == 4;
}

// What the client is told. Between IP versions only "too big" means the same; everything else is a
// server that cannot be reached.
IcmpAnswer answer_about(const Packet& p, const Quoted& q) {
    const wire::Icmp icmp = *p.at<wire::Icmp>(p.l4);
    if (is_too_big(p)) {
        IcmpAnswer a = kTooLong;
        const uint32_t front = q.inner - q.outer;
        const uint32_t mtu = wire::host32(icmp.rest) & (p.ipv6 ? ~0u : 0xffffu);
        const uint32_t least = q.inner_v6 ? 1280 : 68;
        a.mtu = uint16_t(std::clamp(mtu > front ? mtu - front : 0, least, 0xffffu));
        return a;
    }
    if (p.ipv6 != q.inner_v6) return kHostUnreachable;
    return said(icmp.type, icmp.code, icmp.type, icmp.code);
}

// The frame becomes the packet inside, as far as it was quoted.
void strip_to(Packet& p, const Quoted& q) {
    const uint16_t gone = uint16_t(q.inner - p.l3);
    std::memmove(p.data + gone, p.data, p.l3);
    p.data += gone;
    p.headroom = uint16_t(p.headroom + gone);
    p.tailroom = uint16_t(p.tailroom + (p.length - q.end));
    p.length = uint16_t(q.end - gone);
    p.l3_length = uint16_t(p.length - p.l3);
    if (p.ipv6 == q.inner_v6) return;
    const uint16_t type = q.inner_v6 ? wire::kTypeIpv6 : wire::kTypeIpv4;
    std::memcpy(p.data + p.l3 - sizeof type, &type, sizeof type);
    p.ipv6 = q.inner_v6;
}

bool dont_fragment(const Packet& p) {
    return p.ipv6 || (p.at<wire::Ipv4>(p.l3)->fragment & wire::kDontFragment);
}

}  // namespace

bool answer_tunnel_error(Context& c, Packet& p) {
    Quoted q;
    if (!read_tunnel(p, q)) return false;
    const uint32_t entry = find_tunnelled(c, p, q);
    if (entry == flow::kNone) return false;
    if (!icmp_checksum_ok(p)) return p.close(Verdict::drop_bad_checksum), true;
    const IcmpAnswer what = answer_about(p, q);
    const bool too_big = is_too_big(p);
    strip_to(p, q);
    // Who lets routers fragment is not told what it need not know.
    if (too_big && !dont_fragment(p)) return p.close(Verdict::drop_too_big), true;
    if (!write_error(c, p, what, destination_of(p))) return p.close(Verdict::drop_no_memory), true;
    p.entry = entry;
    p.direction = Direction::reply;
    return true;
}

}  // namespace torii::stages
