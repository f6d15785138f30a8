#include "control/health/prober.h"

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <thread>
#include <unordered_map>

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
    std::unordered_map<std::string, size_t> by_identity;
    Scripts scripts;
    healthcheck::Engine engine;
    std::thread thread;
};

void Prober::State::set(uint64_t round, std::vector<healthcheck::Check> checks) {
    std::vector<Board::Start> starts(checks.size());
    std::unordered_map<std::string, size_t> known;
    types.clear();
    for (size_t i = 0; i < checks.size(); ++i) {
        const auto before = by_identity.find(checks[i].identity);
        if (before != by_identity.end()) starts[i].before = before->second;
        starts[i].believed_up = checks[i].up;
        known.emplace(checks[i].identity, i);
        types.push_back(checks[i].request.settings->type);
    }
    by_identity = std::move(known);
    const std::vector<healthcheck::State> states = engine.set(std::move(checks));
    for (size_t i = 0; i < states.size(); ++i) starts[i].state = states[i];
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
