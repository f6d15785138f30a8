// Templates: the entries that make a client keep its backend. See entry.h.
//
// hold() and the end of a template cannot miss each other: both go through the template's word.
// Whoever makes a connection counts it first and then moves the word's expiry, which fails when the
// template has ended; who ends it replaces a word whose expiry has come.

#include "dataplane/flow/impl.h"
#include "dataplane/flow/tcp_state.h"

namespace torii::flow {
namespace {
constexpr uint32_t kMore = 60;  // seconds that a template gets while it has connections, as in LVS
}

bool Table::Worker::hold(uint32_t entry, Tick now) {
    control(entry).fetch_add(1);
    uint64_t seen = head(entry).word.load();
    for (;;) {
        const Word word = Word::unpack(seen);
        if (word.phase != Phase::live || (word.flags & kVoid)) break;
        Word next = word;
        const auto seconds = uint32_t(reply_route(entry).load(std::memory_order_relaxed));
        next.expiry = whole_second(now) + seconds * kTicksPerSecond;
        if (update(entry, word, next, now)) return true;
        seen = head(entry).word.load();
    }
    control(entry).fetch_sub(1);
    return false;
}

void Table::Worker::release(uint32_t entry) { control(entry).fetch_sub(1); }

// The shorter time stays, as in LVS.
bool Table::Worker::prolong(uint32_t entry, Word seen, Tick now) {
    Word next = seen;
    next.expiry = whole_second(now) + kMore * kTicksPerSecond;
    if (!update(entry, seen, next, now)) return false;
    reply_route(entry).store(kMore, std::memory_order_relaxed);
    return true;
}

void Table::Worker::make_void(uint32_t entry, Tick now) {
    for (;;) {
        const Word word = Word::unpack(head(entry).word.load());
        if (word.phase != Phase::live || (word.flags & kVoid)) return;
        Word next = word;
        next.flags |= kVoid;
        if (update(entry, word, next, now)) return;
    }
}

// Nobody holds a void template any more, and whoever was about to has counted itself by now.
void Table::Worker::give_up_template(uint32_t entry, Tick now) {
    make_void(entry, now);
    if (control(entry).load() == 0) remove(entry);
}

void Table::Worker::assure(uint32_t entry, Tick now) {
    const uint32_t reference = control(entry).load(std::memory_order_relaxed);
    if (reference == 0) return;
    for (;;) {
        const Word word = Word::unpack(head(reference - 1).word.load());
        if (word.phase != Phase::live || word.state != 0) return;
        Word next = word;
        next.state = 1;
        if (update(reference - 1, word, next, now)) return;
    }
}

}  // namespace torii::flow
