#include "dataplane/stages/account.h"

#include <array>

namespace torii::stages {
namespace {

// The counters of replies follow those of requests, so that a place is computed, not chosen.
void count_row(shm::Row& row, Direction direction, uint64_t packets_more, uint16_t bytes) {
    static_assert(offsetof(shm::Row, in_bytes) == offsetof(shm::Row, in_packets) + 8 &&
                  offsetof(shm::Row, out_packets) == offsetof(shm::Row, in_packets) + 16 &&
                  offsetof(shm::Row, out_bytes) == offsetof(shm::Row, in_packets) + 24);
    shm::Counter* const packets = &row.in_packets + size_t(direction) * 2;
    packets[0].add(packets_more);
    packets[1].add(bytes);
}

// LVS counts a request as soon as its connection is known, a reply when it has been translated: of
// each direction, the verdicts that count. `open` is what a held packet still has. In words of
// bits, because which direction the next packet has, nobody can guess. (A packet of no connection
// has slots that are larger than any.)
constexpr std::array<uint64_t, 2> kCounting = [] {
    uint64_t translated = uint64_t(1) << size_t(Verdict::open);
    for (const VerdictInfo& v : kVerdicts)
        translated |= uint64_t(v.outcome == Outcome::forwarded) << size_t(v.id);
    return std::array<uint64_t, 2>{~uint64_t(0), translated};
}();
bool counts(const Packet& p) { return kCounting[size_t(p.direction)] >> size_t(p.verdict) & 1; }

}  // namespace

void account(const shm::Counters& counters, uint32_t worker, std::span<const Packet> burst) {
    shm::WorkerCounters& own = counters.worker(worker);
    shm::Row* const services = counters.services(worker);
    shm::Row* const backends = counters.backends(worker);
    const uint32_t service_slots = counters.header().service_slots;
    const uint32_t backend_slots = counters.header().backend_slots;
    uint16_t verdicts[size_t(Verdict::kCount)] = {};
    uint16_t waiting = 0, elsewhere = 0;
    for (const Packet& p : burst) {
        if (p.held) [[unlikely]]
            ++(p.give_to == kNobody ? waiting : elsewhere);
        else
            ++verdicts[size_t(p.verdict)];
        if (!counts(p)) continue;
        const Direction direction = p.direction;
        const uint16_t bytes = p.ip_bytes;
        if (p.service_slot < service_slots)
            count_row(services[p.service_slot], direction, 1, bytes);
        if (p.backend < backend_slots) count_row(backends[p.backend], direction, 1, bytes);
    }
    own.received.add(burst.size() - elsewhere);
    if (waiting) own.waiting.add(waiting);
    for (size_t v = 0; v < size_t(Verdict::kCount); ++v)
        if (verdicts[v]) own.verdicts[v].add(verdicts[v]);
}

// LVS counts a datagram that came in pieces as one packet: the first piece is, which is here too
// if it had to wait.
void account_released(const shm::Counters& counters, uint32_t worker,
                      std::span<const Packet> burst) {
    for (const Packet& p : burst) {
        if (!p.held) account_held(counters, worker, p.verdict);
        if (!counts(p)) continue;
        const uint64_t first = !p.later_fragment;
        if (p.service_slot < counters.header().service_slots)
            count_row(counters.services(worker)[p.service_slot], p.direction, first, p.ip_bytes);
        if (p.backend < counters.header().backend_slots)
            count_row(counters.backends(worker)[p.backend], p.direction, first, p.ip_bytes);
    }
}

void account_held(const shm::Counters& counters, uint32_t worker, Verdict verdict) {
    shm::WorkerCounters& own = counters.worker(worker);
    own.waiting.add(~uint64_t(0));
    own.verdicts[size_t(verdict)].add(1);
}

}  // namespace torii::stages
