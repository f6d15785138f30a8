#pragma once
// StandbyBook: what behaviour.backup_only makes of the instances' states, in the table that every
// worker of the dataplane looks at. Packets to an instance's addresses are the kernel's while
// another router is active for it; while another one is for every instance, so are those of all
// services. Thread-safety: one thread, the only one that writes the table.

#include <map>
#include <set>
#include <vector>

#include "control/vrrp/plan.h"
#include "dataplane/shm/standby.h"

namespace torii::control::vrrp {

class StandbyBook {
public:
    /// Begins with what a run before this one left in the table, which must outlive it.
    explicit StandbyBook(shm::StandbyTable&);

    /// Instances that are new stand as the table says, until waits() is told.
    void plan(const Plan&);
    /// Whether another router is active for it. Must be false before its addresses are held.
    void waits(Key, bool);
    /// Whether it serves on for a moment, although another router is.
    void lingers(Key, bool);

private:
    struct Standing {
        std::vector<Address> addresses;
        bool waits = false, lingers = false;
    };
    void update();

    shm::StandbyTable& table_;
    shm::Standby said_;
    bool on_ = false, written_ = false;
    std::map<Key, Standing> instances_;
};

}  // namespace torii::control::vrrp
