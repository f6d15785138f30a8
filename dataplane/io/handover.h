#pragma once
// Packets that one worker has received and another one has to handle: fragments, which all have to
// come together where their datagram is known, whatever queue the card chose for each.
//
// A bounded ring for each pair of workers, so that nobody waits for anybody: a full one refuses,
// and the giver counts it. Rings are small, because the taker looks at them in each of its rounds.

#include <memory>
#include <vector>

#include "dataplane/io/ring.h"

namespace torii::io {

class Handover {
public:
    static Result<std::unique_ptr<Handover>> open(unsigned workers);

    /// Packets that may be under way to one worker.
    static unsigned room(unsigned workers);

    /// Worker `from`: false when the ring is full; the packet then stays the caller's.
    bool give(unsigned from, unsigned to, rte_mbuf* packet) {
        return put(rings_[to * workers_ + from], &packet, 1) == 1;
    }
    /// Worker `to`: takes up to `most` packets, from one giver after the other.
    unsigned take(unsigned to, rte_mbuf** packets, unsigned most);

private:
    explicit Handover(unsigned workers) : workers_(workers) {}
    unsigned workers_;
    std::vector<Ring> rings_;  ///< by taker, then giver; none from a worker to itself
};

}  // namespace torii::io
