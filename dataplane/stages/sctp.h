#pragma once
// SCTP packets as far as a balancer looks at them (RFC 9260 3): the common header, what the first
// chunk says, and the checksum after a change of ports.

#include <cstddef>
#include <cstdint>

#include "dataplane/flow/sctp_state.h"
#include "dataplane/stages/context.h"
#include "dataplane/stages/crc32c.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/packet.h"

namespace torii::stages {

namespace wire {
struct [[gnu::packed]] Sctp {  // RFC 9260 3.1
    uint16_t source_port, destination_port;
    uint32_t verification_tag, checksum;
};
struct [[gnu::packed]] SctpChunk {  // RFC 9260 3.2
    uint8_t type, flags;
    uint16_t length;
};
static_assert(sizeof(Sctp) == 12 && sizeof(SctpChunk) == 4);
inline constexpr uint8_t kSctp = 132;
}  // namespace wire

/// The event of a chunk type; types that RFC 9260 does not know move no state.
constexpr flow::SctpEvent sctp_event_of(uint8_t chunk_type) {
    using E = flow::SctpEvent;
    constexpr E kEvents[] = {
        E::data,        E::init,       E::init_ack, E::data,         E::data,
        E::data,        E::abort,      E::shutdown, E::shutdown_ack, E::error,
        E::cookie_echo, E::cookie_ack, E::data,     E::data,         E::shutdown_complete};
    return chunk_type < std::size(kEvents) ? kEvents[chunk_type] : E::data;
}

/// What a packet says, of whose SCTP part `length` bytes (at least the common header) may be read;
/// data if there is no chunk. Like LVS, one look further than the first chunk: behind COOKIE ECHO
/// and COOKIE ACK an ABORT may be bundled (RFC 9260 3.3.7).
inline flow::SctpEvent sctp_event(const std::byte* sctp, size_t length) {
    constexpr uint8_t kCookieEcho = 10, kCookieAck = 11, kAbort = 6;
    const auto chunk_at = [&](size_t offset) {
        return offset + sizeof(wire::SctpChunk) <= length
                   ? reinterpret_cast<const wire::SctpChunk*>(sctp + offset)
                   : nullptr;
    };
    const auto* first = chunk_at(sizeof(wire::Sctp));
    if (!first) return flow::SctpEvent::data;
    if (first->type == kCookieEcho || first->type == kCookieAck) {
        const size_t size = wire::host16(first->length);
        const auto* next = size < sizeof(wire::SctpChunk)
                               ? nullptr
                               : chunk_at(sizeof(wire::Sctp) + (size + 3) / 4 * 4);
        if (next && next->type == kAbort) return flow::SctpEvent::abort;
    }
    return sctp_event_of(first->type);
}

/// Replaces the ports (raw, as they lie) and the checksum of the `length` bytes at `sctp`. False,
/// and nothing changed, if the checksum was wrong before: a damaged packet must not be sealed anew.
inline bool sctp_set_ports(std::byte* sctp, size_t length, uint16_t source, uint16_t destination) {
    wire::Sctp before;
    std::memcpy(&before, sctp, sizeof before);
    const uint32_t claimed = before.checksum;
    before.checksum = 0;
    wire::Sctp after = before;
    after.source_port = source;
    after.destination_port = destination;
    const auto seed = [](const wire::Sctp& h) {
        return crc32c(kCrc32cStart, reinterpret_cast<const std::byte*>(&h), sizeof h);
    };
    const Crc32cPair sums =
        crc32c_both({seed(before), seed(after)}, sctp + sizeof before, length - sizeof before);
    if (crc32c_end(sums.first) != claimed) return false;
    after.checksum = crc32c_end(sums.second);
    std::memcpy(sctp, &after, sizeof after);
    return true;
}

/// Replaces the ports of a packet that begins at `sctp` and has `length` bytes in all, of which the
/// common header lies there; the others need not be. The checksum gets the same change, and so is
/// as right or wrong afterwards as before.
inline void sctp_change_ports(std::byte* sctp, size_t length, uint16_t source,
                              uint16_t destination) {
    wire::Sctp header;
    std::memcpy(&header, sctp, sizeof header);
    const uint16_t change[] = {uint16_t(header.source_port ^ source),
                               uint16_t(header.destination_port ^ destination)};
    std::byte bytes[sizeof change];
    std::memcpy(bytes, change, sizeof change);
    header.checksum ^= crc32c_over_zeros(crc32c(0, bytes, sizeof bytes), length - sizeof bytes);
    header.source_port = source;
    header.destination_port = destination;
    std::memcpy(sctp, &header, sizeof header);
}

/// An event in the place of TCP's flags: an INIT begins a connection as a SYN does, an ABORT as
/// little as a reset.
constexpr uint8_t sctp_flags(flow::SctpEvent e) {
    const uint8_t like = e == flow::SctpEvent::init    ? wire::kSyn
                         : e == flow::SctpEvent::abort ? wire::kRst
                                                       : uint8_t(0);
    return uint8_t(uint8_t(e) << 4 | like);
}
constexpr flow::SctpEvent sctp_event_in(uint8_t flags) { return flow::SctpEvent(flags >> 4); }

/// parse() of an SCTP packet: ports and event. Its checksum is verified where it changes.
Verdict parse_sctp(Packet&, const std::byte* sctp, uint32_t length);

/// NAT of the ports and checksum (which covers no addresses). Other than open, and nothing changed,
/// if the checksum of a whole packet was wrong, or a first fragment's datagram is not known any
/// more: the checksum covers all of it, so that its length must be known.
Verdict translate_sctp(Context&, Packet&);

}  // namespace torii::stages
