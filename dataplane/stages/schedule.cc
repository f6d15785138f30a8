// schedule: a backend and a connection for whoever has none yet (LVS: ip_vs_schedule). Without an
// eligible backend the client is told at once, with ICMP port unreachable, for TCP as well.

#include "dataplane/flow/tcp_state.h"
#include "dataplane/scheduler/consistent.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/pick.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

constexpr uint64_t kFullMemory = 60'000'000;  // stateless flows may still be under way, us
constexpr uint64_t kFullLook = 1'000;         // how often the other workers are asked, us

// Only a SYN begins a TCP connection; SYN with ACK does too, as in LVS (tcp_conn_schedule).
bool begins(const Packet& p) {
    return p.protocol != wire::kTcp || (p.tcp_flags & (wire::kSyn | wire::kRst)) == wire::kSyn;
}

// Whether some worker has found the table full within the last minute.
bool full_lately(Context& c) {
    WorkerState& s = c.state;
    if (c.now_us - s.full_looked_us >= kFullLook) {
        s.full_looked_us = c.now_us;
        uint64_t seen = 0;
        for (uint32_t w = 0; w < c.counters.workers(); ++w)
            seen += c.counters.worker(w).table_full.get();
        if (seen != s.full_seen) s.full_until_us = c.now_us + kFullMemory;
        s.full_seen = seen;
    }
    return c.now_us < s.full_until_us;
}

uint32_t slot_of(const View& view, const Packet& p) {
    return view.services.services[p.service].slot;
}

// Without an entry: every worker, and the dataplane after a restart, chooses the same backend.
bool forward_stateless(Context& c, Packet& p) {
    const auto& table = c.view.runtime[p.service].consistent;
    const uint32_t target = scheduler::pick_consistent(table, uint32_t(p.hash >> 32));
    const uint32_t slot = backend_at(c.view, p.service, target);
    if (slot == scheduler::kNoBackend) return false;
    p.backend = slot;
    p.service_slot = slot_of(c.view, p);
    p.intended = Verdict::stateless;
    c.found |= kNotNat;
    c.counters.worker(c.worker).table_stateless.add(1);
    return true;
}

flow::NewEntry entry_for(Context& c, const Packet& p, uint32_t slot) {
    const shm::BackendRecord& backend = c.view.services.backends[slot];
    const shm::Timeouts& timeouts = c.view.services.header->timeouts;
    flow::NewEntry e;
    e.tuple = {source_of(p),       destination_of(p), backend.address,     p.source_port,
               p.destination_port, backend.port,      Protocol(p.protocol)};
    e.backend = slot;
    e.backend_generation = backend.generation;
    e.service_slot = slot_of(c.view, p);
    e.forward = backend.forward;
    // LVS makes it with state NONE and runs the state machine for the same packet.
    flow::Word w{flow::Phase::live, 0, flow::kInactive, 0};
    if (backend.forward != shm::Forward::nat) w.flags |= flow::kNoOutput;
    w = flow::Word::unpack(
        flow::step(w.pack(), p.protocol == wire::kTcp, false, p.tcp_flags, timeouts, c.now));
    e.state = w.state;
    e.flags = w.flags;
    e.expiry = w.expiry;
    return e;
}

void table_full(Context& c, Packet& p, shm::Forward forward) {
    c.counters.worker(c.worker).table_full.add(1);
    c.state.full_looked_us = 0;
    if (forward == shm::Forward::nat || !forward_stateless(c, p)) p.close(Verdict::drop_table_full);
}

// Another packet was first and its choice stands; false if that connection has already ended.
bool join(Context& c, Packet& p) {
    follow(c, p);
    return p.entry != flow::kNone || p.verdict != Verdict::open;
}

// False if another worker's connection was found instead, and had just ended.
bool begin(Context& c, Packet& p, uint32_t slot) {
    const shm::Forward forward = c.view.services.backends[slot].forward;
    const auto made = c.flows.insert(entry_for(c, p, slot), p.hash, c.now);
    if (made.entry == flow::kFull) return table_full(c, p, forward), true;
    shm::WorkerCounters& own = c.counters.worker(c.worker);
    if (made.recycled) own.table_recycled.add(1);
    p.entry = made.entry;
    if (!made.created) return join(c, p);
    own.table_insertions.add(1);
    picked(c, p, slot);
    p.backend = slot;
    p.service_slot = slot_of(c.view, p);
    p.nat = forward == shm::Forward::nat;
    if (!p.nat) c.found |= kNotNat;
    return true;
}

void schedule_one(Context& c, Packet& p, bool& inserted) {
    // A packet earlier in this burst may have begun the same connection.
    if (inserted && (p.entry = find_request(c, p)) != flow::kNone && join(c, p)) return;
    if (!begins(p)) {
        if (!full_lately(c) || !forward_stateless(c, p)) p.close(Verdict::kernel_no_connection);
        return;
    }
    const uint32_t slot = pick(c, p);
    if (slot == scheduler::kNoBackend) return answer(c, p, kPortUnreachable, destination_of(p));
    inserted = true;
    if (!begin(c, p, slot) && !begin(c, p, slot)) p.close(Verdict::drop_table_full);
}

}  // namespace

void schedule(Context& c, std::span<Packet> burst) {
    bool inserted = false;
    each_open(burst, [&](Packet& p) {
        if (p.entry == flow::kNone && !p.is_icmp_error) [[unlikely]]
            schedule_one(c, p, inserted);
    });
}

}  // namespace torii::stages
