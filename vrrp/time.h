#pragma once
// Time as VRRP's pure half sees it: always a parameter, never a clock.

#include <chrono>

namespace torii::vrrp {

using Duration = std::chrono::microseconds;
/// A point of the monotonic clock (CLOCK_MONOTONIC), which no operator can set.
using Time = std::chrono::time_point<std::chrono::steady_clock, Duration>;

/// No deadline.
inline constexpr Time kNever = Time::max();

}  // namespace torii::vrrp
