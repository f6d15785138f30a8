#pragma once
// Prober: the thread that probes. It has an event loop of its own, so that neither ten thousand
// checks disturb the publication of tables, nor a large reload the checks.

#include <functional>
#include <memory>
#include <vector>

#include "control/health/board.h"

namespace torii::health {

class Prober {
public:
    /// `news` is called in the prober's thread when the board has changes that nobody was told of.
    explicit Prober(std::function<void()> news);
    /// Ends the thread; probes that are under way are given up.
    ~Prober();

    /// The checks from now on, as round `round`; returns at once.
    void set(uint64_t round, std::vector<healthcheck::Check>);
    Board& board();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace torii::health
