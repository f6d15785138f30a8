#pragma once
// The chain of IPv6 extension headers (RFC 8200 4), bounded in length.

#include <cstddef>
#include <cstdint>

#include "dataplane/stages/verdict.h"

namespace torii::stages {

inline constexpr int kMaxExtensions = 8;

/// A header behind which another one may follow.
constexpr bool is_extension(uint8_t type) {
    return type == 0 || type == 43 || type == 44 || type == 51 || type == 60;
}

struct Chain {
    Verdict verdict = Verdict::open;  ///< open: `protocol` and `offset` are good
    uint8_t protocol = 0;             ///< of the upper layer
    uint16_t offset = 0;              ///< of the upper layer, from the IPv6 header
    bool fragment = false;        ///< there is a fragment header that says more than "whole packet"
    bool later_fragment = false;  ///< not the first: there is no upper-layer header
    uint16_t fragment_header = 0;  ///< offset of that fragment header; 0: none
    uint8_t fragment_next = 0;     ///< what it says comes next: the same in all of a datagram
};

/// Walks the chain of the IPv6 header at `ip`, of which `length` bytes (at least 40) may be read.
/// Truncated: drop_truncated. ESP, no next header, a routing header with segments left, or too many
/// headers: kernel_other.
Chain walk_extensions(const std::byte* ip, uint32_t length);

}  // namespace torii::stages
