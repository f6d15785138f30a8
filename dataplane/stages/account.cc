#include "dataplane/stages/account.h"

#include "config/base/either.h"

namespace torii::stages {
namespace {

void count_row(shm::Row& row, bool request, uint16_t bytes) {
    either(request, &row.in_packets, &row.out_packets)->add(1);
    either(request, &row.in_bytes, &row.out_bytes)->add(bytes);
}

// LVS counts a request as soon as its connection is known, a reply when it has been translated.
bool counts(const Packet& p) {
    const bool known = (p.backend != ~0u) & (p.service_slot != ~0u);
    const bool translated = p.held | (info(p.verdict).outcome == Outcome::forwarded);
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
        const bool request = p.direction == Direction::request;
        if (p.service_slot < service_slots)
            count_row(services[p.service_slot], request, p.ip_bytes);
        if (p.backend < backend_slots) count_row(backends[p.backend], request, p.ip_bytes);
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
