#include "tests/bench/flows.h"

#include <fmt/format.h>

#include "dataplane/stages/headers.h"
#include "tests/bench/results.h"

namespace torii::bench {
namespace {

namespace wire = stages::wire;

constexpr uint64_t kClients = 1u << 22;  // 100.64.0.0/10

// Slow and obvious; nothing of it is measured.
uint32_t sum16(const void* data, size_t length, uint32_t sum = 0) {
    const auto* p = static_cast<const uint8_t*>(data);
    for (size_t i = 0; i < length; i += 2)
        sum += uint32_t(p[i]) << 8 | (i + 1 < length ? p[i + 1] : 0);
    return sum;
}
uint16_t checksum(uint32_t sum) {
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return be16::from_host(uint16_t(~sum)).raw();
}

struct Ends {
    Address source, destination;
    uint16_t source_port, destination_port;
};

void write_upper(std::byte* at, uint16_t length, const Ends& e, Protocol protocol,
                 Segment segment) {
    auto* udp = reinterpret_cast<wire::Udp*>(at);
    udp->source_port = be16::from_host(e.source_port).raw();
    udp->destination_port = be16::from_host(e.destination_port).raw();
    uint16_t* field = nullptr;
    if (protocol == Protocol::tcp) {
        auto* tcp = reinterpret_cast<wire::Tcp*>(at);
        tcp->data_offset = 5 << 4;
        tcp->flags = segment == Segment::syn ? wire::kSyn : 0x10;
        field = reinterpret_cast<uint16_t*>(at + offsetof(wire::Tcp, checksum));
    } else {
        udp->length = be16::from_host(length).raw();
        field = reinterpret_cast<uint16_t*>(at + offsetof(wire::Udp, checksum));
    }
    const bool v4 = e.source.is_v4();
    const size_t from = v4 ? 12 : 0, bytes = v4 ? 4 : 16;
    uint32_t sum = uint32_t(protocol) + length;
    sum = sum16(&e.source.bytes[from], bytes, sum);
    sum = sum16(&e.destination.bytes[from], bytes, sum);
    *field = checksum(sum16(at, length, sum));
}

}  // namespace

Flow flow_of(const World& world, uint64_t n) {
    const uint32_t client = uint32_t(n % kClients);
    Flow f;
    f.client = world.virtual_address();
    if (world.spec().ipv6) {
        f.client.bytes[5] = 0x0c;
        const uint64_t low = be64::from_host(client).raw();
        std::memcpy(&f.client.bytes[8], &low, 8);
    } else {
        f.client = Address::v4(be32::from_host(0x64400000u + client));
    }
    f.port = uint16_t(1024 + (client * 2654435761u / 65536 + n / kClients * 1009) % 60000);
    f.protocol = n % 2 ? Protocol::udp : Protocol::tcp;
    f.backend = uint32_t(n % world.spec().backends);
    return f;
}

uint16_t FrameWriter::write(std::byte* at, const Flow& f, Segment segment) const {
    const bool nat = world_.spec().forward == shm::Forward::nat, ipv6 = world_.spec().ipv6;
    const Address& vip = world_.virtual_address();
    const Ends e = segment == Segment::reply ? Ends{nat ? world_.backend(f.backend) : vip, f.client,
                                                    nat ? kBackendPort : kServicePort, f.port}
                                             : Ends{f.client, vip, f.port, kServicePort};
    const size_t header = sizeof(wire::Ethernet) + (ipv6 ? sizeof(wire::Ipv6) : sizeof(wire::Ipv4));
    const size_t smallest = f.protocol == Protocol::tcp ? sizeof(wire::Tcp) : sizeof(wire::Udp);
    const auto length = uint16_t(std::max<size_t>(60, header + smallest));
    std::memset(at, 0, length);
    std::memset(at, 2, 12);
    auto* ethernet = reinterpret_cast<wire::Ethernet*>(at);
    const auto upper = uint16_t(length - header);
    if (ipv6) {
        ethernet->type = wire::kTypeIpv6;
        auto* ip = reinterpret_cast<wire::Ipv6*>(at + sizeof(wire::Ethernet));
        ip->version_class_flow = be32::from_host(6u << 28).raw();
        ip->payload_length = be16::from_host(upper).raw();
        ip->next_header = uint8_t(f.protocol);
        ip->hop_limit = 64;
        std::memcpy(ip->source, e.source.bytes.data(), 16);
        std::memcpy(ip->destination, e.destination.bytes.data(), 16);
    } else {
        ethernet->type = wire::kTypeIpv4;
        auto* ip = reinterpret_cast<wire::Ipv4*>(at + sizeof(wire::Ethernet));
        ip->version_ihl = 0x45;
        ip->total_length = be16::from_host(uint16_t(length - sizeof(wire::Ethernet))).raw();
        ip->ttl = 64;
        ip->protocol = uint8_t(f.protocol);
        ip->source = e.source.as_v4().raw();
        ip->destination = e.destination.as_v4().raw();
        ip->checksum = checksum(sum16(ip, sizeof *ip));
    }
    write_upper(at + header, upper, e, f.protocol, segment);
    return length;
}

void establish(World& world, uint64_t count) {
    constexpr uint64_t kAhead = 16;
    const bool nat = world.spec().forward == shm::Forward::nat;
    const auto port = be16::from_host(nat ? kBackendPort : kServicePort);
    const shm::Timeouts& timeouts = world.view().services.header->timeouts;
    flow::Table::Worker& flows = world.flows();
    stages::Context c = world.now();
    uint64_t hashes[kAhead];
    for (uint64_t base = 0; base < count; base += kAhead) {
        const uint64_t end = std::min(count, base + kAhead);
        for (uint64_t n = base; n < end; ++n) {
            const Flow f = flow_of(world, n);
            hashes[n - base] =
                flow::hash_of(world.table().seed(), f.protocol, f.client, be16::from_host(f.port));
            flows.prefetch_bucket(hashes[n - base]);
        }
        for (uint64_t n = base; n < end; ++n) {
            const Flow f = flow_of(world, n);
            flow::NewEntry e;
            e.tuple = {f.client,
                       world.virtual_address(),
                       world.backend(f.backend),
                       be16::from_host(f.port),
                       be16::from_host(kServicePort),
                       port,
                       f.protocol};
            e.backend = world.slot(f.backend, f.protocol);
            e.backend_generation = 1;
            e.service_slot = f.protocol == Protocol::udp;
            e.forward = world.spec().forward;
            const bool tcp = f.protocol == Protocol::tcp;
            if (tcp) e.state = uint8_t(flow::TcpState::established);
            if (!tcp) e.flags |= flow::kInactive;
            if (!nat) e.flags |= flow::kNoOutput;
            const uint32_t seconds =
                tcp ? timeouts.tcp[size_t(flow::TcpState::established)] : timeouts.udp;
            e.expiry = c.now + seconds * flow::kTicksPerSecond;
            if (!flows.insert(e, hashes[n - base], c.now).created)
                give_up(fmt::format("only {} of {} connections fit into the table", n, count));
        }
        flows.quiescent();
    }
}

}  // namespace torii::bench
