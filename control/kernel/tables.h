#pragma once
// The stores behind a Mirror: keyed by what identifies a thing to the kernel, fed message by
// message, turned into a Snapshot on demand. No socket and no clock, so that every order of
// messages can be tested.
//
// A dump and the notifications that arrive while it runs come through one socket, in any mixture.
// The rule that makes both orders right: within one dump, what a notification said about a key
// stands, and the dump's own message about it is passed over. The kernel sends a notification after
// the change and fills a dump message before or after it; either way the last notification is at
// least as new, or another one follows.
//
// Changes that the kernel makes to routes without a word (those of a link that went down, or whose
// source address went) are answered by asking for a new dump of the routes.
//
// Thread-safety: none; belongs to one Mirror.

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "control/kernel/parse.h"
#include "control/kernel/snapshot.h"

namespace torii::kernel {

/// What can be dumped by one request.
enum class Kind : uint8_t {
    links,
    addresses4,
    addresses6,
    routes4,
    routes6,
    neighbours4,
    neighbours6
};
inline constexpr unsigned kKinds = 7;
inline constexpr uint32_t kEveryKind = (1u << kKinds) - 1;
constexpr uint32_t bit(Kind kind) { return 1u << unsigned(kind); }

/// The generation of the dump that is running, and what it covers.
struct DumpMark {
    uint64_t generation = 1;
    std::optional<Kind> running;
};

/// Links, addresses and neighbours: one value a key, every message says all about its key.
template <class Key, class Value>
class Table {
public:
    /// What a notification says. Returns whether the public value changed.
    bool tell(const Key& key, const Value& value, uint64_t generation) {
        return store(key, value, generation, generation);
    }
    bool tell_removed(const Key& key, const DumpMark& mark, Kind kind) {
        auto it = entries_.find(key);
        const bool existed = it != entries_.end() && !it->second.gone;
        if (mark.running != kind) {
            if (it != entries_.end()) entries_.erase(it);
        } else {  // remembered until the end of the dump, whose message may still be on its way
            entries_[key] = {Value{}, mark.generation, mark.generation, true};
        }
        return existed;
    }
    /// What a message of a dump says.
    bool dump(const Key& key, const Value& value, uint64_t generation) {
        auto it = entries_.find(key);
        if (it != entries_.end() && it->second.told == generation) return false;
        return store(key, value, generation, 0);
    }
    /// Ends a dump: what neither it nor a notification mentioned is gone. `covered` says which keys
    /// it spoke of.
    template <class Covered>
    bool sweep(uint64_t generation, Covered covered) {
        bool changed = false;
        for (auto it = entries_.begin(); it != entries_.end();) {
            const auto& entry = it->second;
            const bool stale = entry.gone || entry.seen != generation;
            if (!stale || !covered(it->first)) {
                ++it;
                continue;
            }
            changed |= !entry.gone;
            it = entries_.erase(it);
        }
        return changed;
    }
    const Value* find(const Key& key) const {
        auto it = entries_.find(key);
        return it == entries_.end() || it->second.gone ? nullptr : &it->second.value;
    }
    template <class F>
    void each(F f) const {
        for (const auto& [key, entry] : entries_)
            if (!entry.gone) f(entry.value);
    }

private:
    struct Entry {
        Value value;
        uint64_t seen = 0;  // the last dump during or after which it was known
        uint64_t told = 0;  // the dump during or after which a notification spoke of it
        bool gone = false;
    };
    bool store(const Key& key, const Value& value, uint64_t seen, uint64_t told) {
        auto [it, fresh] = entries_.try_emplace(key);
        Entry& entry = it->second;
        const bool changed = fresh || entry.gone || !(entry.value == value);
        if (changed) entry.value = value;
        entry.seen = seen;
        entry.told = told;
        entry.gone = false;
        return changed;
    }
    std::map<Key, Entry> entries_;
};

/// Routes: several may share destination and metric, and a message may speak of a part of them.
class RouteTable {
public:
    enum class Effect : uint8_t {
        none,
        changed,
        unclear
    };  ///< unclear: only a dump can tell what is left

    Effect tell(const RouteChange&, const DumpMark&);
    /// False when the message contradicts a notification in a way that only another dump can
    /// settle.
    bool dump(const RouteChange&, uint64_t generation);
    void sweep(uint64_t generation, Family);

    bool uses_link(uint32_t ifindex) const;
    bool uses_source(const Address&) const;
    bool uses_nexthop_objects(Family) const;
    /// In the order of Snapshot::routes.
    std::vector<Route> routes() const;

private:
    using Key = std::pair<Prefix, uint32_t>;  // destination, metric
    struct Slot {
        std::vector<RouteChange> routes;  // in the kernel's order
        uint64_t seen = 0, told = 0;
    };
    static Effect add4(Slot&, const RouteChange&);
    static Effect add6(Slot&, const RouteChange&);
    static Effect remove4(Slot&, const RouteChange&);
    static Effect remove6(Slot&, const RouteChange&);
    std::map<Key, Slot> slots_;
};

class Tables {
public:
    /// A dump of this kind was requested; only one runs at a time.
    void begin(Kind);
    void dumped(const Change&);
    /// The dump came to its end. True when it can be trusted; false when it has to be repeated.
    bool end();
    /// The dump failed: what it brought is kept, nothing is swept.
    void abandon() { mark_.running.reset(); }

    void notified(const Change&);
    /// The kinds (bit()) that have to be dumped because of what was notified; forgets them.
    uint32_t take_wanted() { return std::exchange(wanted_, 0); }

    /// Brings the snapshot up to date; true when that changed it.
    bool update(Snapshot&);

private:
    void notified_link(const LinkChange&);
    void notified_address(const AddressChange&);
    void notified_route(const RouteChange&);

    struct LinkEntry {
        Link link;
        unsigned flags = 0;
        friend bool operator==(const LinkEntry&, const LinkEntry&) = default;
    };
    Table<uint32_t, LinkEntry> links_;
    Table<std::pair<Prefix, uint32_t>, LocalAddress> addresses_;
    Table<std::pair<uint32_t, Address>, Neighbour> neighbours_;
    RouteTable routes_;

    DumpMark mark_;
    bool disturbed_ = false;  // a notification left the running dump's result unclear
    uint32_t wanted_ = 0;
    bool links_changed_ = false, addresses_changed_ = false, routes_changed_ = false,
         neighbours_changed_ = false;
};

}  // namespace torii::kernel
