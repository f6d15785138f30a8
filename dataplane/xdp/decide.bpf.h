/* Which frames are torii's. One decision for two programs: XDP redirects what it says, the guard
 * at tc ingress drops it, so that whatever the first lets through the second stops.
 *
 * The including file defines `struct frame` and
 *     static __always_inline int read_bytes(const struct frame *, __u32 offset, void *to, __u32 n)
 * which copies `n` (a constant) bytes and returns 0 when the frame ends before them.
 *
 * Headers are only looked at: RFC 791, 792, 4443, 8200, 802.1Q. A packet to a virtual address
 * whose transport header cannot be read is torii's, because torii names the reason it drops it. */
#pragma once

#include "maps.bpf.h"

enum torii_verdict { TORII_PASS = 0, TORII_TAKE = 1 };

/* How much of an IP packet could be understood. */
enum torii_packet {
    TORII_WHOLE,      /* `ports` or the ICMP type can be read at `l4` */
    TORII_FRAGMENT,   /* one of several; only the addresses count */
    TORII_UNREADABLE, /* truncated or inconsistent behind the addresses */
};

/* As many IPv6 extension headers are followed. A longer chain is unreadable. */
#define TORII_MAX_EXTENSIONS 8
#define TORII_MAX_VLANS 2

struct ip_view {
    struct torii_address_key src, dst;
    __u32 l4;      /* offset of the transport header in the frame */
    __u8 protocol; /* of the transport header, or of the first header of a later fragment */
    __u8 packet;   /* enum torii_packet */
};

static __always_inline void map_v4(struct torii_address_key* to, const __u8* four) {
    __builtin_memset(to, 0, sizeof(*to));
    to->bytes[10] = to->bytes[11] = 0xff;
    __builtin_memcpy(&to->bytes[12], four, 4);
}

/* Reads an IPv4 header. Returns 0 when not even the addresses are there. */
static __always_inline int view_v4(const struct frame* f, __u32 l3, struct ip_view* v) {
    __u8 h[20];
    if (!read_bytes(f, l3, h, sizeof(h)) || (h[0] >> 4) != 4) return 0;
    map_v4(&v->src, &h[12]);
    map_v4(&v->dst, &h[16]);
    v->protocol = h[9];
    v->l4 = l3 + (h[0] & 15) * 4;
    v->packet = TORII_WHOLE;
    if ((h[0] & 15) < 5)
        v->packet = TORII_UNREADABLE;
    else if ((h[6] & 0x3f) | h[7])
        v->packet = TORII_FRAGMENT; /* more fragments, or an offset */
    return 1;
}

/* Reads an IPv6 header and follows its extension headers to the transport header. */
static __always_inline int view_v6(const struct frame* f, __u32 l3, struct ip_view* v) {
    __u8 h[40];
    if (!read_bytes(f, l3, h, sizeof(h)) || (h[0] >> 4) != 6) return 0;
    __builtin_memcpy(v->src.bytes, &h[8], 16);
    __builtin_memcpy(v->dst.bytes, &h[24], 16);
    v->protocol = h[6];
    v->l4 = l3 + 40;
    v->packet = TORII_WHOLE;
    for (int i = 0; i <= TORII_MAX_EXTENSIONS; ++i) {
        __u8 e[4];
        const __u8 type = v->protocol;
        if (type != IPPROTO_HOPOPTS && type != IPPROTO_ROUTING && type != IPPROTO_DSTOPTS &&
            type != IPPROTO_FRAGMENT && type != IPPROTO_AH)
            return 1;
        if (i == TORII_MAX_EXTENSIONS || !read_bytes(f, v->l4, e, sizeof(e))) break;
        v->protocol = e[0];
        if (type == IPPROTO_FRAGMENT) {
            v->l4 += 8;
            /* An atomic fragment (RFC 6946) is a whole packet. */
            if ((e[2] | (e[3] & 0xf9)) == 0) continue;
            v->packet = TORII_FRAGMENT;
            return 1;
        }
        v->l4 += type == IPPROTO_AH ? (e[1] + 2) * 4 : (e[1] + 1) * 8;
    }
    v->packet = TORII_UNREADABLE;
    return 1;
}

static __always_inline int has_ports(__u8 protocol) {
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

/* The transport protocol of an IPv6 fragment may hide behind further extension headers. */
static __always_inline int may_have_ports(int v6, __u8 protocol) {
    return has_ports(protocol) ||
           (v6 && (protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_ROUTING ||
                   protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_AH));
}

/* Is (address, port, protocol) in the map, by itself or with every port? */
static __always_inline int in_map(void* map, const struct torii_address_key* a, __u16 port,
                                  __u8 protocol) {
    struct torii_service_key k = {};
    __builtin_memcpy(k.address, a->bytes, 16);
    k.port = port;
    k.protocol = protocol;
    if (bpf_map_lookup_elem(map, &k)) return 1;
    k.port = 0;
    return bpf_map_lookup_elem(map, &k) != 0;
}

static __always_inline int is_icmp_error(int v6, __u8 type) {
    if (v6) return type >= 1 && type <= 4;
    return type == 3 || type == 4 || type == 11 || type == 12;
}

/* Reads the packet an ICMP error quotes. Returns 0 when `outer` is no ICMP error, 1 when the quoted
 * packet was read, 2 when it cannot be read. */
static __always_inline int view_quoted(const struct frame* f, const struct ip_view* outer, int v6,
                                       struct ip_view* quoted) {
    __u8 type;
    if (outer->protocol != (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) return 0;
    if (!read_bytes(f, outer->l4, &type, 1)) return 2;
    if (!is_icmp_error(v6, type)) return 0;
    if (v6 ? view_v6(f, outer->l4 + 8, quoted) : view_v4(f, outer->l4 + 8, quoted)) return 1;
    return 2;
}

static __always_inline const struct torii_mark_value* marks_of(const struct torii_address_key* a) {
    struct torii_block_key k = {.length = 128};
    __builtin_memcpy(k.address, a->bytes, 16);
    return bpf_map_lookup_elem(&marks, &k);
}

/* Do the packets of this port and protocol carry a mark with a service? `port` as it lies. */
static __always_inline int is_marked(const struct torii_mark_value* m, __u16 port, __u8 protocol) {
    port = __builtin_bswap16(port);
    for (__u32 i = 0; i < TORII_MAX_MARK_RANGES; ++i) {
        const struct torii_mark_range* r = &m->ranges[i];
        if (i >= m->count) break;
        if (r->protocol != 0 && r->protocol != protocol) continue;
        if (port >= r->first && port <= r->last) return r->take;
    }
    return 0;
}

/* A packet to a marked destination, or an error about what came from one. */
static __always_inline int decide_marked(const struct frame* f, const struct ip_view* v, int v6) {
    struct ip_view q;
    __u16 ports[2];
    const struct torii_mark_value* m = marks_of(&v->dst);
    if (!m) return TORII_PASS;
    if (v->packet == TORII_UNREADABLE) return TORII_PASS;
    if (v->packet == TORII_FRAGMENT)
        return may_have_ports(v6, v->protocol) ? TORII_TAKE : TORII_PASS;
    if (has_ports(v->protocol)) {
        if (!read_bytes(f, v->l4, ports, sizeof(ports))) return TORII_PASS;
        return is_marked(m, ports[1], v->protocol) ? TORII_TAKE : TORII_PASS;
    }
    if (view_quoted(f, v, v6, &q) != 1 || q.packet == TORII_UNREADABLE) return TORII_PASS;
    m = marks_of(&q.src);
    if (!m) return TORII_PASS;
    if (q.packet == TORII_FRAGMENT) return may_have_ports(v6, q.protocol) ? TORII_TAKE : TORII_PASS;
    if (!has_ports(q.protocol) || !read_bytes(f, q.l4, ports, sizeof(ports))) return TORII_PASS;
    return is_marked(m, ports[0], q.protocol) ? TORII_TAKE : TORII_PASS;
}

/* To one of the host's own addresses: an error about a packet that torii sent through a tunnel. */
static __always_inline int decide_own(const struct frame* f, const struct ip_view* v, int v6) {
    struct torii_service_key k = {};
    struct ip_view q;
    __u16 ports[2];
    if (v->packet != TORII_WHOLE || view_quoted(f, v, v6, &q) != 1) return TORII_PASS;
    if (q.packet != TORII_WHOLE) return TORII_PASS;
    __builtin_memcpy(k.address, q.dst.bytes, 16);
    k.protocol = q.protocol;
    if (q.protocol == IPPROTO_UDP) {
        if (!read_bytes(f, q.l4, ports, sizeof(ports))) return TORII_PASS;
        k.port = ports[1];
    }
    return bpf_map_lookup_elem(&tunnels, &k) ? TORII_TAKE : TORII_PASS;
}

static __always_inline int decide_vip(const struct frame* f, const struct ip_view* v, int v6) {
    struct ip_view q;
    __u16 ports[2];
    if (v->packet == TORII_UNREADABLE) return TORII_TAKE;
    if (v->packet == TORII_FRAGMENT)
        return may_have_ports(v6, v->protocol) ? TORII_TAKE : TORII_PASS;
    if (has_ports(v->protocol)) {
        if (!read_bytes(f, v->l4, ports, sizeof(ports))) return TORII_TAKE;
        return in_map(&services, &v->dst, ports[1], v->protocol) ? TORII_TAKE : TORII_PASS;
    }
    switch (view_quoted(f, v, v6, &q)) {
        case 0:
            return TORII_PASS;
        case 2:
            return TORII_TAKE;
    }
    if (!bpf_map_lookup_elem(&vips, &q.src)) return TORII_PASS;
    if (q.packet == TORII_UNREADABLE) return TORII_TAKE;
    if (q.packet == TORII_FRAGMENT) return may_have_ports(v6, q.protocol) ? TORII_TAKE : TORII_PASS;
    if (!has_ports(q.protocol)) return TORII_PASS;
    if (!read_bytes(f, q.l4, ports, sizeof(ports))) return TORII_TAKE;
    return in_map(&services, &q.src, ports[0], q.protocol) ? TORII_TAKE : TORII_PASS;
}

/* A packet to somebody else: a NAT server's reply, or an error about a request sent to one. */
static __always_inline int decide_transit(const struct frame* f, const struct ip_view* v, int v6) {
    struct ip_view q;
    __u16 ports[2];
    if (v->packet == TORII_UNREADABLE) return TORII_PASS;
    if (v->packet == TORII_FRAGMENT)
        return may_have_ports(v6, v->protocol) && bpf_map_lookup_elem(&backend_addrs, &v->src) != 0;
    if (has_ports(v->protocol)) {
        if (!read_bytes(f, v->l4, ports, sizeof(ports))) return TORII_PASS;
        return in_map(&backends, &v->src, ports[0], v->protocol) ? TORII_TAKE : TORII_PASS;
    }
    if (view_quoted(f, v, v6, &q) != 1 || q.packet == TORII_UNREADABLE) return TORII_PASS;
    if (q.packet == TORII_FRAGMENT)
        return may_have_ports(v6, q.protocol) && bpf_map_lookup_elem(&backend_addrs, &q.dst) != 0;
    if (!has_ports(q.protocol) || !read_bytes(f, q.l4, ports, sizeof(ports))) return TORII_PASS;
    return in_map(&backends, &q.dst, ports[1], q.protocol) ? TORII_TAKE : TORII_PASS;
}

/* Group frames are the kernel's (neighbour discovery, DHCP, VRRP), and so are frames to the
 * Ethernet address of another host that the link flooded to this one. */
static __always_inline int is_our_mac(const __u8* mac) {
    struct torii_mac_key k = {};
    if (mac[0] & 1) return 0;
    __builtin_memcpy(k.bytes, mac, 6);
    if (bpf_map_lookup_elem(&macs, &k)) return 1;
    __builtin_memset(&k, 0, sizeof(k));
    return bpf_map_lookup_elem(&macs, &k) != 0;
}

static __always_inline int decide_ip(const struct frame* f, __u32 l3, int v6) {
    struct ip_view v;
    if (!(v6 ? view_v6(f, l3, &v) : view_v4(f, l3, &v))) return TORII_PASS;
    if (decide_marked(f, &v, v6) == TORII_TAKE) return TORII_TAKE;
    if (bpf_map_lookup_elem(&vips, &v.dst)) {
        if (decide_vip(f, &v, v6) == TORII_TAKE) return TORII_TAKE;
        return decide_own(f, &v, v6);
    }
    if (bpf_map_lookup_elem(&locals, &v.dst)) return decide_own(f, &v, v6);
    return decide_transit(f, &v, v6);
}

/* `vlans` is how many tags were taken off the frame before it got here. */
static __always_inline int decide(const struct frame* f, int vlans) {
    __u8 eth[14], tag[4];
    __u16 type;
    __u32 l3 = 14;
    if (!read_bytes(f, 0, eth, sizeof(eth)) || !is_our_mac(eth)) return TORII_PASS;
    type = (__u16)(eth[12] << 8 | eth[13]);
    for (int i = 0; i < TORII_MAX_VLANS; ++i) {
        if (i + vlans >= TORII_MAX_VLANS || (type != ETH_P_8021Q && type != ETH_P_8021AD)) break;
        if (!read_bytes(f, l3, tag, sizeof(tag))) return TORII_PASS;
        type = (__u16)(tag[2] << 8 | tag[3]);
        l3 += 4;
    }
    if (type == ETH_P_IP) return decide_ip(f, l3, 0);
    if (type == ETH_P_IPV6) return decide_ip(f, l3, 1);
    return TORII_PASS;
}
