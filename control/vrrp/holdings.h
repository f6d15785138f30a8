#pragma once
// What an instance holds in the kernel: addresses, routes, and the macvlan that has its virtual
// MAC. What was there before and is not of our making is left alone. Thread-safety: one thread.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/kernel/editor.h"
#include "control/kernel/input_filter.h"
#include "control/kernel/interfaces.h"
#include "control/vrrp/plan.h"

namespace torii::control::vrrp {

class Holdings {
public:
    using Warn = std::function<void(Key, std::string)>;

    /// References must outlive it.
    Holdings(kernel::Editor&, const kernel::Interfaces&, Warn);

    /// Makes the kernel have what the plan says, and no more than that of what was ours.
    void hold(const InstancePlan&);
    /// Takes all of it away, also what a run before this one left (and marked).
    void release(const InstancePlan&);
    bool holds(Key key) const { return held_.contains(key); }
    /// Whether an address that is held was there and has gone.
    bool missing(const InstancePlan&);
    /// What it takes to hold them later: the macvlan that answers for the instance, made but down,
    /// and nftables where the machine itself is not to take packets.
    Result<> prepare(const InstancePlan&, uint32_t parent);
    /// Removes macvlan and filter of an instance that is no more.
    void forget(Key);

    /// Where an address is, and the MAC it answers with.
    struct Place {
        Address address;
        uint32_t ifindex = 0;
        Mac mac;
    };
    /// All addresses that it holds; empty when it holds none.
    std::vector<Place> places(const InstancePlan&) const;

private:
    struct Mine {
        uint32_t ifindex = 0;
        Prefix prefix;
        bool seen = false;  ///< the kernel tells of IPv6 addresses a while after it added them
        bool same(const Mine& other) const {
            return ifindex == other.ifindex && prefix == other.prefix;
        }
    };
    struct Held {
        std::vector<Mine> addresses;  ///< that we added
        std::vector<kernel::RouteEdit> routes;
    };
    struct Macvlan {
        uint32_t ifindex = 0, parent = 0;
        std::string name;
    };

    static bool has(const std::vector<Mine>&, const Mine&);
    uint32_t link_of(const InstancePlan&, const std::string& interface) const;
    void hold_addresses(const InstancePlan&, Held&);
    void hold_routes(const InstancePlan&, Held&);
    kernel::RouteEdit edit_of(const InstancePlan&, const config::VrrpRoute&) const;
    void warn(const InstancePlan&, const Result<>&);
    void set_up(const InstancePlan&, bool up);
    Result<> prepare_macvlan(const InstancePlan&, uint32_t parent);
    void refuse_input(const InstancePlan&);
    void admit_input(Key);
    void forget_macvlan(Key);
    std::string table_of(const InstancePlan&) const;

    kernel::Editor& editor_;
    const kernel::Interfaces& interfaces_;
    Warn warn_;
    std::map<Key, Held> held_;
    std::map<Key, Macvlan> macvlans_;
    std::unique_ptr<kernel::InputFilter> filter_;  // once it is needed
    std::map<Key, std::string> filtered_;          // names of tables
};

}  // namespace torii::control::vrrp
