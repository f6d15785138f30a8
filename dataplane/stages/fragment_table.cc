#include "dataplane/stages/fragment_table.h"

#include <bit>
#include <cstring>

#include "dataplane/stages/fragment_datagram.h"

namespace torii::stages {
namespace {

constexpr uint32_t kLongest = 65'535;  // bytes of a datagram

// Of itself, without knowing the others. Linux refuses the same (ip_frag_queue, ip6_frag_queue; of
// IPv4 it would cut the odd bytes off).
bool sensible(const Fragment& f) {
    if (f.length == 0 || f.header + f.offset + f.length > kLongest) return false;
    return !f.more || f.length % 8 == 0;
}

// Bits a..b of a word.
constexpr uint64_t span_of(uint32_t a, uint32_t b) {
    return (~uint64_t(0) << a) & (~uint64_t(0) >> (64 - b));
}

Decision ended(Verdict verdict) {
    Decision d;
    d.kind = Decision::Kind::ended;
    d.verdict = verdict;
    return d;
}

}  // namespace

template <FragmentTable::Links FragmentTable::Datagram::*L>
void FragmentTable::append(List& list, uint32_t index) {
    Links& l = datagrams_[index].*L;
    l = {list.last, kNil};
    (list.last == kNil ? list.first : (datagrams_[list.last].*L).next) = index;
    list.last = index;
}

template <FragmentTable::Links FragmentTable::Datagram::*L>
void FragmentTable::unlink(List& list, uint32_t index) {
    const Links l = datagrams_[index].*L;
    (l.previous == kNil ? list.first : (datagrams_[l.previous].*L).next) = l.next;
    (l.next == kNil ? list.last : (datagrams_[l.next].*L).previous) = l.previous;
}

FragmentTable::List& FragmentTable::age_list(const Datagram& d) {
    return d.decision.kind == Decision::Kind::pending ? pending_ : settled_;
}

FragmentTable::Datagram* FragmentTable::known(uint32_t handle) {
    if (handle == kNobody) return nullptr;
    Datagram& d = datagrams_[handle & 0xffff];
    return d.used && d.serial == handle >> 16 ? &d : nullptr;
}

uint32_t FragmentTable::find(const DatagramKey& key, uint64_t hash) const {
    uint32_t i = heads_[hash & mask_];
    while (i != kNil && !(datagrams_[i].hash == hash && datagrams_[i].key == key))
        i = datagrams_[i].chain;
    return i;
}

uint32_t FragmentTable::begin(const DatagramKey& key, uint64_t hash, uint64_t now_us) {
    // An IPv6 host has as many addresses as it likes, of one /64.
    uint64_t half[2];
    std::memcpy(half, key.source.bytes.data(), sizeof half);
    const uint64_t who = key.source.is_v4() ? half[1] : half[0];
    const uint64_t mixed = flow::fold(who ^ seed_.a, seed_.b ^ 0x9e3779b97f4a7c15u);
    const auto s = uint32_t(flow::fold(mixed ^ seed_.b, 0xa0761d6478bd642fu ^ seed_.a) >> 54);
    static_assert(kSources == 1024);
    Source& source = sources_[s];
    if (source.count >= capacity_ / 8) evict(source.datagrams.first, Verdict::drop_fragment_full);
    if (free_ == kNil) {
        const uint32_t a = pending_.first, b = settled_.first;
        const bool pending =
            b == kNil || (a != kNil && datagrams_[a].since_us < datagrams_[b].since_us);
        evict(pending ? a : b, Verdict::drop_fragment_full);
    }
    const uint32_t i = free_;
    Datagram& d = datagrams_[i];
    free_ = d.chain;
    const uint16_t serial = d.serial;
    d = Datagram{};
    d.serial = uint16_t(serial + 1);
    d.used = true;
    d.key = key;
    d.hash = hash;
    d.since_us = now_us;
    d.source = s;
    d.chain = heads_[hash & mask_];
    heads_[hash & mask_] = i;
    append<&Datagram::age>(pending_, i);
    append<&Datagram::of_source>(source.datagrams, i);
    ++source.count;
    ++used_;
    return i;
}

// Nothing of it is held any more.
void FragmentTable::forget(uint32_t index) {
    Datagram& d = datagrams_[index];
    uint32_t* link = &heads_[d.hash & mask_];
    while (*link != index) link = &datagrams_[*link].chain;
    *link = d.chain;
    unlink<&Datagram::age>(age_list(d), index);
    Source& source = sources_[d.source];
    unlink<&Datagram::of_source>(source.datagrams, index);
    --source.count;
    --used_;
    d.used = false;
    d.chain = free_;
    free_ = index;
}

void FragmentTable::evict(uint32_t index, Verdict why) {
    release(datagrams_[index], ended(why));
    forget(index);
}

// What was held goes the way of the decision, in the order it came.
void FragmentTable::release(Datagram& d, const Decision& decision) {
    if (d.first_held == kNil) return;
    for (uint32_t s = d.first_held; s != kNil; s = slots_[s].next) {
        slots_[s].content.decision = decision;
        --sources_[d.source].held;
        --waiting_;
    }
    (ready_.last == kNil ? ready_.first : slots_[ready_.last].next) = d.first_held;
    ready_.last = d.last_held;
    d.first_held = d.last_held = kNil;
    d.first_waits = false;
}

// Marks the bytes as come.
Verdict FragmentTable::cover(Datagram& d, const Fragment& f) {
    const uint32_t end = f.offset + f.length;
    if (d.end != 0 && (end > d.end || (!f.more && end != d.end)))
        return Verdict::drop_fragment_overlap;
    if (!f.more && end < d.top) return Verdict::drop_fragment_overlap;
    const uint32_t from = f.offset / 8, to = (end + 7) / 8;
    uint32_t already = 0;
    for (uint32_t u = from; u < to; u = (u / 64 + 1) * 64) {
        const uint64_t bits = span_of(u % 64, std::min(to - u / 64 * 64, 64u));
        already += uint32_t(std::popcount(d.seen[u / 64] & bits));
    }
    if (already == to - from) return Verdict::drop_fragment_duplicate;
    if (already != 0) return Verdict::drop_fragment_overlap;
    for (uint32_t u = from; u < to; u = (u / 64 + 1) * 64)
        d.seen[u / 64] |= span_of(u % 64, std::min(to - u / 64 * 64, 64u));
    d.covered += to - from;
    d.top = std::max(d.top, end);
    if (!f.more) d.end = end;
    return Verdict::open;
}

FragmentTable::Placed FragmentTable::place(const Fragment& f, uint64_t hash, uint64_t now_us) {
    if (!sensible(f)) return {Verdict::drop_fragment_length, kNobody, {}};
    uint32_t i = find(f.key, hash);
    if (i == kNil) i = begin(f.key, hash, now_us);
    Datagram& d = datagrams_[i];
    const uint32_t handle = uint32_t(d.serial) << 16 | i;
    const bool settled = d.decision.kind != Decision::Kind::pending;
    const Verdict verdict = cover(d, f);
    if (verdict == Verdict::drop_fragment_overlap)
        settle(handle, ended(Verdict::drop_fragment_refused), now_us);
    if (verdict != Verdict::open) return {verdict, handle, {}};
    const Placed placed{verdict, handle, d.decision};
    if (settled && d.whole()) forget(i);
    return placed;
}

// A settled datagram may still be refused; its place in the order of age stays.
void FragmentTable::settle(uint32_t handle, const Decision& decision, uint64_t now_us) {
    Datagram* d = known(handle);
    if (!d) return;
    const uint32_t i = handle & 0xffff;
    if (d->decision.kind == Decision::Kind::pending) {
        unlink<&Datagram::age>(pending_, i);
        append<&Datagram::age>(settled_, i);
        d->since_us = now_us;
    } else if (d->decision.kind == Decision::Kind::ended) {
        return;
    }
    d->decision = decision;
    release(*d, decision);
    if (d->whole()) forget(i);
}

void FragmentTable::expire(uint64_t now_us, uint32_t budget) {
    for (; budget > 0 && pending_.first != kNil; --budget) {
        if (now_us - datagrams_[pending_.first].since_us < kPatienceUs) break;
        evict(pending_.first, Verdict::drop_fragment_timeout);
    }
    for (; budget > 0 && settled_.first != kNil; --budget) {
        if (now_us - datagrams_[settled_.first].since_us < kTimeoutUs) break;
        forget(settled_.first);
    }
}

bool FragmentTable::store(const Packet& p, uint32_t& slot) {
    if (free_slot_ == kNil) return false;
    slot = free_slot_;
    free_slot_ = slots_[slot].next;
    slots_[slot].content.packet = p;
    slots_[slot].next = kNil;
    ++held_;
    return true;
}

// The oldest packets give way, so that a burst's always find room. A datagram of which nothing is
// held has its first fragment in the burst under way.
void FragmentTable::make_room() {
    if (waiting_ <= kHeld - kMargin) return;
    uint32_t i = pending_.first;
    while (i != kNil && datagrams_[i].first_held == kNil) i = datagrams_[i].age.next;
    if (i != kNil) evict(i, Verdict::drop_fragment_full);
}

// Stores one more packet of a known datagram, which is refused if there is no room; `waits`: for
// longer than the burst under way.
bool FragmentTable::admit(uint32_t handle, const Packet& p, bool waits, uint32_t& slot) {
    const Datagram& d = datagrams_[handle & 0xffff];
    Source& source = sources_[d.source];
    if ((source.held >= kHeld / 4 && waits) || !store(p, slot)) {
        settle(handle, ended(Verdict::drop_fragment_refused), d.since_us);
        return false;
    }
    ++source.held;
    ++waiting_;
    return true;
}

bool FragmentTable::hold(uint32_t handle, const Packet& p) {
    Datagram* d = known(handle);
    uint32_t slot;
    if (!d || !admit(handle, p, !d->first_came() || d->first_waits, slot)) return false;
    (d->last_held == kNil ? d->first_held : slots_[d->last_held].next) = slot;
    d->last_held = slot;
    if (d->first_waits && d->end != 0) wake_first(*d);
    make_room();
    return true;
}

bool FragmentTable::hold_first(uint32_t handle, const Packet& p) {
    Datagram* d = known(handle);
    uint32_t slot;
    if (!d || !admit(handle, p, true, slot)) return false;
    slots_[slot].next = d->first_held;
    if (d->last_held == kNil) d->last_held = slot;
    d->first_held = slot;
    d->first_waits = true;
    make_room();
    return true;
}

void FragmentTable::wake_first(Datagram& d) {
    const uint32_t slot = d.first_held;
    d.first_held = slots_[slot].next;
    if (d.first_held == kNil) d.last_held = kNil;
    d.first_waits = false;
    --sources_[d.source].held;
    --waiting_;
    append_slot(resumed_, slot);
}

bool FragmentTable::pass(const Packet& p, const Decision& decision) {
    uint32_t slot;
    if (!store(p, slot)) return false;
    slots_[slot].content.decision = decision;
    append_slot(ready_, slot);
    return true;
}

uint32_t FragmentTable::end_of(uint32_t handle) {
    const Datagram* d = known(handle);
    return d ? d->end : 0;
}

void FragmentTable::append_slot(List& list, uint32_t slot) {
    slots_[slot].next = kNil;
    (list.last == kNil ? list.first : slots_[list.last].next) = slot;
    list.last = slot;
}

uint32_t FragmentTable::take_slot(List& list) {
    const uint32_t slot = list.first;
    if (slot == kNil) return kNil;
    list.first = slots_[slot].next;
    if (list.first == kNil) list.last = kNil;
    slots_[slot].next = free_slot_;
    free_slot_ = slot;
    --held_;
    return slot;
}

const Packet* FragmentTable::resume() {
    const uint32_t slot = take_slot(resumed_);
    return slot == kNil ? nullptr : &slots_[slot].content.packet;
}

const FragmentTable::Released* FragmentTable::take() {
    const uint32_t slot = take_slot(ready_);
    return slot == kNil ? nullptr : &slots_[slot].content;
}

}  // namespace torii::stages
