#include "vrrp/fsm.h"

#include <algorithm>

namespace torii::vrrp {
namespace {

using namespace std::chrono_literals;

constexpr Duration kReclaimGap = 1s;  // between announcements because of a weaker router
// The first of them may be on the wire before those of the weaker one, whose advert comes first.
constexpr Duration kReclaimEcho = 50ms;
// Who gives way serves on until the other one has told the network where the addresses are.
constexpr Duration kLinger = 20ms;
constexpr Duration kMostLeaving = 2s;  // a resigned router serves on at most

/// One step in the making.
class Machine {
public:
    Machine(const Settings& settings, const State& state, Time now)
        : set_(settings), now_(now), step_{state, {}}, s_(step_.state) {}

    Step take(const Event& event) {
        if (is_stalled()) to_backup(Reason::stalled);
        std::visit([this](const auto& e) { on(e); }, event);
        s_.priority = set_.priority;
        return step_;
    }

private:
    void on(const Start&) { start(); }
    void on(const Ready&) {
        s_.ready = true;
        begin();
    }
    void on(const Stop&) { stop(); }
    void on(const Tick&) { tick(); }
    void on(const Advert& a) { advert(a); }
    void on(const Fault& f) {
        s_.fault = f.missing;
        faults(Reason::fault);
    }
    void on(const GroupFault& f) {
        s_.group_fault = f.missing;
        faults(Reason::group_fault);
    }
    void on(const Changed& c) { changed(c); }
    void on(const Promote&) {
        if (s_.role == Role::backup && s_.wants) to_active(Reason::group_active);
    }
    void on(const Demote& d) { demote(d); }

    bool owner() const { return set_.priority == kOwner; }

    // --- RFC 5798 section 6.4.1, initialize ---------------------------------------------------

    void start() {
        if (s_.role != Role::initialize || s_.started) return;
        s_.started = true;
        s_.since = now_;
        s_.deadline = now_ + set_.startup_delay;
        act({.kind = Action::Kind::release});  // what a killed predecessor may have left
        begin();
    }

    void begin() {
        if (s_.role != Role::initialize || !s_.started || !s_.ready || now_ < s_.deadline) return;
        if (s_.fault || s_.group_fault)
            to_fault(s_.fault ? Reason::fault : Reason::group_fault);
        else
            enter(Reason::started);
    }

    /// Takes part, from now on.
    void enter(Reason reason) {
        if (owner() && !set_.grouped) return to_active(Reason::owner);
        to_backup(reason);
        if (!owner()) return;
        s_.wants = true;
        s_.deadline = kNever;
    }

    void stop() {
        if (s_.role == Role::active && !s_.leaving) {
            send(kResign);
            s_.leaving = true;
            s_.announce = s_.refresh = kNever;
            // The next router waits for its skew time, and that is shorter than this.
            const Duration longest_skew = set_.version == 2 ? Duration(1s) : set_.interval;
            s_.deadline = now_ + std::min(longest_skew, kMostLeaving);
            return;
        }
        finish();
    }

    /// The next router is there, and is about to tell the network.
    void leave_soon() { s_.deadline = std::min(s_.deadline, now_ + kLinger); }

    void finish() {
        if (!s_.started) return;
        const bool told = s_.role != Role::initialize;
        if (s_.role == Role::active) act({.kind = Action::Kind::release});
        State last;
        last.fault = s_.fault;
        last.group_fault = s_.group_fault;
        s_ = last;
        if (told) notify(Reason::stopped);
    }

    // --- timers -------------------------------------------------------------------------------

    void tick() {
        if (s_.role == Role::initialize) return begin();
        if (s_.role == Role::backup && now_ >= s_.deadline) return give_up_waiting();
        if (s_.role == Role::active) active_tick();
    }

    /// Section 6.4.2: the Active_Down_Timer has fired.
    void give_up_waiting() {
        if (now_ - s_.deadline > s_.active_interval) return wait(Wait::listen);  // we were stalled
        if (set_.grouped) {
            s_.wants = true;
            s_.deadline = kNever;
        } else {
            to_active(s_.wait == Wait::skew ? Reason::resigned : Reason::silence);
        }
    }

    /// Section 6.4.3: the Adver_Timer has fired.
    void active_tick() {
        if (s_.leaving) {
            if (now_ >= s_.deadline) finish();
            return;
        }
        if (now_ >= s_.deadline) {
            const Time next = s_.deadline + set_.interval;  // keeps the beat
            send(set_.priority);
            if (next > now_) s_.deadline = next;
        }
        if (now_ >= s_.announce) {
            s_.announce = kNever;
            if (s_.reclaimed != kNever) reclaimed_again();
            announce(set_.announce_repeat);
        }
        if (now_ >= s_.refresh) {
            announce(set_.announce_refresh_repeat);
            s_.refresh = next_refresh();
        }
    }

    // --- adverts ------------------------------------------------------------------------------

    void advert(const Advert& a) {
        if (s_.role == Role::backup)
            a.priority == kResign ? backup_hears_resign(a) : backup_hears(a);
        else if (s_.role == Role::active && s_.leaving)
            a.priority == kResign ? void() : leave_soon();
        else if (s_.role == Role::active)
            active_hears(a);
    }

    /// Only of the router that is followed: another one's going changes nothing.
    void backup_hears_resign(const Advert& a) {
        if (!s_.active_router.is_unspecified() && a.sender != s_.active_router) return;
        if (s_.wants) return;
        wait(Wait::skew);
    }

    void backup_hears(const Advert& a) {
        s_.active_router = a.sender;
        s_.active_priority = a.priority;
        const bool weaker = a.priority < set_.priority;
        if (!weaker) s_.hold = kNever;
        if (weaker && may_preempt()) return;  // the timer runs on
        s_.wants = false;
        if (set_.version == 3) s_.active_interval = a.interval;
        wait(Wait::down);
    }

    bool may_preempt() {
        if (owner()) return true;
        if (!set_.preempt) return false;
        if (set_.preempt_delay.count() == 0) return true;
        if (s_.hold == kNever) s_.hold = now_ + set_.preempt_delay;
        return now_ >= s_.hold;
    }

    void active_hears(const Advert& a) {
        const bool stronger =
            a.priority > set_.priority || (a.priority == set_.priority && a.sender > set_.local);
        if (a.priority != kResign && stronger) {
            // A last word: whoever comes back from a cut may have sent nothing that we heard until
            // now, and has to tell the network where the addresses are.
            send(set_.priority);
            to_backup(Reason::stronger);
            s_.active_router = a.sender;
            s_.active_priority = a.priority;
            if (set_.version == 3) s_.active_interval = a.interval;
            return wait(Wait::down);
        }
        // RFC 9568 section 6.4.3: assert ourselves, to the sender and to bridges.
        if (s_.asserted == kNever || now_ - s_.asserted >= set_.interval) {
            s_.asserted = now_;
            send(set_.priority);
            if (a.priority != kResign) act({.kind = Action::Kind::weaker, .priority = a.priority});
        }
        if (a.priority != kResign) reclaim();
    }

    /// It has told the network that the addresses are there; tell it otherwise, now or soon.
    void reclaim() {
        if (s_.reclaimed != kNever && now_ - s_.reclaimed < kReclaimGap) {
            s_.announce = std::min(s_.announce, s_.reclaimed + kReclaimGap);
            return;
        }
        s_.reclaimed = now_;
        announce(set_.announce_repeat);
        s_.announce = now_ + kReclaimEcho;
    }

    /// The echo leaves the second burst to come; a later one begins the second anew.
    void reclaimed_again() {
        if (now_ - s_.reclaimed >= kReclaimGap) {
            s_.reclaimed = now_;
        } else if (second_burst() != kNever && s_.reclaimed + set_.announce_delay > now_) {
            s_.announce = s_.reclaimed + set_.announce_delay;
        }
    }

    // --- faults, settings, group --------------------------------------------------------------

    void faults(Reason reason) {
        const bool missing = s_.fault || s_.group_fault;
        if (s_.role == Role::initialize) return;
        if (s_.leaving && missing) return finish();
        if (missing && s_.role != Role::fault) to_fault(reason);
        if (!missing && s_.role == Role::fault) enter(Reason::fault_over);
    }

    void changed(Changed c) {
        switch (s_.role) {
            case Role::initialize:
                if (s_.started) s_.deadline = s_.since + set_.startup_delay;
                return begin();
            case Role::backup:
                return backup_changed();
            case Role::active:
                if (!s_.leaving) active_changed(c);
                return;
            case Role::fault:
                return;
        }
    }

    void backup_changed() {
        if (set_.version == 2) s_.active_interval = set_.interval;
        if (s_.wants && set_.grouped) return;
        if (s_.wants) {
            s_.wants = false;
            s_.deadline = now_;
            return;
        }
        s_.deadline = s_.since + wait_time();
    }

    void active_changed(Changed c) {
        const bool timing = s_.active_interval != set_.interval || s_.priority != set_.priority;
        s_.active_interval = set_.interval;
        s_.active_priority = set_.priority;
        s_.active_router = set_.local;
        if (timing || c.addresses) send(set_.priority);
        if (set_.announce_refresh.count() == 0)
            s_.refresh = kNever;
        else
            s_.refresh = std::min(s_.refresh, next_refresh());
        if (!c.addresses) return;
        act({.kind = Action::Kind::hold});
        announce(set_.announce_repeat);
        s_.announce = second_burst();
    }

    void demote(Demote d) {
        if (s_.role != Role::active || s_.leaving) return;
        if (d.resign) send(kResign);
        to_backup(Reason::group_backup);
    }

    // --- roles --------------------------------------------------------------------------------

    /// The active router was not run for so long that its peers may have given it up.
    bool is_stalled() const {
        return s_.role == Role::active && !s_.leaving &&
               now_ > s_.deadline + patience(set_, s_.active_interval);
    }

    void to_backup(Reason reason) {
        const Duration linger = reason == Reason::stalled ? Duration(0) : kLinger;
        if (s_.role == Role::active) act({.kind = Action::Kind::release, .linger = linger});
        become(Role::backup);
        s_.active_interval = set_.interval;
        wait(Wait::down);
        notify(reason);
    }

    void to_active(Reason reason) {
        become(Role::active);
        s_.active_interval = set_.interval;
        s_.active_router = set_.local;
        s_.active_priority = set_.priority;
        send(set_.priority);
        act({.kind = Action::Kind::hold});
        announce(set_.announce_repeat);
        s_.announce = second_burst();
        s_.refresh = next_refresh();
        notify(reason);
    }

    void to_fault(Reason reason) {
        if (s_.role == Role::active) {
            send(kResign);
            act({.kind = Action::Kind::release});
        }
        become(Role::fault);
        notify(reason);
    }

    /// Nothing of the role before stays but what outlives roles.
    void become(Role role) {
        State next;
        next.role = role;
        next.started = s_.started;
        next.ready = s_.ready;
        next.fault = s_.fault;
        next.group_fault = s_.group_fault;
        s_ = next;
    }

    // --- parts --------------------------------------------------------------------------------

    void wait(Wait what) {
        s_.wait = what;
        s_.since = now_;
        s_.deadline = now_ + wait_time();
    }

    Duration wait_time() const {
        switch (s_.wait) {
            case Wait::down:
                return down_interval(set_, s_.active_interval);
            case Wait::skew:
                return skew_time(set_, s_.active_interval);
            case Wait::listen:
                return s_.active_interval + skew_time(set_, s_.active_interval);
        }
        return {};
    }

    Time second_burst() const {
        const bool none = set_.announce_delay.count() == 0 || set_.announce_repeat == 0;
        return none ? kNever : now_ + set_.announce_delay;
    }

    Time next_refresh() const {
        return set_.announce_refresh.count() == 0 ? kNever : now_ + set_.announce_refresh;
    }

    void act(const Action& action) { step_.actions.add(action); }

    void send(uint8_t priority) {
        act({.kind = Action::Kind::send_advert, .priority = priority});
        s_.since = now_;
        s_.deadline = now_ + set_.interval;
    }

    void announce(uint16_t repeat) {
        if (repeat > 0) act({.kind = Action::Kind::announce, .repeat = repeat});
    }

    void notify(Reason reason) {
        act({.kind = Action::Kind::notify, .role = s_.role, .reason = reason});
    }

    const Settings& set_;
    const Time now_;
    Step step_;
    State& s_;
};

}  // namespace

Step step(const Settings& settings, const State& state, const Event& event, Time now) {
    return Machine(settings, state, now).take(event);
}

}  // namespace torii::vrrp
