#include "dataplane/pipeline.h"

#include <array>

#include "dataplane/stages/account.h"
#include "dataplane/stages/classify.h"
#include "dataplane/stages/forward_dr.h"
#include "dataplane/stages/forward_nat.h"
#include "dataplane/stages/fragments.h"
#include "dataplane/stages/limits.h"
#include "dataplane/stages/next_hop.h"
#include "dataplane/stages/parse.h"
#include "dataplane/stages/stages.h"
#include "dataplane/stages/track.h"

namespace torii::dataplane {

namespace {

constexpr Step kParse{"parse", "bytes -> offsets, ports", stages::parse};
constexpr Step kAim{"aim", "addresses -> likely direction, hash", stages::aim};
constexpr Step kFetch{"fetch", "hash -> candidate, on its way from memory", stages::fetch};
constexpr Step kLookUp{"look_up", "candidate -> connection, else service", stages::look_up};
constexpr Step kTrack{"track", "flags -> state, backend", stages::track};
constexpr Step kOthers{"others", "ICMP errors, and packets of no connection", stages::others};
constexpr Step kRelateIcmp{"relate_icmp", "quoted packet -> connection", stages::relate_icmp};
constexpr Step kSchedule{"schedule", "service -> backend, new connection", stages::schedule};
constexpr Step kFindNextHop{"find_next_hop", "backend, client -> next hop", stages::find_next_hop};
constexpr Step kCheckLimits{"check_limits", "TTL, MTU -> answered", stages::check_limits};
constexpr Step kForwardNat{"forward_nat", "NAT -> addresses, ports, checksums",
                           stages::forward_nat};
constexpr Step kForwardNatLater{"forward_nat_later", "NAT, fragments -> addresses",
                                stages::forward_nat_later};
constexpr Step kForwardDr{"forward_dr", "direct routing -> TTL", stages::forward_dr};
constexpr Step kSend{"send", "next hop -> link header, port, verdict", stages::send};

// The steps of a pass, one packet after the other. Compiled as one loop, so that what a step finds
// out is still in registers for the next.
template <const Step&... steps>
constexpr std::array kStepsOf{steps...};
template <const Step&... steps>
constexpr Pass one_pass(uint8_t only = 0) {
    return {kStepsOf<steps...>,
            [](Context& c, std::span<Packet> burst) {
                stages::each_open(burst, [&](Packet& p) {
                    stages::Notes notes(c, p);
                    (void)(steps.take(c, p, notes) && ...);
                });
            },
            only};
}

// The order. A pass ends where a packet has to wait for memory: meanwhile the others have theirs
// sent for. The last ones are for what the third leaves open.
constexpr uint8_t kOther = stages::kIcmpErrors | stages::kUnknown;
constexpr std::array kPasses = {
    one_pass<kParse, kAim>(),
    one_pass<kFetch>(),
    one_pass<kLookUp, kTrack, kFindNextHop, kCheckLimits, kForwardNat, kForwardDr, kSend>(),
    one_pass<kOthers, kRelateIcmp, kSchedule>(kOther),
    one_pass<kOthers, kFindNextHop, kCheckLimits, kForwardNat, kForwardDr, kSend>(kOther),
};

// Of later fragments that were set aside, once the first one of their datagram has been through
// kPasses.
constexpr Pass kReleased =
    one_pass<kFindNextHop, kCheckLimits, kForwardNatLater, kForwardDr, kSend>();

}  // namespace

void process(Context& c, std::span<Packet> burst) {
    c.found = 0;
    for (const Pass& pass : kPasses)
        if (pass.only == 0 || (pass.only & c.found)) pass.run(c, burst);
    if (c.found & stages::kFirstFragments) [[unlikely]]
        stages::settle_fragments(c, burst);
}

size_t release_fragments(Context& c, std::span<Packet> out) {
    if (const size_t first = stages::resume_fragments(c, out); first != 0) {
        process(c, out.first(first));
        return first;
    }
    const size_t n = stages::release_fragments(c, out);
    kReleased.run(c, out.first(n));
    return n;
}

void account_released(Context& c, std::span<const Packet> burst) {
    stages::account_released(c.counters, c.worker, burst);
}

std::span<const Pass> passes_in_order() { return kPasses; }

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
    stages::Notes notes(c, p);
    if (stages::find_next_hop(c, p, notes)) stages::send(c, p, notes);
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
