#pragma once
// One service as commands and connections see it: the control process's list, what it publishes,
// one worker's cursor, and the connections that make the loads.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/scheduler/list_state.h"
#include "dataplane/scheduler/scheduler.h"

namespace torii::scheduler {

/// What a generation holds of one service; owns the memory that its view points to.
struct Published {
    /// Server 'A' (slot 0) is 10.0.1.11:80, and so on.
    static std::vector<Endpoint> ends_of(std::span<const Target> targets) {
        std::vector<Endpoint> ends;
        for (const Target& t : targets)
            ends.push_back({Address::v4(be32::from_host(0x0a00010b + t.backend)), 80});
        return ends;
    }

    std::vector<Target> targets;
    std::vector<uint32_t> table;
    std::vector<Change> changes;
    ServiceView view;

    Published(const Scheduler& s, const ListState& list, uint16_t flags = 0)
        : targets(list.targets()),
          table(build_table(s, targets, ends_of(targets))),
          changes(list.changes().begin(), list.changes().end()) {
        view = {targets, table, changes, list.change_seq(), list.max_weight(), list.gcd(), flags};
    }
    Published(const Published&) = delete;
};

struct Rig {
    explicit Rig(std::string_view name, uint16_t with_flags = 0)
        : scheduler(*find_scheduler(name)), flags(with_flags) {}

    /// Servers 'A', 'B', ... with these weights, added one by one.
    Rig& add(std::initializer_list<uint32_t> weights) {
        for (uint32_t w : weights) list.add(uint32_t(list.size()), w);
        return *this;
    }
    /// Chooses for one connection, which then stays active; '-' when it is refused.
    char connect(const Key& key = {}) {
        const Published now(scheduler, list, flags);
        const Loads view{this, read, overload};
        const uint32_t b = choose(scheduler, now.view, cursor, view, key);
        if (b == kNoBackend) return '-';
        ++loads[b].active;
        ++loads[b].total;
        return char('A' + b);
    }
    std::string connect_times(int n) {
        std::string s;
        for (int i = 0; i < n; ++i) s += connect();
        return s;
    }

    static Load read(const void* rig, uint32_t b) {
        const auto& loads = static_cast<const Rig*>(rig)->loads;
        const auto it = loads.find(b);
        return it == loads.end() ? Load{} : it->second;
    }
    static bool overload(const void* rig, uint32_t b) {
        const auto& upper = static_cast<const Rig*>(rig)->upper;
        const auto it = upper.find(b);
        return it != upper.end() && read(rig, b).total >= it->second;
    }

    const Scheduler& scheduler;
    uint16_t flags;
    ListState list;
    Cursor cursor;
    std::map<uint32_t, Load> loads;
    std::map<uint32_t, int64_t> upper;  ///< thresholds by slot; none where absent
};

}  // namespace torii::scheduler
