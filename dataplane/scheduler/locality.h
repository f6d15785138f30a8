#pragma once
// Locality: which backends serve a destination address: the memory of lblc and lblcr.
//
// One a worker, for all its services: a hash table of fixed size, 4-way, in which the entry that
// was unused for the longest gives way (the kernel's grows to 16384 a service and then drops what
// was unused for 6 minutes). Its memory is zero pages until it is used.
//
// Belongs to one thread. Time is a parameter, in seconds. Nothing here allocates but create().

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "config/base/address.h"

namespace torii::scheduler {

/// The backends of one destination of one service, the one added last first.
struct Local {
    static constexpr uint32_t kMost = 16;  ///< more give way to newer ones
    uint64_t service = 0;                  ///< which, and which life of it; 0 = the entry is free
    Address destination{};
    uint32_t used = 0;     ///< when it was last asked for
    uint32_t changed = 0;  ///< when a backend was last added
    uint32_t size = 0;
    std::array<uint32_t, kMost> backends{};  ///< slots

    void add(uint32_t backend, uint32_t now);  ///< unless it is there
    void drop(uint32_t position);
};

class Locality {
public:
    static constexpr uint32_t kEntries = 16384;
    /// Without memory (there was none) it finds and remembers nothing.
    static Locality create();

    /// What is remembered, if it was used in the last `expiration` seconds; it is used now.
    Local* find(uint64_t service, const Address& destination, uint32_t now, uint32_t expiration);
    /// A new entry, empty, in the place of an old one; nullptr without memory.
    Local* make(uint64_t service, const Address& destination, uint32_t now);

private:
    static constexpr uint32_t kWays = 4;
    Local* set_of(uint64_t service, const Address& destination) const;
    struct Free {
        void operator()(Local* p) const { std::free(p); }
    };
    std::unique_ptr<Local[], Free> entries_;
};

}  // namespace torii::scheduler
