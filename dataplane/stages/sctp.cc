#include "dataplane/stages/sctp.h"

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

bool translate_sctp(Context& c, Packet& p) {
    const flow::Head& cell = c.flows.head(p.entry);
    const bool reply = p.direction == Direction::reply;
    std::byte* const sctp = p.data + p.l4;
    wire::Sctp header;
    std::memcpy(&header, sctp, sizeof header);
    (reply ? header.source_port : header.destination_port) =
        reply ? cell.virtual_port : cell.backend_port;
    uint32_t ports;
    std::memcpy(&ports, sctp, sizeof ports);
    if (std::memcmp(&ports, &header, sizeof ports) == 0) return true;  // as LVS: nothing to seal
    const size_t length = size_t(p.l3) + p.l3_length - p.l4;
    return sctp_set_ports(sctp, length, header.source_port, header.destination_port);
}

}  // namespace torii::stages
