#include "dataplane/stages/account.h"

namespace torii::stages {
namespace {

// The counters of replies follow those of requests, so that a place is computed, not chosen.
void count_row(shm::Row& row, Direction direction, uint16_t bytes) {
    static_assert(offsetof(shm::Row, in_bytes) == offsetof(shm::Row, in_packets) + 8 &&
                  offsetof(shm::Row, out_packets) == offsetof(shm::Row, in_packets) + 16 &&
                  offsetof(shm::Row, out_bytes) == offsetof(shm::Row, in_packets) + 24);
    shm::Counter* const packets = &row.in_packets + size_t(direction) * 2;
    packets[0].add(1);
    packets[1].add(bytes);
}

constexpr uint64_t kForwarded = [] {
    uint64_t verdicts = 0;
    for (const VerdictInfo& v : kVerdicts)
        verdicts |= uint64_t(v.outcome == Outcome::forwarded) << size_t(v.id);
    return verdicts;
}();

// LVS counts a request as soon as its connection is known, a reply when it has been translated.
bool counts(const Packet& p) {
    const bool known = (p.backend != ~0u) & (p.service_slot != ~0u);
    const bool translated = p.held | bool(kForwarded >> size_t(p.verdict) & 1);
    return known & ((p.direction == Direction::request) | translated);
}

}  // namespace

void account(const shm::Counters& counters, uint32_t worker, std::span<const Packet> burst) {
    shm::WorkerCounters& own = counters.worker(worker);
    shm::Row* const services = counters.services(worker);
    shm::Row* const backends = counters.backends(worker);
    const uint32_t service_slots = counters.header().service_slots;
    const uint32_t backend_slots = counters.header().backend_slots;
    uint16_t verdicts[size_t(Verdict::kCount)] = {};
    uint16_t waiting = 0;
    for (const Packet& p : burst) {
        if (p.held)
            ++waiting;
        else
            ++verdicts[size_t(p.verdict)];
        if (!counts(p)) continue;
        const Direction direction = p.direction;
        const uint16_t bytes = p.ip_bytes;
        if (p.service_slot < service_slots) count_row(services[p.service_slot], direction, bytes);
        if (p.backend < backend_slots) count_row(backends[p.backend], direction, bytes);
    }
    own.received.add(burst.size());
    if (waiting) own.waiting.add(waiting);
    for (size_t v = 0; v < size_t(Verdict::kCount); ++v)
        if (verdicts[v]) own.verdicts[v].add(verdicts[v]);
}

void account_held(const shm::Counters& counters, uint32_t worker, Verdict verdict) {
    shm::WorkerCounters& own = counters.worker(worker);
    own.waiting.add(~uint64_t(0));
    own.verdicts[size_t(verdict)].add(1);
}

}  // namespace torii::stages
