#pragma once
// Engine: the tables in force and the one way to change them. All or nothing: a change that fails
// anywhere leaves everything as it was. One thread.

#include "control/dataplane_link.h"
#include "control/publisher.h"
#include "control/tables.h"
#include "control/tally.h"

namespace torii::control {

class Engine {
public:
    /// Goes on from the generation in force. Where that cannot be read, the tables are made anew
    /// and `problem` says so. References must outlive the Engine.
    Engine(shm::Location, shm::ControlBlock&, Publisher&, const DataplaneLink&,
           std::string& problem);

    struct Applied {
        bool published = false;
        Difference difference;
        uint64_t generation = 0;  ///< in force now
    };
    /// Puts `next` into force. `max_backends` counts where no dataplane has said how many slots
    /// there are.
    Result<Applied> apply(Desired next, uint32_t max_backends);
    /// After the dataplane made its counters anew: bases that lie above them are cleared.
    Result<> counters_changed();

    const Tables& tables() const { return tables_; }
    Tally tally() const;

private:
    Result<bool> publish(const Tables&);
    uint64_t in_force() const;

    shm::ControlBlock& control_;
    Publisher& publisher_;
    const DataplaneLink& link_;
    Tables tables_;
};

}  // namespace torii::control
