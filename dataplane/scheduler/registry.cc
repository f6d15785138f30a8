#include <algorithm>
#include <array>

#include "dataplane/scheduler/rows.h"

namespace torii::scheduler {
namespace {

constexpr std::array kSchedulers = {
    Scheduler{.name = "rr", .help = "round robin", .pick = rr_pick, .on_change = rr_on_change},
    Scheduler{.name = "wrr",
              .help = "weighted round robin",
              .pick = wrr_pick,
              .on_change = wrr_on_change},
    Scheduler{.name = "lc", .help = "fewest connections", .pick = lc_pick, .rank = lc_rank},
    Scheduler{.name = "wlc",
              .help = "fewest connections for its weight",
              .pick = wlc_pick,
              .rank = wlc_rank},
    Scheduler{.name = "lblc",
              .help = "a destination keeps its backend; wlc when that is overloaded",
              .pick = lblc_pick,
              .rank = wlc_rank},
    Scheduler{.name = "lblcr",
              .help = "a destination keeps a set of backends; wlc when they are overloaded",
              .pick = lblcr_pick,
              .rank = wlc_rank},
    Scheduler{.name = "sh",
              .help = "weighted hash of the client's address",
              .table_size = 256,
              .build = sh_build,
              .pick = sh_pick},
    Scheduler{.name = "dh",
              .help = "hash of the virtual address",
              .table_size = 256,
              .build = dh_build,
              .pick = dh_pick},
    Scheduler{.name = "sed",
              .help = "shortest expected delay: active connections and one, for its weight",
              .pick = sed_pick,
              .rank = sed_rank},
    Scheduler{.name = "nq",
              .help = "never queue: an idle backend first, else as sed",
              .pick = nq_pick,
              .rank = nq_rank},
    Scheduler{.name = "fo",
              .help = "failover: the heaviest backend takes all",
              .pick = fo_pick,
              .rank = fo_rank},
    Scheduler{.name = "ovf",
              .help = "overflow: the heaviest takes as many as its weight, then the next",
              .pick = ovf_pick,
              .rank = ovf_rank},
    Scheduler{.name = "mh",
              .help = "Maglev hash of the client's address",
              .table_size = 4093,
              .sparse = true,
              .build = mh_build,
              .pick = mh_pick},
    Scheduler{.name = "twos",
              .help = "the less loaded of two drawn by weight",
              .weighs = true,
              .pick = twos_pick},
    Scheduler{
        .name = "none",
        .help = "no backend at all (ipvsadm only)",
        .pick = [](const ServiceView&, Cursor&, const Loads&, const Key&) { return kNoBackend; }},
};

// A cursor as it would be if the service had never been used.
void start_afresh(const ServiceView& view, Cursor& cursor) {
    cursor.position = kHead;
    cursor.backend = kNoBackend;
    cursor.current_weight =
        view.changes.empty() ? view.max_weight - (view.gcd - 1) : view.changes.back().idle_weight;
}

void replay(const Scheduler& s, const ServiceView& view, Cursor& cursor) {
    const uint64_t missed = view.change_seq - cursor.applied;
    for (const Change& change : view.changes.last(missed)) s.on_change(change, cursor);
    const auto at = std::ranges::find(view.targets, cursor.backend, &Target::backend);
    cursor.position = at == view.targets.end() ? kHead : uint32_t(at - view.targets.begin());
}

}  // namespace

std::span<const Scheduler> schedulers() { return kSchedulers; }

const Scheduler* find_scheduler(std::string_view name) {
    const auto it = std::ranges::find(kSchedulers, name, &Scheduler::name);
    return it == kSchedulers.end() ? nullptr : &*it;
}

bool well_formed(const Scheduler& s, const ServiceView& view) {
    const size_t entries = view.targets.empty() ? 0 : s.table_size;
    if (view.table.size() != entries || view.changes.size() > view.change_seq) return false;
    uint32_t heaviest = 0;
    for (const Target& t : view.targets) heaviest = std::max(heaviest, t.weight);
    if (heaviest > kMaxWeight || view.max_weight != heaviest || view.gcd == 0 ||
        view.gcd > std::max(heaviest, 1u))
        return false;
    return std::ranges::all_of(view.table, [&](uint32_t t) {
        return t < view.targets.size() || (t == kNoBackend && s.sparse);
    });
}

void catch_up(const Scheduler& s, const ServiceView& view, Cursor& cursor, const Loads& loads,
              const Key& key) {
    const bool known = cursor.applied != 0 && cursor.applied < view.change_seq &&
                       view.change_seq - cursor.applied <= view.changes.size();
    if (known)
        replay(s, view, cursor);
    else
        start_afresh(view, cursor);
    cursor.applied = view.change_seq;
    // Workers that start from the head are spread over the list, or a handful of connections
    // landing on as many workers would all reach the same backend.
    if (cursor.position != kHead) return;
    for (uint32_t n = 0; n < cursor.worker; ++n) s.pick(view, cursor, loads, key);
}

}  // namespace torii::scheduler
