// dh: a table of 256 buckets that targets fill in list order, one each, round after round. The
// virtual address names the bucket; for services of many addresses (marks), as before caches.

#include "dataplane/scheduler/hash.h"
#include "dataplane/scheduler/rows.h"

namespace torii::scheduler {

void dh_build(std::span<const Target> targets, std::span<const Endpoint>,
              std::span<uint32_t> table) {
    uint32_t target = 0;
    for (uint32_t& bucket : table) {
        bucket = target;
        target = target + 1 == targets.size() ? 0 : target + 1;
    }
}

uint32_t dh_pick(const ServiceView& view, Cursor&, const Loads& loads, const Key& key) {
    if (view.table.size() != 256) return kNoBackend;
    const Target& t = view.targets[view.table[bucket256(fold(key.virtual_address))]];
    return loads.eligible(t) ? t.backend : kNoBackend;
}

}  // namespace torii::scheduler
