#pragma once
// Adds and removes addresses, routes and macvlan links (rtnetlink(7)). What is made carries a mark
// (IFA_PROTO, rtm_protocol), so that a later run knows what an earlier one left behind.
//
// Thread-safety: one thread. Each call waits for the kernel's answer, and so for whoever changes
// the network at that moment; never for the network itself.

#include <cstdint>
#include <memory>
#include <string>

#include "config/base/address.h"
#include "config/base/error.h"

namespace torii::kernel {

/// The mark: VRRP's protocol number, which no entry of iproute2's rt_protos has.
inline constexpr uint8_t kVrrpMark = 112;

struct RouteEdit {
    Prefix destination;
    Address via;           ///< unspecified = directly connected
    uint32_t ifindex = 0;  ///< 0 = found by `via`
    Address source;        ///< preferred source; unspecified = the kernel's choice
    uint32_t metric = 0;
    uint32_t table = 254;
    friend bool operator==(const RouteEdit&, const RouteEdit&) = default;
};

class Editor {
public:
    enum class Made : uint8_t { made, existed };

    static Result<std::unique_ptr<Editor>> open();
    ~Editor();
    Editor(const Editor&) = delete;
    Editor& operator=(const Editor&) = delete;

    /// Without duplicate detection. An IPv6 host address (/128) is not chosen as a source.
    Result<Made> add_address(uint32_t ifindex, const Prefix&);
    /// One that is not there (any more), or whose link is not, is no error.
    Result<> remove_address(uint32_t ifindex, const Prefix&);
    Result<Made> add_route(const RouteEdit&);
    /// Removes only a route that carries the mark; one that is not there is no error.
    Result<> remove_route(const RouteEdit&);
    /// A macvlan on `parent`, down, with this MAC and no addresses. One of that name is replaced.
    /// Returns its ifindex.
    Result<uint32_t> add_macvlan(const std::string& name, uint32_t parent, const Mac&);
    Result<> remove_link(uint32_t ifindex);
    Result<> set_link(uint32_t ifindex, bool up);

private:
    struct State;
    explicit Editor(std::unique_ptr<State>);
    std::unique_ptr<State> state_;
};

}  // namespace torii::kernel
