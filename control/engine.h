#pragma once
// Engine: the tables in force and the one way to change them. All or nothing: a change that fails
// anywhere leaves everything as it was. One thread.

#include <memory>

#include "control/commands.h"
#include "control/compiler.h"
#include "control/dataplane_link.h"
#include "control/estimator.h"
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
    Result<Applied> apply(Desired next, uint32_t max_backends, const Zero& = {});
    /// After the dataplane made its counters anew: bases that lie above them are cleared.
    Result<> counters_changed();

    const Tables& tables() const { return *tables_; }
    /// For a listing that goes on while they change.
    std::shared_ptr<const Tables> shared_tables() const { return tables_; }
    /// Call it every kEstimatorTick.
    void estimate();
    const Estimator& estimator() const { return estimator_; }
    Tally tally() const;

private:
    Result<bool> publish(const Tables&);
    uint64_t in_force() const;
    SlotFacts facts() const;
    void zero(Slots&, const Zero&);

    shm::ControlBlock& control_;
    Publisher& publisher_;
    const DataplaneLink& link_;
    std::shared_ptr<const Tables> tables_ = std::make_shared<Tables>();
    Estimator estimator_;
    Compiler compiler_;  // knows what is in force
    bool recovered_ = false;
};

}  // namespace torii::control
