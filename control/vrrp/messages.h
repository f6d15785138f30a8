#pragma once
// What the threads of VRRP tell each other (docs/adr/0008). Each direction has a mailbox:
// - event loop to speaker: Command; speaker to event loop: News
// - speaker to hands, who change the kernel: Order; hands to speaker: Fact
// - hands to event loop: Remark
//
// Who sends a message gives up what it points to; large things go back to the thread that made
// them, so that the speaker neither allocates nor frees.

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "control/mailbox/mailbox.h"
#include "control/vrrp/advert_socket.h"
#include "control/vrrp/plan.h"

namespace torii::control::vrrp {

/// Upper bounds of lateness, in microseconds; the last bucket has none.
inline constexpr std::array<uint32_t, 13> kLateness = {
    50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000};

struct Counters {
    uint64_t sent = 0, received = 0;
    uint64_t resignations_sent = 0, resignations_received = 0;  ///< priority 0
    uint64_t late = 0;         ///< adverts sent more than half an interval late
    uint64_t send_failed = 0;  ///< the kernel would not take them
    uint64_t weaker = 0;       ///< adverts of weaker routers heard while active
    std::array<uint64_t, size_t(torii::vrrp::Refusal::kCount)> refused{};
    std::array<uint64_t, 4> transitions{};  ///< by Role entered
    std::array<uint64_t, kLateness.size() + 1> lateness{};
    uint64_t lateness_sum_us = 0;
};

struct InstanceReport {
    Key key = 0;
    torii::vrrp::Role role = torii::vrrp::Role::initialize;
    uint8_t priority = 0;   ///< effective
    Address active_router;  ///< who was heard last, or ourselves
    uint8_t active_priority = 0;
    torii::vrrp::Duration active_interval{0};
    Counters counters;
};

/// Numbers of the speaker. Made and destroyed by the event loop.
struct Report {
    std::vector<InstanceReport> instances;
    uint64_t lost = 0;  ///< messages that the kernel dropped because too many waited
};

struct Command {
    enum class Kind : uint8_t { none, plan, tracked, ready, stop, report };
    Kind kind = Kind::none;
    Key key = 0;
    uint32_t item = 0;  ///< tracked: place in InstancePlan::tracked
    torii::vrrp::Health health = torii::vrrp::Health::unknown;
    int number = 0;  ///< tracked file: what it holds
    std::unique_ptr<Plan> plan, hands_plan;
    std::unique_ptr<Report> report;  ///< to be filled and sent back
};

struct News {
    enum class Kind : uint8_t { none, transition, weaker, priority, stopped, old_plan, report };
    Kind kind = Kind::none;
    Key key = 0;
    torii::vrrp::Role role = torii::vrrp::Role::initialize;
    torii::vrrp::Reason reason = torii::vrrp::Reason::none;
    uint8_t priority = 0;
    std::unique_ptr<Plan> plan;
    std::unique_ptr<Report> report;
};

struct Order {
    enum class Kind : uint8_t { none, plan, hold, release, announce, waits, close, quit };
    Kind kind = Kind::none;
    Key key = 0;
    uint16_t repeat = 0;
    bool waits = false;               ///< waits: another router is active
    torii::vrrp::Duration linger{0};  ///< release: so long after the order
    std::unique_ptr<Plan> plan;
    uint32_t edition = 0;            ///< plan: its number, which the facts about it carry
    AdvertSocket* socket = nullptr;  ///< close: nobody uses it any more
};

/// What an instance stands on.
struct Ground {
    bool usable = false;
    AdvertSocket* socket = nullptr;  ///< lives until an Order to close it
    uint32_t ifindex = 0;
    Address local;  ///< what its adverts come from
    friend bool operator==(const Ground&, const Ground&) = default;
};

struct Fact {
    enum class Kind : uint8_t { none, ground, tracked, retire, done };
    Kind kind = Kind::none;
    uint32_t edition = 0;  ///< of the plan that it is about
    Key key = 0;
    Ground ground;
    uint32_t item = 0;  ///< tracked interface
    torii::vrrp::Health health = torii::vrrp::Health::unknown;
    AdvertSocket* socket = nullptr;  ///< retire: use it no more, and order it to be closed
};

/// What the hands did, for the log and for people.
struct Remark {
    enum class Kind : uint8_t { none, info, warning, ground, tracked };
    Kind kind = Kind::none;
    Key key = 0;
    std::string text;  ///< a sentence; ground: why it cannot be used, empty when it can
    uint32_t item = 0;
    torii::vrrp::Health health = torii::vrrp::Health::unknown;
};

struct Mailboxes {
    std::unique_ptr<mailbox::Mailbox<Command>> commands;
    std::unique_ptr<mailbox::Mailbox<News>> news;
    std::unique_ptr<mailbox::Mailbox<Order>> orders;
    std::unique_ptr<mailbox::Mailbox<Fact>> facts;
    std::unique_ptr<mailbox::Mailbox<Remark>> remarks;
    static Result<Mailboxes> open();
};

}  // namespace torii::control::vrrp
