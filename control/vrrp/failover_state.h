#pragma once
// What Failover keeps; for failover*.cc alone. failover.cc is what it is told and what it tells the
// threads, failover_news.cc what it hears from them.

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <optional>

#include "control/vrrp/events.h"
#include "control/vrrp/failover.h"
#include "control/vrrp/hands.h"
#include "control/vrrp/notifier.h"
#include "control/vrrp/speaker.h"
#include "control/vrrp/view.h"
#include "control/vrrp/watchers.h"

namespace torii::control::vrrp {

namespace asio = boost::asio;
namespace pure = torii::vrrp;
using Code = boost::system::error_code;
using Clock = std::chrono::steady_clock;

struct Failover::State {
    State(asio::io_context& l, shm::StandbyTable& table)
        : loop(l),
          standby(table),
          notifier(l),
          events(l),
          watchers(l, [this](const Watchers::Where& w, pure::Health h,
                             int number) { seen(w, h, number); }),
          news_wait(l),
          remarks_wait(l),
          report_timer(l),
          stop_timer(l) {}
    ~State() {
        for (auto* d : {&news_wait, &remarks_wait})
            if (d->is_open()) d->release();  // they belong to the mailboxes
        if (speaker) quit();
    }

    Result<> start_threads(unsigned realtime);
    void take_news();
    void take_remarks();
    void take(News);
    void take(Remark);
    void transition(const News&);
    void group_transition(const Known&, const News&);
    void publish(const api::VrrpEvent&);
    void ask_report();
    void seen(const Watchers::Where&, pure::Health, int number);
    void tell_tracked(Known&, size_t item, pure::Health, int number);
    void tell_outside();
    void send_plan();
    void quit();
    void wait_programs(Clock::time_point until, std::function<void()> done);

    asio::io_context& loop;
    shm::StandbyTable& standby;  // the hands' once they are there
    config::Vrrp config;
    bool backup_only = false;
    Keys keys;
    Plan plan;  // a copy to look things up in
    Mailboxes boxes;
    std::unique_ptr<Hands> hands;
    std::unique_ptr<Speaker> speaker;
    Notifier notifier;
    Events events;
    std::map<Key, Known> known;
    std::map<std::string, pure::Role> group_roles;
    Picture picture;
    std::optional<bool> dataplane;
    std::map<std::string, bool> services;
    bool ready = false, report_asked = false, stopped = false;
    Watchers watchers;
    asio::posix::stream_descriptor news_wait, remarks_wait;
    asio::steady_timer report_timer, stop_timer;
    std::function<void()> on_stopped;
};

}  // namespace torii::control::vrrp
