#include "dataplane/stages/sctp.h"

#include "dataplane/stages/fragment.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {

Verdict parse_sctp(Packet& p, const std::byte* sctp, uint32_t length) {
    if (length < sizeof(wire::Sctp)) return Verdict::drop_truncated;
    const auto* header = reinterpret_cast<const wire::Sctp*>(sctp);
    p.source_port = be16::from_raw(header->source_port);
    p.destination_port = be16::from_raw(header->destination_port);
    p.tcp_flags = sctp_flags(sctp_event(sctp, length));
    return Verdict::open;
}

Verdict translate_sctp(Context& c, Packet& p) {
    const flow::Head& cell = c.flows.head(p.entry);
    const bool reply = p.direction == Direction::reply;
    std::byte* const sctp = p.data + p.l4;
    wire::Sctp header;
    std::memcpy(&header, sctp, sizeof header);
    (reply ? header.source_port : header.destination_port) =
        reply ? cell.virtual_port : cell.backend_port;
    uint32_t ports;
    std::memcpy(&ports, sctp, sizeof ports);
    if (std::memcmp(&ports, &header, sizeof ports) == 0) return Verdict::open;  // nothing to seal
    const size_t length = size_t(p.l3) + p.l3_length - p.l4;
    if (p.is_fragment) [[unlikely]] {
        const size_t whole = c.state.fragments.end_of(p.datagram);
        if (whole == 0) return Verdict::drop_fragment_full;
        const size_t rest = whole - read_fragment(p).length;
        sctp_change_ports(sctp, length + rest, header.source_port, header.destination_port);
        return Verdict::open;
    }
    return sctp_set_ports(sctp, length, header.source_port, header.destination_port)
               ? Verdict::open
               : Verdict::drop_bad_checksum;
}

}  // namespace torii::stages
