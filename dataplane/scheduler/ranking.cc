#include "dataplane/scheduler/ranking.h"

namespace torii::scheduler {

template <class Number>
void Ranking::play_all(Number* numbers, uint32_t targets) {
    for (uint32_t i = targets; i < leaves_; ++i) numbers[leaves_ + i] = ~Number(0);
    uint32_t round = leaves_;  // who plays in it: round to 2 * round - 1
    for (; round > 2; round >>= 2)
        for (uint32_t game = round >> 2; game < round >> 1; ++game)
            numbers[game] = std::min(std::min(numbers[4 * game], numbers[4 * game + 1]),
                                     std::min(numbers[4 * game + 2], numbers[4 * game + 3]));
    if (round == 2) numbers[1] = std::min(numbers[2], numbers[3]);
}

void Ranking::build(uint32_t targets) {
    if (bits_ != 0)
        play_all(words_, targets);
    else
        play_all(long_words(), targets);
}

}  // namespace torii::scheduler
