#include "control/health/prober.h"

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <thread>

#include "control/health/scripts.h"

namespace torii::health {

namespace asio = boost::asio;

namespace {

constexpr size_t kMostScripts = 32;
constexpr size_t kMostSockets = 16384;
constexpr size_t kReserve = 256;  // descriptors for everything else

/// As many descriptors as the system allows, less those the rest of toriid needs.
size_t most_sockets() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const size_t most = limit.rlim_cur == RLIM_INFINITY ? kMostSockets : size_t(limit.rlim_cur);
    return std::clamp(most, kReserve + 16, kMostSockets + kReserve) - kReserve;
}

}  // namespace

struct Prober::State {
    explicit State(std::function<void()> n)
        : news(std::move(n)),
          work(asio::make_work_guard(loop)),
          scripts(loop, kMostScripts),
          engine(
              loop, scripts, [this](const healthcheck::Report& r) { tell(r); }, most_sockets()) {}

    void tell(const healthcheck::Report& r) {
        if (board.post(r, types[r.check], engine.punctuality())) news();
    }
    void set(uint64_t round, std::vector<healthcheck::Check>);

    std::function<void()> news;
    Board board;
    asio::io_context loop{1};
    asio::executor_work_guard<asio::io_context::executor_type> work;
    std::vector<config::HealthType> types;
    Scripts scripts;
    healthcheck::Engine engine;
    std::thread thread;
};

void Prober::State::set(uint64_t round, std::vector<healthcheck::Check> checks) {
    std::vector<Board::Start> starts(checks.size());
    types.clear();
    for (size_t i = 0; i < checks.size(); ++i) {
        starts[i].believed_up = checks[i].up;
        types.push_back(checks[i].request.settings->type);
    }
    const auto placed = engine.set(std::move(checks));
    for (size_t i = 0; i < placed.size(); ++i) {
        starts[i].state = placed[i].state;
        starts[i].before = placed[i].before;
    }
    if (board.reset(round, starts)) news();
}

Prober::Prober(std::function<void()> news) : state_(std::make_unique<State>(std::move(news))) {
    state_->thread = std::thread([s = state_.get()] { s->loop.run(); });
}

Prober::~Prober() {
    state_->loop.stop();
    state_->thread.join();
}

void Prober::set(uint64_t round, std::vector<healthcheck::Check> checks) {
    asio::post(state_->loop, [s = state_.get(), round, c = std::move(checks)]() mutable {
        s->set(round, std::move(c));
    });
}

Board& Prober::board() { return state_->board; }

}  // namespace torii::health
