#pragma once
// The stages are steps: functions for one packet that no earlier step has closed. They close what
// they have the last word on, and return whether the packet goes on to the next step. pipeline.cc
// has the order. What every packet comes to is inline, in parse.h, classify.h, track.h, next_hop.h,
// limits.h, forward_nat.h and forward_dr.h; here is what only some come to, and what steps share.

#include "dataplane/stages/context.h"
#include "dataplane/stages/packet.h"

namespace torii::stages {

struct Quote;

/// For what the steps of known connections have left open: not what only waits for its neighbour.
inline bool others(Context&, Packet& p, Notes&) { return !p.held; }

/// ICMP errors (RFC 792, RFC 4443) about connections: finds the connection of the packet quoted
/// inside. The others are the kernel's.
bool relate_icmp(Context&, Packet&, Notes&);

/// Gives packets of a service that belong to no connection a backend and a connection.
bool schedule(Context&, Packet&, Notes&);

// What the stages share.

/// Looks up the service a packet is addressed to; sets p.service. False if there is none.
bool find_service(const View&, Packet&);

/// Addresses of the packet as 16-byte values.
Address source_of(const Packet&);
Address destination_of(const Packet&);

/// The connection this packet is a request of, by p.hash; flow::kNone if there is none.
uint32_t find_request(const Context&, const Packet&);
/// track() for callers that are not on every packet's path.
bool follow(Context&, Packet&);

/// Which packet an ICMP error torii makes is about, and what it says.
struct IcmpAnswer {
    uint8_t type4, code4, type6, code6;
    uint16_t mtu = 0;
    Verdict sent, suppressed;  ///< closes with `suppressed` when over the rate limit or not allowed
};
inline constexpr IcmpAnswer kPortUnreachable{
    3, 3, 1, 4, 0, Verdict::answered_no_backend, Verdict::drop_no_backend};
inline constexpr IcmpAnswer kNoConnection{
    3, 3, 1, 4, 0, Verdict::answered_no_connection, Verdict::drop_no_connection};
inline constexpr IcmpAnswer kTimeExceeded{11, 0, 3, 0, 0, Verdict::answered_ttl, Verdict::drop_ttl};
inline constexpr IcmpAnswer kTooBig{
    3, 4, 2, 0, 0, Verdict::answered_too_big, Verdict::drop_too_big};

/// Turns the packet into an ICMP error to its sender, from `source`, and closes it.
void answer(Context&, Packet&, const IcmpAnswer&, const Address& source);

/// The same without rate limit and link header: the packet becomes the ICMP error. False if there
/// is no room for it.
bool write_error(Context&, Packet&, const IcmpAnswer&, const Address& source);

/// An ICMP error, of no connection itself, about a packet that torii has sent through a tunnel:
/// becomes an error to the client about the packet inside (or is closed), of that connection.
/// False, and nothing changed but p.hash, if it is none.
bool answer_tunnel_error(Context&, Packet&);

/// Puts the tunnel's headers in front of a packet whose time to live has been taken care of. False
/// if it was closed.
bool forward_tunnel(Context&, Packet&);

/// A connection for the packet that an ICMP error from the client's side quotes (schedule_icmp):
/// sets p.entry and what goes with it. False if no service is meant; the packet may be closed.
bool schedule_quoted(Context&, Packet& p, const Quote&);

/// The address that this port's ICMP errors come from; `otherwise` if the port has none.
Address port_address(const View&, const Packet&, const Address& otherwise);

/// Gives a request that has no entry its server's address and port; not the time to live.
void translate_once(Context&, Packet&, const Address& backend, be16 port);

/// Rewrites an ICMP error of a NAT connection, outside and inside, with whole checksums.
void translate_icmp(Context&, Packet&);

}  // namespace torii::stages
