#pragma once
// Durations and sizes as people write them: 500ms, 2s, 5m; 64k, 1M, 2G.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "config/base/error.h"

namespace torii {

/// us, ms, s, m, h, d; a bare number means seconds. Fractions are refused.
Result<std::chrono::microseconds> parse_duration(std::string_view);
/// The shortest exact spelling: 1500000us -> "1500ms", 120s -> "2m".
std::string to_string(std::chrono::microseconds);
/// A count with an optional k, M or G, powers of 1024 (64k = 65536, 1M = 1048576).
Result<uint64_t> parse_size(std::string_view);

}  // namespace torii
