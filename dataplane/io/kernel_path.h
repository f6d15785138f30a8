#pragma once
// The kernel's share of the packets: what torii does not balance goes into the kernel through a
// TAP, and what the kernel sends out of a port's TAP leaves by that port.
//
// Every instance has one TAP of its own for ports that have none. A port with `kernel_interface`
// has a TAP with its address, which to the kernel is the interface on that wire.
//
// System calls do not belong on the packet path, so a thread of its own reads and writes the TAPs;
// workers hand packets over through bounded rings. A full ring refuses, and the worker counts it.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/base/error.h"

struct rte_mbuf;
struct rte_mempool;

namespace torii::io {

struct PortFacts;

class KernelPath {
public:
    struct Setup {
        std::string instance;
        std::vector<const PortFacts*> ports;  ///< by dataplane port number
        unsigned workers = 1;
        rte_mempool* pool = nullptr;
    };
    /// Creates the TAPs and the thread. On error nothing is left.
    static Result<std::unique_ptr<KernelPath>> open(const Setup&);
    /// Ends the thread and removes the TAPs. The workers must have stopped.
    ~KernelPath();
    KernelPath(const KernelPath&) = delete;

    /// Worker `worker` gives up to `count` packets, each with its dataplane port number in `port`;
    /// returns how many were taken (the first ones).
    unsigned give(unsigned worker, rte_mbuf** packets, unsigned count);
    /// Worker: takes packets that the kernel sends out of dataplane port `port`. Only the worker
    /// sender_of(port) may.
    unsigned take(uint16_t port, rte_mbuf** packets, unsigned room);
    unsigned sender_of(uint16_t port) const;
    bool sends(uint16_t port) const;  ///< whether the port has a TAP of its own
    /// A descriptor that becomes readable when somebody wants this worker: worker, main thread.
    int wake_fd(unsigned worker) const;
    void wake(unsigned worker);
    void calm(unsigned worker);  ///< the worker has seen it

private:
    struct Impl;
    explicit KernelPath(std::unique_ptr<Impl>);
    std::unique_ptr<Impl> impl_;
};

}  // namespace torii::io
