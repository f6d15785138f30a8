#include "control/tally.h"

#include <algorithm>

namespace torii::control {
namespace {

void add(shm::CounterBase& sum, const shm::Row& row) {
    sum.connections += row.connections.get();
    sum.in_packets += row.in_packets.get();
    sum.in_bytes += row.in_bytes.get();
    sum.out_packets += row.out_packets.get();
    sum.out_bytes += row.out_bytes.get();
}

// The shares of workers may be negative; a sum can be for a moment, while they are read.
uint64_t at_least_zero(uint64_t n) { return int64_t(n) < 0 ? 0 : n; }

void add_worker(Tally& t, const shm::WorkerCounters& w) {
    t.received += w.received.get();
    t.waiting += w.waiting.get();
    t.transmitted += w.transmitted.get();
    t.transmitted_bytes += w.transmitted_bytes.get();
    t.events_lost += w.events_lost.get();
    t.insertions += w.table_insertions.get();
    t.expired += w.table_expired.get();
    t.recycled += w.table_recycled.get();
    t.full += w.table_full.get();
    t.stateless += w.table_stateless.get();
    for (size_t v = 0; v < t.verdicts.size(); ++v) t.verdicts[v] += w.verdicts[v].get();
}

}  // namespace

Tally tally(const shm::Counters* c, size_t services, size_t backends) {
    Tally t;
    t.services.resize(services);
    t.backends.resize(backends);
    t.connections.resize(backends);
    if (c == nullptr) return t;
    services = std::min<size_t>(services, c->header().service_slots);
    backends = std::min<size_t>(backends, c->header().backend_slots);
    for (uint32_t w = 0; w < c->workers(); ++w) {
        add_worker(t, c->worker(w));
        for (size_t i = 0; i < services; ++i) add(t.services[i].counted, c->services(w)[i]);
        for (size_t i = 0; i < backends; ++i) {
            const shm::Row& row = c->backends(w)[i];
            add(t.backends[i].counted, row);
            t.connections[i].active += row.active.get();
            t.connections[i].inactive += row.inactive.get();
            t.connections[i].persistent += row.persistent.get();
        }
    }
    for (size_t i = 0; i < backends; ++i) {
        Connections& n = t.connections[i];
        t.backends[i].references = int64_t(n.active + n.inactive + n.persistent);
        n = {at_least_zero(n.active), at_least_zero(n.inactive), at_least_zero(n.persistent)};
    }
    return t;
}

Usage backend_usage(const shm::Counters* c, uint32_t slot) {
    Usage u;
    if (c == nullptr || slot >= c->header().backend_slots) return u;
    uint64_t references = 0;
    for (uint32_t w = 0; w < c->workers(); ++w) {
        const shm::Row& row = c->backends(w)[slot];
        add(u.counted, row);
        references += row.active.get() + row.inactive.get() + row.persistent.get();
    }
    u.references = int64_t(references);
    return u;
}

Usage service_usage(const shm::Counters* c, uint32_t slot) {
    Usage u;
    if (c == nullptr || slot >= c->header().service_slots) return u;
    for (uint32_t w = 0; w < c->workers(); ++w) add(u.counted, c->services(w)[slot]);
    return u;
}

shm::CounterBase since(const shm::CounterBase& counted, const shm::CounterBase& base) {
    const auto less = [](uint64_t n, uint64_t from) { return n < from ? n : n - from; };
    return {less(counted.connections, base.connections), less(counted.in_packets, base.in_packets),
            less(counted.in_bytes, base.in_bytes), less(counted.out_packets, base.out_packets),
            less(counted.out_bytes, base.out_bytes)};
}

}  // namespace torii::control
