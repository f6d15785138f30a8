// mh: Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4) as the kernel does it: a table of
// 4093 slots that targets fill in list order, each by a permutation of its own and as many slots a
// round as its weight asks for. A quiesced target keeps the slots of its last weight, so that
// quiescing moves nobody else. The client's address (and port, with mh-port) names the slot.

#include "dataplane/scheduler/mh.h"

#include "dataplane/scheduler/rows.h"

namespace torii::scheduler {

uint32_t mh_pick(const ServiceView& view, Cursor&, const Loads& loads, const Key& key) {
    if (view.table.size() != kMaglevSlots) return kNoBackend;
    const uint32_t port = (view.flags & kPort) ? key.client_port : 0;
    const uint32_t slot = hash_end(key.client, port, kMaglevFirst) % kMaglevSlots;
    const auto at = [&](uint32_t s) { return view.table[s]; };
    if (at(slot) == kNoBackend) return kNoBackend;
    const Target& hashed = view.targets[at(slot)];
    if (loads.eligible(hashed)) return hashed.backend;
    if (!(view.flags & kFallback)) return kNoBackend;
    for (uint32_t n = 0; n < kMaglevSlots; ++n) {
        const uint32_t other =
            at(hash_end(key.client, port, kMaglevFirst, (n + slot) % kMaglevSlots) % kMaglevSlots);
        if (other == kNoBackend) return kNoBackend;
        if (loads.eligible(view.targets[other])) return view.targets[other].backend;
    }
    return kNoBackend;
}

}  // namespace torii::scheduler
