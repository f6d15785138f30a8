#include "control/vrrp/speaker.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

#include "control/vrrp/conductor.h"
#include "control/vrrp/realtime.h"

namespace torii::control::vrrp {

namespace pure = torii::vrrp;

namespace {

// After a deadline was missed by so much, everything that waits is heard before anything is
// decided.
constexpr pure::Duration kStalled{5000};
// Of each socket in one round: 64 messages, or all that may wait after a stall.
constexpr int kRounds = 1, kRoundsStalled = 128;

pure::Time now() {
    return std::chrono::time_point_cast<pure::Duration>(std::chrono::steady_clock::now());
}

}  // namespace

class Speaker::Work {
public:
    explicit Work(Mailboxes& boxes) : boxes_(boxes) {}
    ~Work() {
        for (const int fd : {epoll_, timer_})
            if (fd >= 0) ::close(fd);
    }
    Result<> open();
    void run();

private:
    void watch(int fd, void* what, bool on);
    void arm();
    void take_mail();
    void hear(AdvertSocket&, bool stalled);

    Mailboxes& boxes_;
    std::unique_ptr<FrameSocket> frames_;
    std::unique_ptr<Conductor> conductor_;
    int epoll_ = -1, timer_ = -1;
    pure::Time armed_ = pure::kNever;
};

Result<> Speaker::Work::open() {
    auto frames = FrameSocket::open();
    if (!frames) return tl::unexpected(frames.error());
    frames_ = std::move(*frames);
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (epoll_ < 0 || timer_ < 0) return fail_errno("cannot make VRRP's timer", errno);
    conductor_ = std::make_unique<Conductor>(
        boxes_, *frames_, [this](AdvertSocket& s, bool on) { watch(s.fd(), &s, on); });
    watch(timer_, nullptr, true);
    watch(boxes_.commands->fd(), boxes_.commands.get(), true);
    watch(boxes_.facts->fd(), boxes_.facts.get(), true);
    return {};
}

void Speaker::Work::watch(int fd, void* what, bool on) {
    epoll_event e{};
    e.events = EPOLLIN;
    e.data.ptr = what;
    ::epoll_ctl(epoll_, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &e);
}

// An absolute time: whatever happens between here and the wait does not move it.
void Speaker::Work::arm() {
    const pure::Time next = conductor_->wakeup();
    if (next == armed_) return;
    armed_ = next;
    itimerspec t{};
    if (next != pure::kNever) {
        const int64_t us = std::max<int64_t>(next.time_since_epoch().count(), 1);
        t.it_value = {time_t(us / 1'000'000), long(us % 1'000'000 * 1000)};
    }
    ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &t, nullptr);
}

void Speaker::Work::take_mail() {
    boxes_.commands->rest();
    while (auto c = boxes_.commands->take()) conductor_->take(std::move(*c), now());
    boxes_.facts->rest();
    while (auto f = boxes_.facts->take()) conductor_->take(std::move(*f), now());
}

void Speaker::Work::hear(AdvertSocket& socket, bool stalled) {
    for (int n = stalled ? kRoundsStalled : kRounds; n > 0; --n) {
        const auto messages = socket.receive();
        conductor_->hear(socket, messages, now());
        if (messages.size() < AdvertSocket::kBatch) return;
    }
}

// Messages first, then time: an advert that has arrived is heard before its absence is concluded.
void Speaker::Work::run() {
    std::array<epoll_event, 512> events;
    while (!conductor_->done()) {
        arm();
        const int n = ::epoll_wait(epoll_, events.data(), int(events.size()), -1);
        const pure::Time due = conductor_->wakeup();
        const bool stalled = due != pure::kNever && now() > due + kStalled;
        bool mail = false;
        for (int i = 0; i < n; ++i) {
            void* const what = events[size_t(i)].data.ptr;
            if (what == nullptr) {
                uint64_t expirations;
                [[maybe_unused]] const ssize_t got =
                    ::read(timer_, &expirations, sizeof expirations);
                armed_ = pure::kNever;
            } else if (what == boxes_.commands.get() || what == boxes_.facts.get()) {
                mail = true;
            } else {
                hear(*static_cast<AdvertSocket*>(what), stalled);
            }
        }
        conductor_->tick(now());
        if (mail) take_mail();  // may close sockets: no event is left that names one
    }
}

Speaker::Speaker(std::unique_ptr<Work> w) : work_(std::move(w)) {}

Speaker::~Speaker() {
    if (thread_.joinable()) thread_.join();
}

Result<std::unique_ptr<Speaker>> Speaker::start(Mailboxes& boxes, unsigned realtime) {
    auto work = std::make_unique<Work>(boxes);
    if (auto ok = work->open(); !ok) return tl::unexpected(ok.error());
    std::unique_ptr<Speaker> s(new Speaker(std::move(work)));
    s->thread_ = start_punctual(
        "torii-vrrp", realtime, [w = s->work_.get()] { w->run(); }, s->warning_);
    return s;
}

}  // namespace torii::control::vrrp
