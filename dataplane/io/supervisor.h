#pragma once
// The main thread's work once everything is prepared: ports, workers, generations, and the control
// block that tells toriid about them.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/flow/table.h"
#include "dataplane/io/generations.h"
#include "dataplane/io/handover.h"
#include "dataplane/io/kernel_path.h"
#include "dataplane/io/preparation.h"
#include "dataplane/io/worker.h"
#include "dataplane/shm/control_block.h"
#include "dataplane/shm/counters.h"

namespace torii::io {

class Supervisor {
public:
    Supervisor(const Preparation& preparation, bool fresh_table)
        : prepared_(preparation),
          fresh_table_(fresh_table),
          location_(shm::Location::of_instance(preparation.config.instance)) {}
    Supervisor(const Supervisor&) = delete;

    /// Takes the instance's lock, attaches to shared memory, opens the ports and starts the
    /// workers. On error what was started and made is undone.
    Result<> start();
    /// Serves until `stop_fd` (a signalfd) is readable.
    void run(int stop_fd);
    /// Stops workers and ports; shared memory and what keeps packets of services from the kernel
    /// stay.
    void stop();

private:
    Result<> start_all();
    void undo(bool made_directory);
    void stop_workers();
    Result<> attach();
    Result<> open_table();
    Result<> open_ports();
    Result<> start_workers();
    void describe_ports();
    void look_for_generation();
    void put_in_force(Generation next);
    void look_at_leavers();
    void steer(const xdp::SteeringSet&);
    void wait_settled();
    shm::ControlBlock& control() { return shm::control_of(control_map_); }
    shm::Counters counters() { return shm::Counters(counters_map_.data()); }
    unsigned worker_count() const { return unsigned(prepared_.cores.size()); }

    const Preparation& prepared_;
    bool fresh_table_;
    shm::Location location_;
    std::optional<shm::Lock> lock_;
    shm::Mapping control_map_, standby_map_, counters_map_, events_map_;
    std::unique_ptr<flow::Table> table_;
    flow::Recovery recovery_;
    std::optional<Generations> generations_;
    Generation in_force_;
    xdp::SteeringSet steering_;
    bool steering_known_ = false;           ///< a generation told what to steer
    bool steered_ = false;                  ///< the ports have been told `steering_`
    std::vector<uint32_t> leavers_;         ///< removed backends whose replies are steered
    std::vector<uint32_t> former_leavers_;  ///< what the last look found
    rte_mempool* pool_ = nullptr;
    std::vector<std::unique_ptr<Port>> ports_;
    std::unique_ptr<KernelPath> kernel_;
    std::unique_ptr<Handover> handover_;
    std::optional<QueuePlan> queues_;
    std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace torii::io
