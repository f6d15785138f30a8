#pragma once
// The stages, in the order in which pipeline.cc calls them. Each is a free function over a burst
// that looks only at packets no earlier stage has closed, and closes those it has the last word on.

#include <span>

#include "dataplane/stages/context.h"
#include "dataplane/stages/packet.h"

namespace torii::stages {

/// Bytes -> offsets, protocol, ports. Closes what is malformed (drop_truncated, drop_bad_header,
/// drop_bad_checksum) and what torii does not balance (kernel_other).
void parse(std::span<Packet>);

/// Finds the connection of every packet, or else its service. Closes martians, fragments and what
/// is not torii's.
void classify(Context&, std::span<Packet>);

/// ICMP errors (RFC 792, RFC 4443) about connections: finds the connection of the packet quoted
/// inside. The others are the kernel's.
void relate_icmp(Context&, std::span<Packet>);

/// Runs the state machine of known connections; a SYN on one that has ended makes it unknown.
void track(Context&, std::span<Packet>);

/// Gives packets of a service that belong to no connection a backend and a connection.
void schedule(Context&, std::span<Packet>);

/// Sets the next hop: of the backend for requests, of the client for replies.
void find_next_hop(Context&, std::span<Packet>);

/// Time to live and MTU; answers what goes no further.
void check_limits(Context&, std::span<Packet>);

/// NAT: addresses, ports and checksums, both directions. ICMP errors: see translate_icmp().
void forward_nat(Context&, std::span<Packet>);

/// Direct routing: nothing but the time to live.
void forward_dr(Context&, std::span<Packet>);

/// Ethernet addresses, VLAN tag and port; sets the verdict, or holds the packet.
void send(Context&, std::span<Packet>);

// What the stages share.

/// Looks up the service a packet is addressed to; sets p.service. False if there is none.
bool find_service(const View&, Packet&);

/// Addresses of the packet as 16-byte values.
Address source_of(const Packet&);
Address destination_of(const Packet&);

/// The connection this packet is a request of, by p.hash; flow::kNone if there is none.
uint32_t find_request(const Context&, const Packet&);
/// track() for one packet whose connection is known.
void follow(Context&, Packet&);

/// Which packet an ICMP error torii makes is about, and what it says.
struct IcmpAnswer {
    uint8_t type4, code4, type6, code6;
    uint16_t mtu = 0;
    Verdict sent, suppressed;  ///< closes with `suppressed` when over the rate limit or not allowed
};
inline constexpr IcmpAnswer kPortUnreachable{
    3, 3, 1, 4, 0, Verdict::answered_no_backend, Verdict::drop_no_backend};
inline constexpr IcmpAnswer kTimeExceeded{11, 0, 3, 0, 0, Verdict::answered_ttl, Verdict::drop_ttl};
inline constexpr IcmpAnswer kTooBig{
    3, 4, 2, 0, 0, Verdict::answered_too_big, Verdict::drop_too_big};

/// Turns the packet into an ICMP error to its sender, from `source`, and closes it.
void answer(Context&, Packet&, const IcmpAnswer&, const Address& source);

/// The address that this port's ICMP errors come from; `otherwise` if the port has none.
Address port_address(const View&, const Packet&, const Address& otherwise);

/// Rewrites an ICMP error of a NAT connection, outside and inside, with whole checksums.
void translate_icmp(Context&, Packet&);

/// One packet's next hop by the context's view; false (and closed) if there is none.
bool choose_next_hop(Context&, Packet&);
/// send() for one packet.
void send_one(Context&, Packet&);

}  // namespace torii::stages
