#pragma once
// Packets that wait until their neighbour is known: few, and not for long. One a worker, used by
// that worker only. The packets' buffers belong to the room while they are in it.

#include <cstdint>
#include <utility>
#include <vector>

#include "dataplane/stages/packet.h"

namespace torii::io {

class WaitingRoom {
public:
    static constexpr size_t kCapacity = 256;
    static constexpr uint64_t kPatienceUs = 1'000'000;

    WaitingRoom() { guests_.reserve(kCapacity); }

    bool empty() const { return guests_.empty(); }
    size_t size() const { return guests_.size(); }

    /// False when it is full; the packet stays the caller's.
    bool admit(const stages::Packet& packet, uint64_t now_us) {
        if (guests_.size() == kCapacity) return false;
        guests_.push_back({packet, now_us + kPatienceUs});
        return true;
    }

    /// Calls `leaves(packet)` for each, in the order they came; those for which it is true are the
    /// caller's again.
    template <class Leaves>
    void retry(Leaves&& leaves) {
        std::erase_if(guests_, [&](Guest& g) { return leaves(g.packet); });
    }

    /// Calls `gone(packet)` for those whose patience is over; they are the caller's again. They
    /// came in the order of their deadlines, so the first patient one ends the search.
    template <class Gone>
    void expire(uint64_t now_us, Gone&& gone) {
        size_t n = 0;
        while (n < guests_.size() && guests_[n].deadline_us <= now_us) gone(guests_[n++].packet);
        guests_.erase(guests_.begin(), guests_.begin() + std::ptrdiff_t(n));
    }

private:
    struct Guest {
        stages::Packet packet;
        uint64_t deadline_us;
    };
    std::vector<Guest> guests_;  // never grows beyond what was reserved
};

}  // namespace torii::io
