#pragma once
// The load: flows by number, and the frames that belong to them. Flow n is always the same client,
// even numbers TCP, odd ones UDP; its server is the (n % backends)-th.

#include <cstdint>

#include "tests/bench/world.h"

namespace torii::bench {

struct Flow {
    Address client;
    uint16_t port;  ///< host order
    Protocol protocol;
    uint32_t backend;  ///< number of the server
};
/// For n < 200 million.
Flow flow_of(const World&, uint64_t n);

enum class Segment : uint8_t { syn, request, reply };

/// Writes the smallest Ethernet frame there is for it (60 bytes without the checksum; 74 for TCP
/// over IPv6), with correct checksums. Returns its length. The TCP flag is ACK but for a syn.
class FrameWriter {
public:
    explicit FrameWriter(const World& world) : world_(world) {}
    uint16_t write(std::byte* at, const Flow&, Segment) const;

private:
    const World& world_;
};

/// Puts flows 0..count-1 into the table, established, as if their packets had been seen.
void establish(World&, uint64_t count);

}  // namespace torii::bench
