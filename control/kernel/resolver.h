#pragma once
// Asks the kernel to keep the link-layer addresses of a set of neighbours known, so that packets
// never have to wait for ARP or NDP: NTF_EXT_MANAGED entries (Linux 5.16), which the kernel probes
// by itself, and on a kernel without them an NTF_USE request at every refresh().
//
// Entries that an administrator made permanent are never touched, nor is the managed flag of an
// entry that somebody else manages. Entries of ours that a crash leaves behind are harmless: the
// kernel goes on probing them until the link goes down, and the next Resolver adopts or, if told
// nothing of them, ignores them. So nothing is written down, and destruction releases nothing: a
// restart loses no neighbour.
//
// Thread-safety: one thread at a time. Calls block only for the kernel's own answers, never for the
// network.

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/base/address.h"
#include "config/base/error.h"

namespace torii::kernel {

class Resolver {
public:
    struct Target {
        uint32_t ifindex = 0;
        Address address;
        friend bool operator==(const Target&, const Target&) = default;
        friend auto operator<=>(const Target&, const Target&) = default;
    };
    struct Refusal {
        Target target;
        std::string reason;  ///< a sentence for the log
    };
    /// What became of the request. Refused targets stay in the set: refresh() tries them again.
    struct Outcome {
        size_t requested = 0;  ///< entries the kernel was asked to manage or resolve in this call
        size_t released = 0;   ///< entries given back in this call
        std::vector<Refusal> refused;
    };

    static Result<std::unique_ptr<Resolver>> open();
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    /// Replaces the set (order and duplicates do not matter). New members are requested; members no
    /// longer wanted become ordinary entries that keep their state and age as any other.
    Result<Outcome> set(std::vector<Target>);
    /// Requests again what the kernel does not (any more) manage: entries vanish when a link goes
    /// down, and a kernel without managed entries has to be reminded. Call it every few seconds and
    /// after a link came up.
    Result<Outcome> refresh();
    /// Starts one resolution now, for a neighbour that a packet waits for. The caller limits the
    /// rate.
    Result<> poke(const Target&);

private:
    struct State;
    explicit Resolver(std::unique_ptr<State>);
    std::unique_ptr<State> state_;
};

}  // namespace torii::kernel
