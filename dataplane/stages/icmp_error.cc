// icmp_error: turning a packet into the ICMP error about it (RFC 792, RFC 1812 4.3.2, RFC 4443),
// in the shape Linux gives it: TTL 64, precedence "internetwork control", quoting as much as fits
// into 576 bytes (IPv4) or 1280 (IPv6).

#include "dataplane/stages/checksum.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

constexpr uint16_t kLargest4 = 576, kLargest6 = 1280;

// RFC 1812 4.3.2.7, RFC 4443 2.4(e): never about an ICMP error, a fragment but the first, or what
// was sent to many.
bool allowed(const Packet& p) {
    return !p.is_icmp_error && !p.later_fragment && !(p.at<wire::Ethernet>(0)->destination[0] & 1);
}

// Makes room for `header` bytes between the link header and the quoted packet, of which `quoted`
// bytes stay. Downwards where there is headroom, else upwards.
bool open_gap(Packet& p, uint16_t header, uint16_t quoted) {
    if (p.headroom >= header) {
        p.data -= header;
        p.headroom = uint16_t(p.headroom - header);
        p.tailroom = uint16_t(p.tailroom + (p.length - p.l3 - quoted));
        std::memmove(p.data, p.data + header, p.l3);
    } else {
        const uint32_t have = uint32_t(p.length) + p.tailroom;
        const uint32_t need = uint32_t(p.l3) + header + quoted;
        if (need > have) return false;
        std::memmove(p.data + p.l3 + header, p.data + p.l3, quoted);
        p.tailroom = uint16_t(have - need);
    }
    p.length = uint16_t(p.l3 + header + quoted);
    return true;
}

void swap_macs(Packet& p) {
    auto* ethernet = p.at<wire::Ethernet>(0);
    uint8_t sender[6];
    std::memcpy(sender, ethernet->source, 6);
    std::memcpy(ethernet->source, ethernet->destination, 6);
    std::memcpy(ethernet->destination, sender, 6);
}

bool write4(Context& c, Packet& p, const IcmpAnswer& a, const Address& source) {
    constexpr uint16_t header = sizeof(wire::Ipv4) + sizeof(wire::Icmp);
    const uint16_t quoted = std::min<uint16_t>(p.l3_length, kLargest4 - header);
    const wire::Ipv4 about = *p.at<wire::Ipv4>(p.l3);
    if (!open_gap(p, header, quoted)) return false;
    auto* ip = p.at<wire::Ipv4>(p.l3);
    *ip = {};
    ip->version_ihl = 0x45;
    ip->tos = uint8_t((about.tos & 0x1e) | 0xc0);  // Linux: icmp_send()
    ip->total_length = wire::net16(uint16_t(header + quoted));
    ip->id = wire::net16(c.state.ip_id++);
    ip->ttl = 64;
    ip->protocol = wire::kIcmp;
    ip->source = source.as_v4().raw();
    ip->destination = about.source;
    ip->checksum = checksum_of(ip, sizeof *ip);
    p.l4 = uint16_t(p.l3 + sizeof(wire::Ipv4));
    auto* icmp = p.at<wire::Icmp>(p.l4);
    *icmp = {a.type4, a.code4, 0, wire::net32(a.mtu)};
    icmp->checksum = checksum_of(icmp, sizeof *icmp + quoted);
    return true;
}

bool write6(Packet& p, const IcmpAnswer& a, const Address& source) {
    constexpr uint16_t header = sizeof(wire::Ipv6) + sizeof(wire::Icmp);
    const uint16_t quoted = std::min<uint16_t>(p.l3_length, kLargest6 - header);
    const wire::Ipv6 about = *p.at<wire::Ipv6>(p.l3);
    if (!open_gap(p, header, quoted)) return false;
    const uint16_t payload = uint16_t(sizeof(wire::Icmp) + quoted);
    auto* ip = p.at<wire::Ipv6>(p.l3);
    *ip = {};
    ip->version_class_flow = wire::net32(6u << 28);
    ip->payload_length = wire::net16(payload);
    ip->next_header = wire::kIcmpv6;
    ip->hop_limit = 64;
    std::memcpy(ip->source, source.bytes.data(), 16);
    std::memcpy(ip->destination, about.source, 16);
    p.l4 = uint16_t(p.l3 + sizeof(wire::Ipv6));
    auto* icmp = p.at<wire::Icmp>(p.l4);
    *icmp = {a.type6, a.code6, 0, wire::net32(a.mtu)};
    icmp->checksum = checksum_of(icmp, payload, pseudo6(ip->source, payload, wire::kIcmpv6));
    return true;
}

}  // namespace

bool write_error(Context& c, Packet& p, const IcmpAnswer& a, const Address& source) {
    if (!(p.ipv6 ? write6(p, a, source) : write4(c, p, a, source))) return false;
    p.l3_length = uint16_t(p.length - p.l3);
    return true;
}

void answer(Context& c, Packet& p, const IcmpAnswer& a, const Address& source) {
    if (!allowed(p) || !c.state.icmp.take(c.now_us)) return p.close(a.suppressed);
    if (!write_error(c, p, a, source)) return p.close(Verdict::drop_no_memory);
    swap_macs(p);
    p.out_port = p.in_port;
    p.close(a.sent);
}

Address port_address(const View& view, const Packet& p, const Address& otherwise) {
    const size_t at = size_t(p.in_port) * 2 + (p.ipv6 ? 1 : 0);
    if (at >= view.routes.port_addresses.size()) return otherwise;
    const Address& a = view.routes.port_addresses[at];
    return a == Address{} ? otherwise : a;
}

}  // namespace torii::stages
