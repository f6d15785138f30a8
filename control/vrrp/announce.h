#pragma once
// Telling the Ethernet where an address is now: gratuitous ARP requests (RFC 5227's announcement,
// as keepalived sends them) and unsolicited neighbour advertisements (RFC 4861 section 7.2.6).

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "config/base/address.h"
#include "config/base/error.h"

namespace torii::control::vrrp {

inline constexpr size_t kArpFrame = 42, kNaFrame = 86;

/// An announcement as an Ethernet frame; `size` bytes of it count.
struct AnnounceFrame {
    std::array<std::byte, kNaFrame> bytes{};
    size_t size = 0;
    std::span<const std::byte> span() const { return {bytes.data(), size}; }
};
/// `router` sets the R flag of a neighbour advertisement.
AnnounceFrame announce_frame(const Address&, const Mac&, bool router);

/// A packet socket that only sends; frames carry their own Ethernet header. One thread.
class FrameSocket {
public:
    static Result<std::unique_ptr<FrameSocket>> open();
    ~FrameSocket();
    FrameSocket(const FrameSocket&) = delete;
    FrameSocket& operator=(const FrameSocket&) = delete;
    /// Never waits. False when the kernel would not take the frame; errno says why.
    bool send(uint32_t ifindex, std::span<const std::byte> frame) const;

private:
    explicit FrameSocket(int fd) : fd_(fd) {}
    int fd_;
};

/// An advert with its IP and Ethernet headers, for senders with a virtual MAC: to the group, TTL or
/// hop limit 255, traffic class 0xc0. Returns the frame's length; 0 when `out` is too small.
size_t advert_frame(std::span<const std::byte> message, const Address& source, const Mac& from,
                    std::span<std::byte> out);

}  // namespace torii::control::vrrp
