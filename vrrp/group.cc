#include "vrrp/group.h"

#include <algorithm>

namespace torii::vrrp {
namespace {

/// What a step made of its member's role, as far as the others care.
struct Left {
    bool active = false;   ///< it was active and is backup now
    bool stalled = false;  ///< because it was late, and then nobody says a word
};

class Round {
public:
    Round(std::span<Member> group, Time now, std::vector<MemberActions>& done)
        : group_(group), now_(now), done_(done) {}

    void run(size_t member, const Event& event) {
        const Left left = apply(member, event);
        if (group_.size() < 2) return;
        share_faults();
        if (left.active) demote_others(member, !left.stalled);
        promote_if_all_may();
    }

private:
    Left apply(size_t member, const Event& event) {
        Member& m = group_[member];
        const Role before = m.state.role;
        Step next = step(*m.settings, m.state, event, now_);
        m.state = next.state;
        Left left{before == Role::active && m.state.role == Role::backup};
        for (const Action& a : next.actions) left.stalled |= a.reason == Reason::stalled;
        if (!next.actions.empty()) done_.push_back({member, next.actions});
        return left;
    }

    void share_faults() {
        const auto faulty =
            std::ranges::count_if(group_, [](const Member& m) { return m.state.fault; });
        for (size_t i = 0; i < group_.size(); ++i) {
            const State& s = group_[i].state;
            const bool others = faulty > (s.fault ? 1 : 0);
            if (others != s.group_fault) apply(i, GroupFault{others});
        }
    }

    void demote_others(size_t member, bool resign) {
        for (size_t i = 0; i < group_.size(); ++i)
            if (i != member && group_[i].state.role == Role::active) apply(i, Demote{resign});
    }

    void promote_if_all_may() {
        const auto may = [](const Member& m) {
            return (m.state.role == Role::active && !m.state.leaving) || m.state.wants;
        };
        if (!std::ranges::all_of(group_, may)) return;
        for (size_t i = 0; i < group_.size(); ++i)
            if (group_[i].state.wants) apply(i, Promote{});
    }

    std::span<Member> group_;
    const Time now_;
    std::vector<MemberActions>& done_;
};

}  // namespace

void step_group(std::span<Member> group, size_t member, const Event& event, Time now,
                std::vector<MemberActions>& done) {
    Round(group, now, done).run(member, event);
}

Time wakeup(std::span<const Member> group) {
    Time first = kNever;
    for (const Member& m : group) first = std::min(first, wakeup(m.state));
    return first;
}

}  // namespace torii::vrrp
