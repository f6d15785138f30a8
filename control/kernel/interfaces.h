#pragma once
// A live view of links and their addresses, and of nothing else: cheap enough for a thread that
// must act on a change at once, however many routes and neighbours there are.
//
// Thread-safety: one thread. It sees the network namespace its thread was in when it was opened.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/kernel/snapshot.h"

namespace torii::kernel {

struct InterfaceAddress {
    Prefix prefix;           ///< keeps its host bits
    bool tentative = false;  ///< not usable yet: duplicate detection goes on
    bool secondary = false;
    uint8_t protocol = 0;  ///< who made it (IFA_PROTO); 0 = unknown
    friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) = default;
};

struct Interface {
    Link link;
    std::vector<InterfaceAddress> addresses;  ///< in the kernel's order
    friend bool operator==(const Interface&, const Interface&) = default;
};

class Interfaces {
public:
    /// Subscribes and reads everything once. Errc::io where netlink is not to be had.
    static Result<std::unique_ptr<Interfaces>> open();
    ~Interfaces();
    Interfaces(const Interfaces&) = delete;
    Interfaces& operator=(const Interfaces&) = delete;

    /// Readable when process() has something to do. Owned by this.
    int fd() const;
    /// Takes in what is pending and says whether anything changed. Blocks only when messages were
    /// lost and everything has to be read anew.
    Result<bool> process();

    const std::vector<Interface>& all() const;
    /// Null when there is none; good until the next process().
    const Interface* find(std::string_view name) const;
    const Interface* find(uint32_t ifindex) const;

private:
    struct State;
    explicit Interfaces(std::unique_ptr<State>);
    std::unique_ptr<State> state_;
};

}  // namespace torii::kernel
