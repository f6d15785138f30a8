#include "dataplane/scheduler/locality.h"

#include <algorithm>
#include <span>

namespace torii::scheduler {

void Local::add(uint32_t backend, uint32_t now) {
    const auto known = std::span(backends).first(size);
    if (std::ranges::find(known, backend) != known.end()) return;
    size = std::min(size + 1, kMost);
    std::ranges::copy_backward(std::span(backends).first(size - 1),
                               std::span(backends).first(size).end());
    backends[0] = backend;
    changed = now;
}

void Local::drop(uint32_t position) {
    std::ranges::copy(std::span(backends).first(size).subspan(position + 1),
                      backends.begin() + position);
    --size;
}

Local* Locality::set_of(uint64_t service, const Address& destination) const {
    uint64_t h = std::hash<Address>{}(destination) ^ service;
    h = (h ^ h >> 32) * 0x9e3779b97f4a7c15u;  // the upper bits hold most of an address
    return &entries_[(h >> 32) % (kEntries / kWays) * kWays];
}

Local* Locality::find(uint64_t service, const Address& destination, uint32_t now,
                      uint32_t expiration) {
    if (!entries_) return nullptr;
    for (Local& l : std::span(set_of(service, destination), kWays)) {
        if (l.service != service || l.destination != destination) continue;
        if (now - l.used >= expiration) return nullptr;
        l.used = now;
        return &l;
    }
    return nullptr;
}

Local* Locality::make(uint64_t service, const Address& destination, uint32_t now) {
    if (!entries_) return nullptr;
    const std::span set(set_of(service, destination), kWays);
    const auto same = std::ranges::find_if(
        set, [&](const Local& l) { return l.service == service && l.destination == destination; });
    const auto oldest = std::ranges::min_element(
        set, {}, [](const Local& l) { return std::pair(l.service != 0, l.used); });
    Local& l = same != set.end() ? *same : *oldest;
    l = {.service = service, .destination = destination, .used = now, .changed = now};
    return &l;
}

}  // namespace torii::scheduler
