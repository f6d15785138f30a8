#pragma once
// What the machine offers, as far as the configuration depends on it.

#include <cstdint>
#include <set>
#include <string>

#include "config/base/address.h"

namespace torii::config {

struct Machine {
    unsigned cpus = 0;          ///< cores are numbered 0 to cpus - 1
    uint64_t memory_bytes = 0;  ///< physical memory
    std::set<std::string> interfaces;
    std::set<Address> addresses;  ///< of all interfaces
};

/// Asks the kernel, for the network namespace of the caller.
Machine this_machine();

}  // namespace torii::config
