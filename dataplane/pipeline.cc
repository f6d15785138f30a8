#include "dataplane/pipeline.h"

#include <array>

#include "dataplane/stages/account.h"
#include "dataplane/stages/stages.h"

namespace torii::dataplane {

namespace {

constexpr std::array kStages = {
    Stage{"parse", "bytes -> offsets, ports",
          [](Context&, std::span<Packet> b) { stages::parse(b); }},
    Stage{"classify", "addresses -> connection, else service", stages::classify},
    Stage{"relate_icmp", "quoted packet -> connection", stages::relate_icmp, stages::kIcmpErrors},
    Stage{"track", "flags -> state, backend", stages::track},
    Stage{"schedule", "service -> backend, new connection", stages::schedule, stages::kUnknown},
    Stage{"find_next_hop", "backend, client -> next hop", stages::find_next_hop},
    Stage{"check_limits", "TTL, MTU -> answered", stages::check_limits},
    Stage{"forward_nat", "NAT -> addresses, ports, checksums", stages::forward_nat},
    Stage{"forward_dr", "direct routing -> TTL", stages::forward_dr, stages::kNotNat},
    Stage{"send", "next hop -> link header, port, verdict", stages::send},
};

}  // namespace

void process(Context& c, std::span<Packet> burst) {
    c.found = 0;
    for (const Stage& stage : kStages)
        if (stage.only == 0 || (stage.only & c.found)) stage.run(c, burst);
}

std::span<const Stage> stages_in_order() { return kStages; }

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
