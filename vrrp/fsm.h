#pragma once
// The VRRP state machine (RFC 5798 section 6.4, RFC 9568 section 6.4) as a pure function:
// (settings, state, event, now) -> (state, actions). No socket, no clock, no thread; who runs it
// does what the actions say, in their order, and calls it again when wakeup() has come. A caller
// that has both packets and a timer due hands in the packets first. Roles have RFC 9568's names:
// active and backup are RFC 5798's master and backup.
//
// Beyond the RFCs: faults, preemption delay, startup delay, sync groups (see group.h), gratuitous
// announcements that are repeated, and stalls. A router that was not run for so long that its peers
// may have given it up does not fight: it becomes backup without a word, and listens first. One
// that gives way to a stronger router sends one more advert before, so that the stronger one, which
// may not have heard of it until then, announces the addresses again (keepalived's
// higher_prio_send_advert). What is answered out of turn (a weaker or resigning peer) is answered
// once an interval, so that a flood of packets makes none of ours.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "config/base/address.h"
#include "vrrp/codec.h"
#include "vrrp/time.h"

namespace torii::vrrp {

enum class Role : uint8_t {
    initialize,  ///< not started, waiting for its start, or stopped
    backup,
    active,
    fault,  ///< something it needs is missing; takes no part
};
std::string_view to_string(Role);  ///< "initialize", "backup", "active", "fault"

/// What one instance is set to. The caller keeps it; a change is told with Changed.
struct Settings {
    uint8_t version = 3;
    uint8_t priority = 100;  ///< the effective one; see track.h
    Duration interval{1'000'000};
    unsigned missed_adverts = 3;
    bool preempt = true;
    Duration preempt_delay{0};
    Duration startup_delay{0};
    Address local;         ///< source of our adverts; of two with one priority the higher wins
    bool grouped = false;  ///< asks with State::wants instead of becoming active by itself
    uint16_t announce_repeat = 5;        ///< announcements an address in a burst; 0 = none
    Duration announce_delay{5'000'000};  ///< second burst after that; 0 = none
    Duration announce_refresh{0};        ///< a burst every so often; 0 = never
    uint16_t announce_refresh_repeat = 1;
    friend bool operator==(const Settings&, const Settings&) = default;
};

/// What a backup's timer waits for.
enum class Wait : uint8_t {
    down,    ///< the active router's adverts are missing (Active_Down_Timer)
    skew,    ///< it has resigned
    listen,  ///< we were late: it has one more interval to be heard
};

struct State {
    Role role = Role::initialize;
    bool started = false;         ///< initialize: Start has come
    bool ready = false;           ///< initialize: Ready has come
    bool fault = false;           ///< something of its own is missing
    bool group_fault = false;     ///< something of another member of its group is
    bool wants = false;           ///< backup of a group: would be active, see group.h
    bool leaving = false;         ///< active: has resigned, and serves until somebody else does
    uint8_t priority = 0;         ///< Settings::priority as of the last step
    Wait wait = Wait::down;       ///< backup
    Duration active_interval{0};  ///< what the active router keeps
    /// initialize: start no earlier; backup: become active; active: send the next advert, or stop
    /// serving when leaving.
    Time deadline = kNever;
    Time since{};             ///< initialize: Start; backup: the wait began; active: we sent last
    Time hold = kNever;       ///< backup: a weaker active router is left alone until then
    Time announce = kNever;   ///< active: next burst but the first
    Time refresh = kNever;    ///< active: next refreshing burst
    Time asserted = kNever;   ///< active: when we last answered a weaker or resigning router
    Time reclaimed = kNever;  ///< active: when we last announced because of a weaker one
    Address active_router;    ///< backup: who was heard last, or unspecified; active: ourselves
    uint8_t active_priority = 0;  ///< of that router
    friend bool operator==(const State&, const State&) = default;
};

/// Begin. Nothing is claimed before Ready has come and startup_delay is over.
struct Start {
    friend bool operator==(const Start&, const Start&) = default;
};
/// Ports, tables and first checks are there.
struct Ready {
    friend bool operator==(const Ready&, const Ready&) = default;
};
/// End. An active router resigns with priority 0, but serves on until it has heard the next one or
/// that one's skew time is over (2 s at most); a second Stop ends it at once.
struct Stop {
    friend bool operator==(const Stop&, const Stop&) = default;
};
/// A deadline may have come. Harmless at any time.
struct Tick {
    friend bool operator==(const Tick&, const Tick&) = default;
};
/// Something of its own that it cannot do without is missing, or is there again.
struct Fault {
    bool missing;
    friend bool operator==(const Fault&, const Fault&) = default;
};
/// Settings are others than before. Never makes an active router anything else.
struct Changed {
    bool addresses = false;  ///< what it holds has changed too
    friend bool operator==(const Changed&, const Changed&) = default;
};
// From group.h only:
struct GroupFault {
    bool missing;
    friend bool operator==(const GroupFault&, const GroupFault&) = default;
};
struct Promote {  ///< every member wants to be active
    friend bool operator==(const Promote&, const Promote&) = default;
};
struct Demote {   ///< another member has become backup
    bool resign;  ///< say so with priority 0
    friend bool operator==(const Demote&, const Demote&) = default;
};
using Event =
    std::variant<Start, Ready, Stop, Tick, Advert, Fault, Changed, GroupFault, Promote, Demote>;

/// Why a role changed.
enum class Reason : uint8_t {
    none,
    started,
    owner,
    silence,
    resigned,
    stronger,
    fault,
    fault_over,
    group_fault,
    group_active,
    group_backup,
    stalled,
    stopped,
    kCount
};
struct ReasonInfo {
    Reason id;
    std::string_view name;  ///< in logs, API and metrics
    std::string_view help;
};
inline constexpr std::array kReasons = {
    ReasonInfo{Reason::none, "none", "no transition"},
    ReasonInfo{Reason::started, "started", "it has started"},
    ReasonInfo{Reason::owner, "owner", "the addresses are its own (priority 255)"},
    ReasonInfo{Reason::silence, "silence", "no router of its priority or more was heard in time"},
    ReasonInfo{Reason::resigned, "resigned", "the active router has resigned"},
    ReasonInfo{Reason::stronger, "stronger",
               "a router with a higher priority (or the same and a higher address) is active"},
    ReasonInfo{Reason::fault, "fault", "something it cannot do without is missing"},
    ReasonInfo{Reason::fault_over, "fault_over", "nothing is missing any more"},
    ReasonInfo{Reason::group_fault, "group_fault", "another member of its group is faulty"},
    ReasonInfo{Reason::group_active, "group_active", "every member of its group may be active"},
    ReasonInfo{Reason::group_backup, "group_backup",
               "another member of its group has become backup"},
    ReasonInfo{Reason::stalled, "stalled", "it was not run for longer than its peers wait"},
    ReasonInfo{Reason::stopped, "stopped", "it was told to stop"},
};
static_assert(kReasons.size() == size_t(Reason::kCount));
constexpr const ReasonInfo& info(Reason r) { return kReasons[size_t(r)]; }

/// What to do, in the order given.
struct Action {
    enum class Kind : uint8_t {
        send_advert,  ///< with `priority`; 0 resigns
        hold,         ///< make the kernel have its addresses and routes, as now configured
        release,      ///< take all of them from the kernel, also such that an earlier run left;
                      ///< `linger` later if nothing else comes before
        announce,     ///< gratuitous ARP, unsolicited NA: `repeat` times for each address held
        notify,       ///< the role is now `role` because of `reason`; initialize = it has stopped
        weaker,       ///< nothing to do; a weaker active router was heard (event stream, log)
    };
    Kind kind = Kind::notify;
    uint8_t priority = 0;
    uint16_t repeat = 0;
    Duration linger{0};
    Role role = Role::initialize;
    Reason reason = Reason::none;
    friend bool operator==(const Action&, const Action&) = default;
};
std::string_view to_string(Action::Kind);

/// A few actions, without allocation.
class Actions {
public:
    static constexpr size_t kMost = 8;
    void add(const Action& a) { items_[count_++] = a; }
    std::span<const Action> all() const { return {items_.data(), count_}; }
    const Action* begin() const { return items_.data(); }
    const Action* end() const { return items_.data() + count_; }
    size_t size() const { return count_; }
    bool empty() const { return count_ == 0; }

private:
    std::array<Action, kMost> items_{};
    size_t count_ = 0;
};

struct Step {
    State state;
    Actions actions;
};

[[nodiscard]] Step step(const Settings&, const State&, const Event&, Time now);

/// When Tick is due next; kNever when only another event can change anything.
Time wakeup(const State&);

/// (256 - priority) / 256 of a second in version 2, of the active router's interval in version 3.
Duration skew_time(const Settings&, Duration active_interval);
/// missed_adverts intervals and the skew time.
Duration down_interval(const Settings&, Duration active_interval);
/// How late an active router's advert may be before its peers may have given it up.
Duration patience(const Settings&, Duration interval);

}  // namespace torii::vrrp
