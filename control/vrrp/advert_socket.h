#pragma once
// The socket adverts come and go by: raw IP protocol 112 on one interface, for one family. A filter
// in the kernel passes only the router ids that are ours, and what is taken in is bounded, so that
// a flood costs little and delays nothing.
//
// Thread-safety: one thread at a time. open() and close() may wait for the kernel's network lock,
// so the thread that has deadlines leaves them to another one; send() and receive() never wait.

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "config/base/address.h"
#include "config/base/error.h"
#include "vrrp/codec.h"

namespace torii::control::vrrp {

using RouterIds = std::bitset<256>;

class AdvertSocket {
public:
    static constexpr size_t kBatch = 64;

    /// Bound to the interface and a member of VRRP's multicast group on it.
    static Result<std::unique_ptr<AdvertSocket>> open(uint32_t ifindex, const std::string& name,
                                                      Family);
    ~AdvertSocket();
    AdvertSocket(const AdvertSocket&) = delete;
    AdvertSocket& operator=(const AdvertSocket&) = delete;

    int fd() const { return fd_; }
    uint32_t ifindex() const { return ifindex_; }
    Family family() const { return family_; }

    /// From now on only messages for these router ids are taken in. Never waits for the network
    /// lock.
    Result<> accept(const RouterIds&);

    /// Sends with TTL 255. False when the kernel would not take it; errno says why.
    bool send(std::span<const std::byte> message, const Address& source,
              const Address& destination) const;

    /// Up to kBatch messages that wait. They stay valid until the next call.
    std::span<const torii::vrrp::Received> receive();
    /// Messages lost since the last call because nobody took them in.
    uint32_t lost();

private:
    struct Buffers;
    AdvertSocket(int fd, uint32_t ifindex, Family);
    bool parse(size_t index, torii::vrrp::Received&);
    void count_lost(uint32_t kernels_total);

    int fd_;
    uint32_t ifindex_;
    Family family_;
    uint32_t lost_total_ = 0, lost_told_ = 0;
    std::unique_ptr<Buffers> buffers_;
};

}  // namespace torii::control::vrrp
