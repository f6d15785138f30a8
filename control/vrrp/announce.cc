#include "control/vrrp/announce.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "vrrp/codec.h"

namespace torii::control::vrrp {
namespace {

namespace wire = torii::vrrp;

constexpr Mac kBroadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
constexpr size_t kEthernet = 14, kIpv4 = 20, kIpv6 = 40;
constexpr uint8_t kNeighbourAdvert = 136, kTargetLinkAddress = 2;
constexpr uint8_t kRouterFlag = 0x80, kOverrideFlag = 0x20;

// Writes a frame from its beginning.
class Writer {
public:
    explicit Writer(std::span<std::byte> out) : out_(out) {}
    Writer& bytes(const void* data, size_t n) {
        std::memcpy(out_.data() + at_, data, n);
        at_ += n;
        return *this;
    }
    Writer& u8(uint8_t v) { return bytes(&v, 1); }
    Writer& u16(uint16_t v) {
        const uint16_t raw = be16::from_host(v).raw();
        return bytes(&raw, 2);
    }
    Writer& u32(uint32_t v) {
        const uint32_t raw = be32::from_host(v).raw();
        return bytes(&raw, 4);
    }
    Writer& mac(const Mac& m) { return bytes(m.bytes.data(), 6); }
    Writer& address(const Address& a) {
        return a.is_v4() ? bytes(a.bytes.data() + 12, 4) : bytes(a.bytes.data(), 16);
    }
    size_t size() const { return at_; }

private:
    std::span<std::byte> out_;
    size_t at_ = 0;
};

uint32_t sum(std::span<const std::byte> bytes, uint32_t from = 0) {
    for (size_t i = 0; i + 1 < bytes.size(); i += 2)
        from += uint32_t(bytes[i]) << 8 | uint32_t(bytes[i + 1]);
    if (bytes.size() % 2) from += uint32_t(bytes.back()) << 8;
    return from;
}
uint16_t folded(uint32_t s) {
    while (s >> 16) s = (s & 0xffff) + (s >> 16);
    return uint16_t(~s);
}
void store(std::span<std::byte> at, uint16_t value) {
    at[0] = std::byte(value >> 8);
    at[1] = std::byte(value & 0xff);
}

// RFC 1112 section 6.4, RFC 2464 section 7.
Mac multicast_mac(const Address& group) {
    const auto& b = group.bytes;
    if (group.is_v4()) return {{0x01, 0x00, 0x5e, uint8_t(b[13] & 0x7f), b[14], b[15]}};
    return {{0x33, 0x33, b[12], b[13], b[14], b[15]}};
}

void arp(Writer& w, const Address& a, const Mac& m) {
    w.mac(kBroadcast).mac(m).u16(ETH_P_ARP);
    w.u16(1).u16(ETH_P_IP).u8(6).u8(4).u16(1);  // a request
    w.mac(m).address(a).mac(kBroadcast).address(a);
}

void neighbour_advert(Writer& w, std::span<std::byte> out, const Address& a, const Mac& m,
                      bool router) {
    const Address all_nodes = *parse_address("ff02::1");
    w.mac(multicast_mac(all_nodes)).mac(m).u16(ETH_P_IPV6);
    w.u32(0x60000000).u16(32).u8(58).u8(255).address(a).address(all_nodes);
    w.u8(kNeighbourAdvert).u8(0).u16(0);
    w.u32(uint32_t(kOverrideFlag | (router ? kRouterFlag : 0)) << 24).address(a);
    w.u8(kTargetLinkAddress).u8(1).mac(m);
    // The pseudo header: both addresses, length, next header.
    const uint32_t s = sum(out.subspan(kEthernet + 8, 32), 32 + 58);
    const auto message = out.subspan(kEthernet + kIpv6, 32);
    store(message.subspan(2), folded(sum(message, s)));
}

}  // namespace

AnnounceFrame announce_frame(const Address& a, const Mac& m, bool router) {
    AnnounceFrame f;
    Writer w(f.bytes);
    a.is_v4() ? arp(w, a, m) : neighbour_advert(w, f.bytes, a, m, router);
    f.size = w.size();
    return f;
}

size_t advert_frame(std::span<const std::byte> message, const Address& source, const Mac& from,
                    std::span<std::byte> out) {
    const bool v4 = source.is_v4();
    if (out.size() < kEthernet + (v4 ? kIpv4 : kIpv6) + message.size()) return 0;
    const Address group = wire::group_address(source.family());
    Writer w(out);
    w.mac(multicast_mac(group)).mac(from).u16(v4 ? ETH_P_IP : ETH_P_IPV6);
    if (v4) {
        w.u8(0x45).u8(wire::kTrafficClass).u16(uint16_t(kIpv4 + message.size())).u16(0).u16(0);
        w.u8(wire::kTtl).u8(wire::kIpProtocol).u16(0).address(source).address(group);
        const auto header = out.subspan(kEthernet, kIpv4);
        store(header.subspan(10), folded(sum(header)));
    } else {
        w.u32(0x60000000u | uint32_t(wire::kTrafficClass) << 20).u16(uint16_t(message.size()));
        w.u8(wire::kIpProtocol).u8(wire::kTtl).address(source).address(group);
    }
    w.bytes(message.data(), message.size());
    return w.size();
}

Result<std::unique_ptr<FrameSocket>> FrameSocket::open() {
    // Protocol 0: nothing is received.
    const int fd = ::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return fail_errno("cannot open a packet socket", errno);
    return std::unique_ptr<FrameSocket>(new FrameSocket(fd));
}
FrameSocket::~FrameSocket() { ::close(fd_); }

bool FrameSocket::send(uint32_t ifindex, std::span<const std::byte> frame) const {
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = int(ifindex);
    to.sll_halen = 6;
    std::memcpy(to.sll_addr, frame.data(), 6);
    return ::sendto(fd_, frame.data(), frame.size(), MSG_DONTWAIT,
                    reinterpret_cast<const sockaddr*>(&to), sizeof to) == ssize_t(frame.size());
}

}  // namespace torii::control::vrrp
