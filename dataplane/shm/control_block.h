#pragma once
// ControlBlock: the one word each daemon tells the other.
//
// Motivation
//   toriid publishes whole generations of tables as files; torii-dataplane must learn which is in
//   force, and toriid must learn which ports there are and which generation every worker has taken.
//   Either process may be absent, restarted or killed at any instruction.
//
// Shape
//   One page in DIR/control, created by whichever daemon comes first (O_EXCL temporary + link),
//   kept by both. Strings are NUL-terminated.
//
// Thread-safety
//   Each field names its one writing process. toriid writes from one thread; torii-dataplane from
//   its main thread, except nothing. Any number of readers.
//
// Memory ordering
//   Generation numbers are stored with release after the file is complete, and loaded with acquire.
//   `ports` and `table_path` are written before `ports_epoch` is stored with release; a reader that
//   loads a non-zero `ports_epoch` with acquire, copies, and finds the same epoch again has a whole
//   copy.
//
// Failure
//   A writer that dies between file and number leaves the old generation in force. Liveness is not
//   read from here but from the daemons' lock files (the kernel drops a lock when its holder dies).

#include <atomic>
#include <chrono>
#include <cstdint>

#include "config/base/address.h"
#include "dataplane/shm/object.h"

namespace torii::shm {

inline constexpr uint32_t kMaxPorts = 16;
inline constexpr uint32_t kMaxWorkers = 64;

struct PortInfo {        // writer: dataplane; readers: toriid
    char name[32];       ///< as in the configuration
    char interface[16];  ///< kernel device whose routes and neighbours this port serves ("" for
                         ///< none)
    uint32_t ifindex;    ///< of that device in the daemon's namespace; 0 = none
    Mac mac;
    uint16_t queues;
    uint32_t mtu;
    uint32_t driver;  ///< config::Driver as a number
};

struct alignas(64) ControlBlock {
    ObjectHeader header;

    // writer: toriid; readers: dataplane main thread, torii
    alignas(
        64) std::atomic<uint64_t> services_generation;  ///< N of services.N in force; 0 = none yet
    std::atomic<uint64_t> routes_generation;            ///< N of routes.N in force; 0 = none yet
    std::atomic<uint32_t>
        published;  ///< +1 after every publication; the dataplane sleeps on it (futex)
    std::atomic<uint32_t> stopping;  ///< toriid asks nothing of the dataplane; reserved, 0

    // writer: dataplane main thread; readers: toriid
    alignas(64)
        std::atomic<uint64_t> services_in_force;  ///< every worker has passed to this generation
    std::atomic<uint64_t> routes_in_force;
    std::atomic<uint64_t>
        refused_generation;  ///< last services.N or routes.N that failed to load; 0 = none
    std::atomic<uint32_t>
        ready;  ///< 1 once workers run and steering is filled for services_in_force
    std::atomic<uint32_t> workers;  ///< number of workers
    std::atomic<uint32_t>
        ports_epoch;  ///< +1 whenever ports or table_path changed; 0 = never written
    uint32_t port_count;
    PortInfo ports[kMaxPorts];
    char table_path[256];  ///< where the connection table lies
};
static_assert(sizeof(ControlBlock) <= 4096);

inline constexpr uint64_t kControlLayout = layout_hash(
    {sizeof(ControlBlock), offsetof(ControlBlock, services_in_force), offsetof(ControlBlock, ports),
     offsetof(ControlBlock, table_path), sizeof(PortInfo)});

/// Opens DIR/control, creating it when it is not there. A truncated or foreign file is an error.
Result<Mapping> open_control(const Location&);
inline ControlBlock& control_of(const Mapping& m) { return *m.at<ControlBlock>(0); }

/// Wakes whoever sleeps in wait_published(). Called by toriid after storing a generation.
void announce(ControlBlock&);
/// Sleeps until `published` differs from `seen` or `milliseconds` have passed. Dataplane main
/// thread.
void wait_published(ControlBlock&, uint32_t seen, int milliseconds);

/// DIR/NAME.lock, held for as long as the object lives; the kernel frees it when the process dies.
class Lock {
public:
    /// Errc::busy when another process holds it for longer than `patience`: a process that was
    /// killed still holds it while the kernel takes its memory back.
    static Result<Lock> acquire(const Location&, std::string_view name,
                                std::chrono::milliseconds patience = {});
    /// Whether some process holds it.
    static bool held(const Location&, std::string_view name);
    Lock(Lock&&) noexcept;
    Lock& operator=(Lock&&) noexcept;
    ~Lock();

private:
    explicit Lock(int fd) : fd_(fd) {}
    int fd_ = -1;
};

}  // namespace torii::shm
