#pragma once
// A live copy of the kernel's links, addresses, main routing table and neighbours (rtnetlink(7)).
//
// Thread-safety: exactly one thread uses a Mirror, the one that waits on fd(). Snapshots may be
// copied out to others. A Mirror sees the network namespace its thread was in when it was opened.

#include <cstddef>
#include <memory>

#include "config/base/error.h"
#include "control/kernel/snapshot.h"

namespace torii::kernel {

struct MirrorOptions {
    /// Bytes of receive buffer to ask for (forced past rmem_max where CAP_NET_ADMIN allows it).
    /// What does not fit is recovered by dumping everything anew, so this only saves work.
    size_t receive_buffer = size_t{16} << 20;
};

class Mirror {
public:
    /// Opens and subscribes the socket, and reads everything once. Fails with Errc::io where
    /// netlink is not to be had. A kernel without IPv6 is no error.
    static Result<std::unique_ptr<Mirror>> open(MirrorOptions = {});
    ~Mirror();
    Mirror(const Mirror&) = delete;
    Mirror& operator=(const Mirror&) = delete;

    /// Becomes readable when process() has something to do. Non-blocking; owned by the Mirror, so
    /// an event loop must release() it, not close it.
    int fd() const;

    /// Takes in all that is pending, without blocking, and says whether the snapshot changed. A
    /// neighbour that moves between reachable, stale, delay and probe changes nothing. After lost
    /// messages (ENOBUFS) everything is read anew. An error leaves the last snapshot in force; call
    /// again later.
    Result<bool> process();

    /// The state after the last process(); the reference is good until the next one.
    const Snapshot& snapshot() const;

    /// How often the whole state was read again because messages had been lost.
    uint64_t overruns() const;

private:
    struct State;
    explicit Mirror(std::unique_ptr<State>);
    std::unique_ptr<State> state_;
};

}  // namespace torii::kernel
