// Lookups. What is built once a generation is in marks_build.cc.

#include "dataplane/stages/marks.h"

#include <algorithm>

namespace torii::stages {
namespace {

bool fits(const shm::MarkRecord& r, Protocol protocol, uint16_t port) {
    return (r.protocol == Protocol::any || r.protocol == protocol) && port >= r.first_port &&
           port <= r.last_port;
}

Address masked(const Address& a, bool v4, unsigned bits) {
    bits += v4 ? 96 : 0;
    Address m = a;
    for (unsigned i = bits / 8; i < 16; ++i)
        m.bytes[i] &= i == bits / 8 ? uint8_t(0xff00u >> bits % 8) : uint8_t(0);
    return m;
}

}  // namespace

std::span<const shm::MarkRecord> Marks::at(const Length& l, const Address& to) const {
    const Address block = masked(to, l.v4, l.bits);
    const auto* const first = rules_.data() + l.first;
    const auto* const last = rules_.data() + l.last;
    const auto* low = std::lower_bound(
        first, last, block,
        [](const shm::MarkRecord& r, const Address& a) { return r.destination < a; });
    const auto* high = low;
    while (high != last && high->destination == block) ++high;
    return {low, high};
}

bool Marks::cover(const Address& to) const {
    const bool v4 = to.is_v4();
    return std::ranges::any_of(lengths_,
                               [&](const Length& l) { return l.v4 == v4 && !at(l, to).empty(); });
}

uint32_t Marks::of(const Address& to, Protocol protocol, uint16_t port) const {
    const bool v4 = to.is_v4();
    for (const Length& l : lengths_) {
        if (l.v4 != v4) continue;
        for (const shm::MarkRecord& r : at(l, to))
            if (fits(r, protocol, port)) return r.mark;
    }
    return 0;
}

}  // namespace torii::stages
