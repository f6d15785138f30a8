// sh: a table of 256 buckets that targets fill in list order, as many in a row as their weight,
// round after round; a quiesced target still takes one, so that quiescing moves nobody else. The
// client's address (and port, with sh-port) names the bucket.

#include "dataplane/scheduler/hash.h"
#include "dataplane/scheduler/rows.h"

namespace torii::scheduler {

void sh_build(std::span<const Target> targets, std::span<const Endpoint>,
              std::span<uint32_t> table) {
    uint32_t target = 0, taken = 0;
    for (uint32_t& bucket : table) {
        bucket = target;
        if (++taken < targets[target].weight) continue;
        taken = 0;
        target = target + 1 == targets.size() ? 0 : target + 1;
    }
}

uint32_t sh_pick(const ServiceView& view, Cursor&, const Loads& loads, const Key& key) {
    if (view.table.size() != 256) return kNoBackend;
    const uint32_t port = (view.flags & kPort) ? key.client_port : 0;
    const uint32_t hash = bucket256(fold(key.client) + port);
    const Target& hashed = view.targets[view.table[hash]];
    if (loads.eligible(hashed)) return hashed.backend;
    if (!(view.flags & kFallback)) return kNoBackend;
    // The kernel adds the hash to the offset and then to the hash again: probing begins at 2 hash.
    for (uint32_t offset = 0; offset < 256; ++offset) {
        const Target& t = view.targets[view.table[(hash + offset + hash) & 255]];
        if (loads.eligible(t)) return t.backend;
    }
    return kNoBackend;
}

}  // namespace torii::scheduler
