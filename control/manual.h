#pragma once
// Manual state: what operators say about servers by hand (`torii server down|drain|up`), kept over
// reloads and restarts of toriid. A pure step of desired state, after runtime edits and before
// health: whoever is taken away by hand counts for no quorum.

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "config/base/error.h"
#include "control/desired.h"

namespace torii::control {

enum class ManualState : uint8_t {
    up,     ///< not held; kept only where it is an exception to what is said of every service
    drain,  ///< no new connections: weight 0
    down,   ///< as if its checks failed: not in the tables
};
std::string_view to_string(ManualState);
Result<ManualState> parse_manual_state(std::string_view);

/// Whom it is said of. A server is named as in `servers:`, or by ADDRESS or ADDRESS:PORT; a
/// service as in `services:`, or as to_string(ServiceKey). No service: every one.
struct ManualKey {
    std::string server, service;
    friend bool operator==(const ManualKey&, const ManualKey&) = default;
    friend auto operator<=>(const ManualKey&, const ManualKey&) = default;
};

using Manual = std::map<ManualKey, ManualState>;

/// What holds for one server of one service: what is said of both goes before what is said of the
/// server alone.
ManualState manual_state(const Manual&, const Service&, const Destination&);

struct NoMore {
    friend bool operator==(NoMore, NoMore) = default;
};
/// Of one Manual: to be cleared when another holds.
using ManualMemory = Remembered<NoMore>;

/// Takes away what is down and sets what drains to weight 0. `memory`: of former calls.
Desired apply_manual(Desired, const Manual&, ManualMemory& memory);
Desired apply_manual(Desired, const Manual&);

/// The next one. Errc::not_found when no service of `all` has such a server, unless what was said
/// of it is taken back.
Result<Manual> say(Manual, const ManualKey&, ManualState, const Desired& all);

/// For the file that keeps it, and for the API: a JSON list. Errc::invalid when it is none.
std::string to_json(const Manual&);
Result<Manual> manual_from_json(std::string_view);

/// Reads and replaces the file; no file is nothing said.
Result<Manual> load_manual(const std::string& path);
Result<> store_manual(const std::string& path, const Manual&);

}  // namespace torii::control
