#pragma once
// Sync groups: instances that are active, backup or faulty together (keepalived's
// vrrp_sync_group). An instance without a group is a group of one, so that who runs the machines
// has one way in.
//
// - A fault of one member is a fault of all.
// - A member becomes active only when every member would: a link that is cut on one side alone
//   moves nothing while the peers hear each other on the other side.
// - A member that becomes backup takes all with it.

#include <span>
#include <vector>

#include "vrrp/fsm.h"

namespace torii::vrrp {

struct Member {
    const Settings* settings = nullptr;  ///< the caller's; grouped is set where there are several
    State state;
};

/// What one member has to do. Carried out in the order of the list.
struct MemberActions {
    size_t member = 0;  ///< its place in the group
    Actions actions;
};

/// Hands `event` to one member and then to the others what follows from it for them. Changes the
/// states of `group`, and nothing else; `done` is appended to and may be reused without allocating.
void step_group(std::span<Member> group, size_t member, const Event& event, Time now,
                std::vector<MemberActions>& done);

/// The earliest wakeup() of the members.
Time wakeup(std::span<const Member> group);

}  // namespace torii::vrrp
