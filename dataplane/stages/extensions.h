#pragma once
// The chain of IPv6 extension headers (RFC 8200 4), bounded in length.

#include <cstddef>
#include <cstdint>

#include "dataplane/stages/verdict.h"

namespace torii::stages {

inline constexpr int kMaxExtensions = 8;

struct Chain {
    Verdict verdict = Verdict::open;  ///< open: `protocol` and `offset` are good
    uint8_t protocol = 0;             ///< of the upper layer
    uint16_t offset = 0;              ///< of the upper layer, from the IPv6 header
    bool fragment = false;        ///< there is a fragment header that says more than "whole packet"
    bool later_fragment = false;  ///< not the first: there is no upper-layer header
};

/// Walks the chain of the IPv6 header at `ip`, of which `length` bytes (at least 40) may be read.
/// Truncated: drop_truncated. ESP, no next header, a routing header with segments left, or too many
/// headers: kernel_other.
Chain walk_extensions(const std::byte* ip, uint32_t length);

}  // namespace torii::stages
