#include "dataplane/io/ring.h"

#include <fmt/format.h>
#include <rte_errno.h>

#include <array>

namespace torii::io {

void RingFree::operator()(rte_ring* r) const {
    std::array<rte_mbuf*, 32> left;
    while (const unsigned n = rte_ring_dequeue_burst(r, reinterpret_cast<void**>(left.data()),
                                                     left.size(), nullptr))
        rte_pktmbuf_free_bulk(left.data(), n);
    rte_ring_free(r);
}

Result<Ring> make_ring(const std::string& name, unsigned size) {
    Ring ring(rte_ring_create(name.c_str(), size, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ));
    if (!ring) return fail(Errc::full, fmt::format("ring {}: {}", name, rte_strerror(rte_errno)));
    return ring;
}

}  // namespace torii::io
