#pragma once
// A bounded ring of packets between two threads, one that puts in and one that takes out. Frees
// what is left in it.

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <memory>
#include <string>

#include "config/base/error.h"

namespace torii::io {

struct RingFree {
    void operator()(rte_ring*) const;
};
using Ring = std::unique_ptr<rte_ring, RingFree>;

/// `size` is a power of two; one place of it stays empty. The name is unique in the process.
Result<Ring> make_ring(const std::string& name, unsigned size);

inline unsigned put(const Ring& ring, rte_mbuf** packets, unsigned count) {
    return rte_ring_enqueue_burst(ring.get(), reinterpret_cast<void**>(packets), count, nullptr);
}
inline unsigned get(const Ring& ring, rte_mbuf** packets, unsigned room) {
    return rte_ring_dequeue_burst(ring.get(), reinterpret_cast<void**>(packets), room, nullptr);
}

}  // namespace torii::io
