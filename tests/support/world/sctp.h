#pragma once
// SCTP packets with their CRC32c, made by the table and not by the code under test's instructions.

#include <cstring>
#include <span>

#include "dataplane/stages/crc32c.h"
#include "tests/support/frame.h"

namespace torii::test {

/// Makes the checksum of a whole SCTP packet right.
inline void seal_sctp(std::span<std::byte> packet) {
    std::memset(&packet[8], 0, 4);
    const uint32_t sum =
        ~stages::crc32c_by_table(stages::kCrc32cStart, packet.data(), packet.size());
    std::memcpy(&packet[8], &sum, sizeof sum);
}

/// A packet of one chunk of that type with so many bytes behind its header, sealed.
inline Bytes sctp_packet(uint16_t source, uint16_t destination, uint8_t chunk, size_t data = 0) {
    Bytes b = bytes_of({source >> 8, source & 255, destination >> 8, destination & 255, 1, 2, 3, 4,
                        0, 0, 0, 0, chunk, 0, 0, int(4 + data)});
    const Bytes more = filler((data + 3) / 4 * 4);
    b.insert(b.end(), more.begin(), more.end());
    seal_sctp(b);
    return b;
}

}  // namespace torii::test
