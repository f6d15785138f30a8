// forward_nat: requests get the backend's address and port, replies the virtual ones. Checksums by
// RFC 1624: nothing of the payload is read.

#include <bit>

#include "config/base/either.h"
#include "dataplane/stages/checksum.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

// The time to live lies in the first byte of its 16-bit word, so that ~old + new is the same for
// every packet (check_limits() has let none with 0 pass).
void decrement_ttl(wire::Ipv4* ip, Delta& delta) {
    delta.sum += 0xfffe;
    --ip->ttl;
}
static_assert([] {
    Delta d;
    d.change16(64, 63);
    return d.sum;
}() == 0xfffe);

// What stands at offset `at` of a cell, or `apart` bytes before it for a reply. The two values that
// a request and a reply are given lie next to each other; a load from a computed place is one step.
template <class T>
T given(const flow::Head& cell, bool reply, size_t at, size_t apart) {
    T value;
    std::memcpy(&value, reinterpret_cast<const std::byte*>(&cell) + at - reply * apart,
                sizeof value);
    return value;
}
uint16_t port_given(const flow::Head& cell, bool reply) {
    static_assert(offsetof(flow::Head, backend_port) == offsetof(flow::Head, virtual_port) + 2);
    return given<uint16_t>(cell, reply, offsetof(flow::Head, backend_port), 2);
}

// UDP's 0 means "no checksum" and stays; a computed 0 is sent as 0xffff (RFC 768).
[[gnu::always_inline]] inline void rewrite_upper(std::byte* upper, bool tcp, bool reply,
                                                 uint16_t port, Delta delta) {
    // Of {source, destination}, the half that changes is brought up, exchanged and taken back.
    const int turn = int(reply) * 16;
    uint32_t ports;
    std::memcpy(&ports, upper, sizeof ports);  // TCP and UDP have theirs in the same place
    ports = std::rotl(ports, turn);
    delta.change16(uint16_t(ports >> 16), port);
    ports = std::rotr((ports & 0xffff) | uint32_t(port) << 16, turn);
    std::memcpy(upper, &ports, sizeof ports);
    std::byte* const field =
        upper + either<size_t>(tcp, offsetof(wire::Tcp, checksum), offsetof(wire::Udp, checksum));
    uint16_t checksum;
    std::memcpy(&checksum, field, sizeof checksum);
    if (!tcp & (checksum == 0)) [[unlikely]]
        return;
    checksum = update(checksum, delta);
    if (!tcp & (checksum == 0)) [[unlikely]]
        checksum = 0xffff;
    std::memcpy(field, &checksum, sizeof checksum);
}

void rewrite4(Context& c, Packet& p) {
    const flow::Cell4& cell = c.flows.cell4(p.entry);
    const bool reply = p.direction == Direction::reply, tcp = p.protocol == wire::kTcp;
    static_assert(offsetof(flow::Cell4, backend_address) ==
                  offsetof(flow::Cell4, virtual_address) + 4);
    const auto address =
        given<uint32_t>(cell.head, reply, offsetof(flow::Cell4, backend_address), 4);
    const uint16_t port = port_given(cell.head, reply);
    auto* const ip = p.at<wire::Ipv4>(p.l3);
    std::byte* const upper = p.data + p.l4;
    const int turn = int(reply) * 32;
    uint64_t both;  // source and destination
    std::memcpy(&both, &ip->source, sizeof both);
    both = std::rotl(both, turn);
    Delta delta;
    delta.change32(uint32_t(both >> 32), address);
    both = std::rotr((both & 0xffffffff) | uint64_t(address) << 32, turn);
    std::memcpy(&ip->source, &both, sizeof both);
    rewrite_upper(upper, tcp, reply, port, delta);
    decrement_ttl(ip, delta);
    ip->checksum = update(ip->checksum, delta);
}

void rewrite6(Context& c, Packet& p) {
    const flow::Cell6& cell = c.flows.cell6(p.entry);
    const bool reply = p.direction == Direction::reply, tcp = p.protocol == wire::kTcp;
    const uint16_t port = port_given(cell.head, reply);
    auto* const ip = p.at<wire::Ipv6>(p.l3);
    std::byte* const upper = p.data + p.l4;
    uint8_t* field = either(reply, ip->source, ip->destination);
    const uint8_t* address = either(reply, cell.virtual_address, cell.backend_address);
    Delta delta;
    delta.change128(field, address);
    std::memcpy(field, address, 16);
    rewrite_upper(upper, tcp, reply, port, delta);
    --ip->hop_limit;
}

void forward_one(Context& c, Packet& p) {
    if (p.is_icmp_error) [[unlikely]] {
        translate_icmp(c, p);
        if (p.verdict != Verdict::open) return;
        p.intended = Verdict::icmp_related;
        if (p.ipv6) {
            --p.at<wire::Ipv6>(p.l3)->hop_limit;
            return;
        }
        auto* ip = p.at<wire::Ipv4>(p.l3);
        Delta delta;
        decrement_ttl(ip, delta);
        ip->checksum = update(ip->checksum, delta);
        return;
    }
    p.ipv6 ? rewrite6(c, p) : rewrite4(c, p);
    static_assert(int(Direction::reply) == 1 &&
                  int(Verdict::nat_reply) == int(Verdict::nat_request) + 1);
    p.intended = Verdict(uint8_t(Verdict::nat_request) + uint8_t(p.direction));
}

}  // namespace

void forward_nat(Context& c, std::span<Packet> burst) {
    each_open(burst, [&](Packet& p) {
        if (p.nat) forward_one(c, p);
    });
}

}  // namespace torii::stages
