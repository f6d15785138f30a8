#pragma once
// A worker: one thread on one core that takes packets from its receive queues through the pipeline.
// It lives in a loop that never blocks on anybody; what others want of it comes through Current
// (another View, or the end) and through the rings of KernelPath.

#include <rte_spinlock.h>

#include <array>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/io/clock.h"
#include "dataplane/io/handover.h"
#include "dataplane/io/idle.h"
#include "dataplane/io/kernel_path.h"
#include "dataplane/io/port.h"
#include "dataplane/io/waiting_room.h"
#include "dataplane/pipeline.h"
#include "dataplane/shm/control_block.h"
#include "dataplane/shm/current.h"
#include "dataplane/shm/standby.h"

namespace torii::io {

inline constexpr uint16_t kBurst = 32;

/// What a packet is before the stages see it.
void describe(stages::Packet&, rte_mbuf*, uint16_t port);

struct ReceiveQueue {
    uint16_t port;  ///< dataplane port number
    DeviceQueue at;
};

/// How a worker sends through a port. `lock` is there when workers share the queue.
struct TransmitQueue {
    DeviceQueue at;
    rte_spinlock_t* lock = nullptr;
};

/// The queues of all ports, dealt to the workers.
class QueuePlan {
public:
    QueuePlan(std::span<const PortFacts* const> ports, unsigned workers);
    std::vector<ReceiveQueue> receive_of(unsigned worker) const { return receive_[worker]; }
    std::vector<TransmitQueue> transmit_of(unsigned worker) const { return transmit_[worker]; }

private:
    std::vector<std::vector<ReceiveQueue>> receive_;
    std::vector<std::vector<TransmitQueue>> transmit_;
    std::vector<std::unique_ptr<rte_spinlock_t>> locks_;
};

class Worker {
public:
    struct Setup {
        unsigned number = 0;
        uint32_t core = 0;
        std::vector<ReceiveQueue> receive;
        std::vector<TransmitQueue> transmit;  ///< by dataplane port number
        uint64_t longest_sleep_ns = 50'000;
        flow::Table* table = nullptr;
        shm::Counters counters;
        shm::EventRing* events = nullptr;
        KernelPath* kernel = nullptr;
        Handover* handover = nullptr;
        const shm::StandbyTable* standby = nullptr;
        uint32_t fragments = 0;  ///< datagrams in pieces that are known at once
        uint32_t service_slots = 0, backend_slots = 0;
    };
    explicit Worker(Setup);
    Worker(const Worker&) = delete;

    /// Main thread. The thread begins with `view`, which stays the caller's.
    void start(const stages::View* view);
    void use(const stages::View* view);  ///< nullptr: stop
    bool settled() const { return current_.settled(); }
    void join();

private:
    void run();
    void loop();
    bool serve(const ReceiveQueue&);
    void serve(std::span<stages::Packet>);
    bool serve_given();
    void serve_released();
    void attend_fragments();
    void put_aside(stages::Packet&);
    void distribute(std::span<stages::Packet>);
    void hold(stages::Packet&);
    /// `counted`: its verdict has been counted, and what the port refuses now is not.
    void send(stages::Packet&, bool counted = false);
    void send_pieces(stages::Packet&, bool counted);
    void queue(rte_mbuf*, uint16_t port, stages::Packet* whose);
    void flush(uint16_t port);
    void flush_all();
    void to_kernel(std::span<stages::Packet>);
    bool from_kernel();
    void attend_waiting(bool retry);
    void empty_waiting();
    void rest(bool busy);
    void block(uint64_t ns);
    stages::Context context();

    struct Outgoing {  // packets gathered for one port during a burst
        uint16_t count = 0;
        std::array<rte_mbuf*, kBurst> packets;
        std::array<stages::Packet*, kBurst> of;  // whose verdict a refusal changes; may be null
    };

    Setup setup_;
    flow::Table::Worker& flows_;
    stages::WorkerState state_;
    shm::Current<stages::View> current_;
    const stages::View* view_ = nullptr;
    Clock clock_;
    IdlePolicy policy_;
    WaitingRoom waiting_;
    std::array<stages::Packet, kBurst> packets_;  // of the burst in hand
    std::vector<Outgoing> outgoing_;              // by dataplane port number
    std::vector<uint16_t> kernel_ports_;          // whose kernel traffic this worker sends
    uint64_t last_packet_tsc_ = 0, accounted_tsc_ = 0;
    std::thread thread_;
};

}  // namespace torii::io
