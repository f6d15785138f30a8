#include "control/vrrp/events.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace torii::control::vrrp {

struct Events::Listener {
    std::string waiting;
    size_t lines = 0;
    bool dropped = false;
    std::function<void()> resume;

    void wake() {
        if (const auto r = std::exchange(resume, nullptr)) r();
    }
};

struct Events::Heart {
    explicit Heart(boost::asio::io_context& loop) : timer(loop) {}
    boost::asio::steady_timer timer;
};

Events::Events(boost::asio::io_context& loop) : heart_(std::make_unique<Heart>(loop)) { beat(); }
Events::~Events() {
    for (const auto& weak : listeners_)
        if (const auto l = weak.lock()) {
            l->dropped = true;
            l->wake();
        }
}

void Events::beat() {
    heart_->timer.expires_after(kHeartbeat);
    heart_->timer.async_wait([this](boost::system::error_code error) {
        if (error) return;
        publish("");
        beat();
    });
}

void Events::publish(const std::string& line) {
    std::erase_if(listeners_, [](const auto& weak) { return weak.expired(); });
    for (const auto& weak : std::vector(listeners_)) {
        const auto l = weak.lock();
        if (!l) continue;
        if (l->lines >= kMostWaiting) {
            l->dropped = true;
        } else {
            l->waiting += line + '\n';
            ++l->lines;
        }
        l->wake();
    }
}

api::Reply Events::subscribe() {
    auto listener = std::make_shared<Listener>();
    listeners_.push_back(listener);
    api::Reply r;
    r.type = "application/x-ndjson";
    r.more = [listener](std::string& piece) {
        piece = std::move(listener->waiting);
        listener->waiting.clear();
        listener->lines = 0;
        return !listener->dropped;
    };
    r.wait = [listener](std::function<void()> resume) { listener->resume = std::move(resume); };
    return r;
}

size_t Events::listeners() const {
    return size_t(std::count_if(listeners_.begin(), listeners_.end(),
                                [](const auto& weak) { return !weak.expired(); }));
}

std::string utc_now() {
    const auto now = std::chrono::system_clock::now();
    const auto us =
        std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z",
                       fmt::gmtime(std::chrono::system_clock::to_time_t(now)), us % 1'000'000);
}

}  // namespace torii::control::vrrp
