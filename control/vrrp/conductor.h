#pragma once
// Conductor: every instance's state, and who is told what. It turns commands, facts, packets and
// time into steps of the state machines, and their actions into adverts, orders and news. It never
// waits; the speaker's loop calls it.
//
// Thread-safety: one thread.

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "control/vrrp/announce.h"
#include "control/vrrp/messages.h"
#include "vrrp/group.h"

namespace torii::control::vrrp {

class Conductor {
public:
    using Time = torii::vrrp::Time;
    /// Called with each socket that is to be listened to from now on, or no more.
    using Listen = std::function<void(AdvertSocket&, bool on)>;

    /// `frames` sends adverts that have a virtual MAC. References must outlive it.
    Conductor(Mailboxes& boxes, FrameSocket& frames, Listen listen);
    ~Conductor();

    void take(Command, Time now);
    void take(Fact, Time now);
    void hear(AdvertSocket&, std::span<const torii::vrrp::Received>, Time now);
    void tick(Time now);
    /// When tick() is due next; kNever when only something else can change anything.
    Time wakeup() const;
    /// Everything was released after a stop.
    bool done() const { return done_; }

private:
    struct Instance;
    struct Group;
    struct Port;

    void apply(std::unique_ptr<Plan> mine, std::unique_ptr<Plan> hands, Time now);
    void retire_missing(const Plan&, Time now);
    void regroup(const Plan&);
    void settle(Time now);
    void take_ground(Instance&, const Ground&, Time now);
    void drop(AdvertSocket*);
    void fill_ports();
    void refresh(Group&, Time now);
    void step(Instance&, const torii::vrrp::Event&, Time now);
    void perform(Instance&, const torii::vrrp::Actions&);
    void tell_waits(Instance&);
    void send_advert(Instance&, uint8_t priority);
    bool send_framed(Instance&, std::span<const std::byte> message);
    void stop(Time now);
    void stop(Instance&, Time now);
    void quit_when_stopped();
    void fill(Report&) const;
    Instance* find(Key) const;
    Port* port_of(const AdvertSocket*) const;

    Mailboxes& boxes_;
    FrameSocket& frames_;
    Listen listen_;
    std::unique_ptr<Plan> plan_;
    uint32_t edition_ = 0;
    bool ready_ = false, stopping_ = false, quitting_ = false, done_ = false;
    std::vector<std::unique_ptr<Instance>> instances_;
    std::vector<std::unique_ptr<Group>> groups_;
    std::vector<std::unique_ptr<Port>> ports_;
    std::vector<torii::vrrp::MemberActions> actions_;
    std::array<std::byte, torii::vrrp::kMaxMessage + 64> message_{}, frame_{};
    uint64_t lost_ = 0;
};

}  // namespace torii::control::vrrp
