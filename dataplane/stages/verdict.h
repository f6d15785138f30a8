#pragma once
// How a packet leaves the pipeline. Every packet ends in exactly one verdict and every verdict is
// one counter: the sum of verdicts equals the packets received (plus those waiting for a
// neighbour). The metric torii_packets_total{verdict=...}, the command line and the reference come
// from this table.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace torii::stages {

enum class Verdict : uint8_t {
    open,
    // forwarded
    nat_request,
    nat_reply,
    direct,
    tunnel,
    stateless,
    icmp_related,
    // answered with an ICMP error made here
    answered_no_backend,
    answered_no_connection,
    answered_ttl,
    answered_too_big,
    // handed to the kernel
    kernel_not_ours,
    kernel_no_connection,
    kernel_other,
    kernel_local,
    kernel_bypass,
    kernel_backup,
    // dropped
    drop_truncated,
    drop_bad_header,
    drop_bad_checksum,
    drop_martian,
    drop_fragment_tiny,
    drop_fragment_length,
    drop_fragment_overlap,
    drop_fragment_duplicate,
    drop_fragment_refused,
    drop_fragment_timeout,
    drop_fragment_full,
    drop_no_backend,
    drop_no_connection,
    drop_backend_gone,
    drop_ttl,
    drop_too_big,
    drop_table_full,
    drop_no_route,
    drop_no_neighbour,
    drop_no_port,
    drop_no_source,
    drop_tx_full,
    drop_no_memory,
    drop_no_kernel,
    // a fragment that is not done with
    aside,
    kCount
};

enum class Outcome : uint8_t { none, forwarded, answered, kernel, dropped };

struct VerdictInfo {
    Verdict id;
    Outcome outcome;
    std::string_view name;  ///< Prometheus label, CLI column and trace text
    std::string_view help;
};

inline constexpr std::array kVerdicts = {
    VerdictInfo{Verdict::open, Outcome::none, "open", "still in the pipeline (never exported)"},
    VerdictInfo{Verdict::nat_request, Outcome::forwarded, "nat_request",
                "sent to a backend by NAT"},
    VerdictInfo{Verdict::nat_reply, Outcome::forwarded, "nat_reply",
                "a NAT backend's reply, sent to its client"},
    VerdictInfo{Verdict::direct, Outcome::forwarded, "direct",
                "sent to a backend by direct routing"},
    VerdictInfo{Verdict::tunnel, Outcome::forwarded, "tunnel",
                "sent to a backend through a tunnel"},
    VerdictInfo{Verdict::stateless, Outcome::forwarded, "stateless",
                "sent to a backend by consistent hash, without an entry, because the connection "
                "table is full"},
    VerdictInfo{Verdict::icmp_related, Outcome::forwarded, "icmp_related",
                "an ICMP error about a connection, translated and sent on"},
    VerdictInfo{Verdict::answered_no_backend, Outcome::answered, "answered_no_backend",
                "no usable backend: answered with ICMP port unreachable"},
    VerdictInfo{Verdict::answered_no_connection, Outcome::answered, "answered_no_connection",
                "of a NAT backend, but of no connection: answered with ICMP port unreachable "
                "(nat_icmp_send)"},
    VerdictInfo{Verdict::answered_ttl, Outcome::answered, "answered_ttl",
                "TTL or hop limit used up: answered with ICMP time exceeded"},
    VerdictInfo{Verdict::answered_too_big, Outcome::answered, "answered_too_big",
                "larger than the next hop's MTU: answered with ICMP fragmentation needed or packet "
                "too big"},
    VerdictInfo{Verdict::kernel_not_ours, Outcome::kernel, "kernel_not_ours",
                "addressed to no virtual service"},
    VerdictInfo{Verdict::kernel_no_connection, Outcome::kernel, "kernel_no_connection",
                "of a service, but no connection and not the start of one (LVS hands it to the "
                "local stack)"},
    VerdictInfo{Verdict::kernel_other, Outcome::kernel, "kernel_other",
                "not IP, or a protocol that torii does not balance"},
    VerdictInfo{Verdict::kernel_local, Outcome::kernel, "kernel_local",
                "for a backend that is this machine itself"},
    VerdictInfo{Verdict::kernel_bypass, Outcome::kernel, "kernel_bypass",
                "no usable backend of a mark service: the kernel sends it on to where it was going "
                "(cache_bypass)"},
    VerdictInfo{Verdict::kernel_backup, Outcome::kernel, "kernel_backup",
                "of a service whose address another balancer has now: this one is a VRRP backup "
                "(backup_only)"},
    VerdictInfo{Verdict::drop_truncated, Outcome::dropped, "drop_truncated",
                "ends before its headers do"},
    VerdictInfo{Verdict::drop_bad_header, Outcome::dropped, "drop_bad_header",
                "header lengths or fields contradict each other"},
    VerdictInfo{Verdict::drop_bad_checksum, Outcome::dropped, "drop_bad_checksum",
                "IPv4 header, ICMP or (where ports change) SCTP checksum is wrong"},
    VerdictInfo{Verdict::drop_martian, Outcome::dropped, "drop_martian",
                "a source address that no host may use"},
    VerdictInfo{Verdict::drop_fragment_tiny, Outcome::dropped, "drop_fragment_tiny",
                "a first fragment without the whole transport header (RFC 1858, RFC 7112)"},
    VerdictInfo{Verdict::drop_fragment_length, Outcome::dropped, "drop_fragment_length",
                "a fragment that is empty, of an odd length with more to follow, or ends beyond "
                "65535 bytes"},
    VerdictInfo{Verdict::drop_fragment_overlap, Outcome::dropped, "drop_fragment_overlap",
                "a fragment that overlaps another one, or contradicts where the datagram ends: the "
                "datagram is refused from there on (RFC 5722)"},
    VerdictInfo{Verdict::drop_fragment_duplicate, Outcome::dropped, "drop_fragment_duplicate",
                "a fragment whose bytes have all been there already"},
    VerdictInfo{Verdict::drop_fragment_refused, Outcome::dropped, "drop_fragment_refused",
                "a fragment whose datagram was refused because of another one, or whose connection "
                "has ended"},
    VerdictInfo{Verdict::drop_fragment_timeout, Outcome::dropped, "drop_fragment_timeout",
                "a fragment whose first one (SCTP: or last one) did not come within two seconds"},
    VerdictInfo{Verdict::drop_fragment_full, Outcome::dropped, "drop_fragment_full",
                "a fragment that had to give way: too many were held, or too many datagrams were "
                "in pieces, of its source or of all"},
    VerdictInfo{Verdict::drop_no_backend, Outcome::dropped, "drop_no_backend",
                "no usable backend, and the ICMP answer was over its rate limit"},
    VerdictInfo{Verdict::drop_no_connection, Outcome::dropped, "drop_no_connection",
                "of a NAT backend, but of no connection, and over the rate limit of ICMP errors "
                "(nat_icmp_send)"},
    VerdictInfo{Verdict::drop_backend_gone, Outcome::dropped, "drop_backend_gone",
                "the connection's backend was removed"},
    VerdictInfo{Verdict::drop_ttl, Outcome::dropped, "drop_ttl",
                "TTL used up, and no ICMP answer was allowed or it was over its rate limit"},
    VerdictInfo{Verdict::drop_too_big, Outcome::dropped, "drop_too_big",
                "larger than the next hop's MTU, and the ICMP answer was over its rate limit"},
    VerdictInfo{Verdict::drop_table_full, Outcome::dropped, "drop_table_full",
                "no room for a new connection"},
    VerdictInfo{Verdict::drop_no_route, Outcome::dropped, "drop_no_route",
                "no route to the destination"},
    VerdictInfo{Verdict::drop_no_neighbour, Outcome::dropped, "drop_no_neighbour",
                "the next hop did not answer in time, or too many packets waited for it"},
    VerdictInfo{Verdict::drop_no_port, Outcome::dropped, "drop_no_port",
                "the route leaves by an interface that is no port of the dataplane"},
    VerdictInfo{Verdict::drop_no_source, Outcome::dropped, "drop_no_source",
                "the host has no address of the tunnel's family on the way to the backend"},
    VerdictInfo{Verdict::drop_tx_full, Outcome::dropped, "drop_tx_full",
                "the port's transmit queue was full"},
    VerdictInfo{Verdict::drop_no_memory, Outcome::dropped, "drop_no_memory",
                "no room in the packet for an added header"},
    VerdictInfo{
        Verdict::drop_no_kernel, Outcome::dropped, "drop_no_kernel",
        "for the kernel, but the port has no way into it or the way was full (what the kernel "
        "itself refuses afterwards counts as handed over, and is logged)"},
    VerdictInfo{Verdict::aside, Outcome::none, "aside",
                "a fragment that waits for the first one, or is another worker's (never exported)"},
};

static_assert(
    [] {
        if (kVerdicts.size() != size_t(Verdict::kCount)) return false;
        for (size_t i = 0; i < kVerdicts.size(); ++i)
            if (size_t(kVerdicts[i].id) != i) return false;
        return true;
    }(),
    "kVerdicts must list every Verdict once, in order");

inline const VerdictInfo& info(Verdict v) { return kVerdicts[size_t(v)]; }

}  // namespace torii::stages
