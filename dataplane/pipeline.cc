#include "dataplane/pipeline.h"

#include "dataplane/stages/account.h"
#include "dataplane/stages/stages.h"

namespace torii::dataplane {

void process(Context& c, std::span<Packet> burst) {
    stages::parse(burst);             // bytes          -> offsets, ports
    stages::classify(c, burst);       // addresses      -> connection, else service
    stages::relate_icmp(c, burst);    // quoted packet  -> connection
    stages::track(c, burst);          // flags          -> state, backend
    stages::schedule(c, burst);       // service        -> backend, new connection
    stages::find_next_hop(c, burst);  // backend, client -> next hop
    stages::check_limits(c, burst);   // TTL, MTU       -> answered
    stages::forward_nat(c, burst);    // NAT            -> addresses, ports, checksums
    stages::forward_dr(c, burst);     // direct routing -> TTL
    stages::send(c, burst);           // next hop       -> link header, port, verdict
}

void account(Context& c, std::span<const Packet> burst) {
    stages::account(c.counters, c.worker, burst);
}

void run(Context& c, std::span<Packet> burst) {
    process(c, burst);
    account(c, burst);
}

bool resolve_held(Context& c, Packet& p) {
    p.held = false;
    p.entry = flow::kNone;  // it may have ended since
    if (stages::choose_next_hop(c, p)) stages::send_one(c, p);
    if (p.held) return false;
    stages::account_held(c.counters, c.worker, p.verdict);
    return true;
}

void abandon_held(Context& c, Packet& p) {
    p.held = false;
    p.close(Verdict::drop_no_neighbour);
    stages::account_held(c.counters, c.worker, p.verdict);
}

}  // namespace torii::dataplane
