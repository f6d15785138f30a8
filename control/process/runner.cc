#include "control/process/runner.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <csignal>
#include <deque>
#include <map>

namespace torii::process {

namespace asio = boost::asio;
using Code = boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Descriptor = asio::posix::stream_descriptor;

namespace {

struct Waiting {
    Runner::Id id;
    Task task;
    Runner::Done done;
};

/// A program that runs. `done` is empty once its owner has been told or has given it up.
struct Running {
    Running(asio::io_context& loop, const Child& child)
        : pid(child.pid), ended(loop, child.pidfd), output(loop, child.output), timer(loop) {}
    pid_t pid;
    Descriptor ended, output;
    asio::steady_timer timer;
    Clock::time_point started = Clock::now();
    size_t most_output = 0, read = 0;
    std::string text;
    Runner::Done done;
};

}  // namespace

struct Runner::State : std::enable_shared_from_this<State> {
    State(asio::io_context& l, size_t most) : loop(l), most_at_once(most) {}

    void start_more();
    void start(Waiting);
    void read_output(Id);
    void take_output(Running&);
    void watch_end(Id);
    void ended(Id);
    void timed_out(Id);
    void terminate(Id);
    void tell(Running&, Outcome);
    Running* find(Id id) {
        const auto it = running.find(id);
        return it == running.end() ? nullptr : &it->second;
    }

    asio::io_context& loop;
    const size_t most_at_once;
    Id last = 0;
    std::deque<Waiting> waiting;
    std::map<Id, Running> running;
};

Runner::Runner(asio::io_context& loop, size_t most_at_once)
    : state_(std::make_shared<State>(loop, most_at_once)) {}

Runner::~Runner() {
    for (auto& [id, r] : state_->running) {
        ::kill(-r.pid, SIGKILL);
        pollfd end{r.ended.native_handle(), POLLIN, 0};
        ::poll(&end, 1, 200);  // one that hangs in the kernel is left to init
        ::waitpid(r.pid, nullptr, WNOHANG);
    }
    state_->running.clear();
    state_->waiting.clear();
}

size_t Runner::running() const { return state_->running.size(); }
size_t Runner::waiting() const { return state_->waiting.size(); }

Runner::Id Runner::run(Task task, Done done) {
    State& s = *state_;
    const Id id = ++s.last;
    s.waiting.push_back({id, std::move(task), std::move(done)});
    asio::post(s.loop, [weak = std::weak_ptr(state_)] {
        if (const auto state = weak.lock()) state->start_more();
    });
    return id;
}

void Runner::cancel(Id id) {
    State& s = *state_;
    std::erase_if(s.waiting, [&](const Waiting& w) { return w.id == id; });
    Running* r = s.find(id);
    if (r == nullptr || !r->done) return;
    r->done = nullptr;
    s.terminate(id);
}

void Runner::State::start_more() {
    while (running.size() < most_at_once && !waiting.empty()) {
        Waiting next = std::move(waiting.front());
        waiting.pop_front();
        start(std::move(next));
    }
}

void Runner::State::start(Waiting w) {
    const auto child = spawn(w.task.program);
    if (!child) {
        w.done({Outcome::How::not_started, 0, {}, child.error().message, {}});
        return;
    }
    Running& r = running.try_emplace(w.id, loop, *child).first->second;
    r.most_output = w.task.most_output;
    r.done = std::move(w.done);
    r.timer.expires_after(w.task.timeout);
    r.timer.async_wait([weak = weak_from_this(), id = w.id](Code error) {
        const auto state = weak.lock();
        if (!error && state) state->timed_out(id);
    });
    read_output(w.id);
    watch_end(w.id);
}

void Runner::State::watch_end(Id id) {
    find(id)->ended.async_wait(Descriptor::wait_read, [weak = weak_from_this(), id](Code error) {
        const auto state = weak.lock();
        if (!error && state) state->ended(id);
    });
}

void Runner::State::read_output(Id id) {
    find(id)->output.async_wait(Descriptor::wait_read, [weak = weak_from_this(), id](Code error) {
        const auto state = weak.lock();
        Running* r = error || !state ? nullptr : state->find(id);
        if (r == nullptr) return;
        const size_t before = r->read;
        state->take_output(*r);
        if (r->read != before && r->read < kMostRead) state->read_output(id);
    });
}

/// One pipe's worth at most: a flood must not hold up the loop.
void Runner::State::take_output(Running& r) {
    std::array<char, 16384> piece;
    for (int n = 0; n < 4; ++n) {
        const ssize_t got = ::read(r.output.native_handle(), piece.data(), piece.size());
        if (got <= 0) return;
        r.read += size_t(got);
        r.text.append(piece.data(), std::min(size_t(got), r.most_output - r.text.size()));
    }
}

// The leader is not reaped before its group is killed: until then its number cannot be another's.
void Runner::State::ended(Id id) {
    Running* r = find(id);
    if (r == nullptr) return;
    ::kill(-r->pid, SIGKILL);
    int status = 0;
    if (::waitpid(r->pid, &status, WNOHANG) != r->pid) return watch_end(id);
    take_output(*r);
    Outcome outcome;
    outcome.how = WIFEXITED(status) ? Outcome::How::exited : Outcome::How::signalled;
    outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
    const auto self = shared_from_this();  // `done` may destroy the Runner
    auto node = running.extract(id);
    tell(node.mapped(), std::move(outcome));
    start_more();
}

void Runner::State::timed_out(Id id) {
    Running* r = find(id);
    if (r == nullptr) return;
    // It may have ended while only this loop was late.
    pollfd end{r->ended.native_handle(), POLLIN, 0};
    if (::poll(&end, 1, 0) > 0) return ended(id);
    const auto self = shared_from_this();
    terminate(id);
    take_output(*r);
    tell(*r, {Outcome::How::timed_out, SIGTERM, {}, {}, {}});
}

void Runner::State::terminate(Id id) {
    Running& r = *find(id);
    ::kill(-r.pid, SIGTERM);
    r.timer.expires_after(kGrace);
    r.timer.async_wait([weak = weak_from_this(), id](Code error) {
        const auto state = weak.lock();
        const Running* still = error || !state ? nullptr : state->find(id);
        if (still != nullptr) ::kill(-still->pid, SIGKILL);
    });
}

void Runner::State::tell(Running& r, Outcome outcome) {
    if (!r.done) return;
    outcome.output = std::move(r.text);
    outcome.took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - r.started);
    const Done done = std::exchange(r.done, nullptr);
    done(outcome);
}

}  // namespace torii::process
