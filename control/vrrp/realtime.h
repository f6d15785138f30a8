#pragma once
// What makes a thread punctual. Thread-safety: each call concerns the calling thread, lock_memory()
// the process.

#include <functional>
#include <string>
#include <thread>

#include "config/base/error.h"

namespace torii::control::vrrp {

/// Keeps every page that has been touched, and will be, in memory. Nothing is read in before it is
/// needed, so that large mappings cost nothing.
Result<> lock_memory();

/// Gives the thread its name, blocks all signals, touches its stack, and makes it SCHED_FIFO with
/// this priority (0: leaves it an ordinary thread). An error says why it is not real-time; the rest
/// is done all the same.
Result<> become_punctual(const char* name, unsigned priority);

/// Starts a thread that becomes punctual and then does `work`. `warning` says why it is not
/// real-time.
std::thread start_punctual(const char* name, unsigned priority, std::function<void()> work,
                           std::string& warning);

}  // namespace torii::control::vrrp
