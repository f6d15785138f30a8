#include "dataplane/scheduler/ranking.h"

namespace torii::scheduler {

void Ranking::build(uint32_t targets) {
    for (uint32_t i = targets; i < size_; ++i) keys_[i] = kOut;
    for (uint32_t i = 0; i < size_; i += 2) games_[(size_ + i) / 2] = better(i, i + 1);
    for (uint32_t game = size_ / 2 - 1; game >= 1; --game)
        games_[game] = better(games_[2 * game], games_[2 * game + 1]);
}

}  // namespace torii::scheduler
