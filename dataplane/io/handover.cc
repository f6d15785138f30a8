#include "dataplane/io/handover.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace torii::io {
namespace {

unsigned ring_size(unsigned workers) {
    return std::bit_floor(std::clamp(1024u / std::max(workers, 1u), 32u, 512u));
}

}  // namespace

unsigned Handover::room(unsigned workers) { return (workers - 1) * ring_size(workers); }

Result<std::unique_ptr<Handover>> Handover::open(unsigned workers) {
    std::unique_ptr<Handover> h(new Handover(workers));
    for (unsigned to = 0; to < workers; ++to)
        for (unsigned from = 0; from < workers; ++from) {
            h->rings_.emplace_back();
            if (from == to) continue;
            auto ring = make_ring(fmt::format("handover_{}_{}", from, to), ring_size(workers));
            if (!ring) return tl::unexpected(ring.error());
            h->rings_.back() = std::move(*ring);
        }
    return h;
}

unsigned Handover::take(unsigned to, rte_mbuf** packets, unsigned most) {
    unsigned n = 0;
    for (unsigned from = 0; from < workers_ && n < most; ++from)
        if (from != to) n += get(rings_[to * workers_ + from], packets + n, most - n);
    return n;
}

}  // namespace torii::io
