#pragma once
// Ranking: which target of a list is the least loaded, kept up to date one change at a time.
//
// A tournament: every target has a key, the smaller key wins, and among equals the target that
// comes first in the list, so that the champion is the one a scan of the list would find. A change
// of one key replays the games on one way to the top, at most log2(targets); the champion is one
// load. Keys and games lie in memory of the caller's, so that a worker can keep the rankings of all
// its services in one piece.
//
// Belongs to one thread. Nothing here allocates or fails.

#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include "dataplane/scheduler/scheduler.h"

namespace torii::scheduler {

/// The key of a target that gets no connections.
inline constexpr uint64_t kOut = ~uint64_t(0);

class Ranking {
public:
    /// How many keys, and as many games, a list of `targets` needs.
    static constexpr uint32_t size_for(size_t targets) {
        return uint32_t(std::bit_ceil(targets < 2 ? size_t(2) : targets));
    }

    Ranking() = default;
    /// Both of size_for() elements.
    Ranking(std::span<uint64_t> keys, std::span<uint32_t> games)
        : keys_(keys.data()), games_(games.data()), size_(uint32_t(keys.size())) {}

    uint64_t key(uint32_t position) const { return keys_[position]; }
    /// For build(): sets a key without playing.
    void place(uint32_t position, uint64_t key) { keys_[position] = key; }
    /// Plays every game. Positions from `targets` on are out.
    void build(uint32_t targets);

    /// One key has changed. Where the winner comes from is a coin toss for the processor: nothing
    /// here branches on it, and the winner stays in registers, as key and position in one number.
    void set(uint32_t position, uint64_t key) {
        using Standing = unsigned __int128;
        const auto standing = [](uint64_t k, uint32_t at) { return Standing(k) << 64 | at; };
        keys_[position] = key;
        Standing best = standing(key, position);
        uint32_t other = position ^ 1u;
        for (uint32_t game = (size_ + position) >> 1;; game >>= 1) {
            const Standing challenger = standing(keys_[other], other);
            best = challenger < best ? challenger : best;
            const auto winner = uint32_t(best);
            // Neither was nor is the winner of this game: what is above has not changed.
            if (games_[game] == winner && winner != position) return;
            games_[game] = winner;
            if (game == 1) return;
            other = games_[game ^ 1];
        }
    }

    /// The position of the least loaded target, or kNoBackend if every target is out.
    uint32_t best() const {
        const uint32_t winner = games_[1];
        return keys_[winner] == kOut ? kNoBackend : winner;
    }

private:
    uint32_t better(uint32_t left, uint32_t right) const {
        return keys_[right] < keys_[left] ? right : left;
    }

    uint64_t* keys_ = nullptr;
    uint32_t* games_ = nullptr;  ///< the winner of each; 1 is the final, 2n and 2n+1 lead to n
    uint32_t size_ = 0;
};

/// How many bits a key needs below the point so that quotients by weights up to `max_weight` keep
/// their order and equality: two different ones lie at least 1/max_weight^2 apart.
constexpr uint32_t rank_shift(uint32_t max_weight) {
    return 2 * uint32_t(std::bit_width(max_weight));
}

namespace detail {

// A division is as much as half of everything else that a key takes, and which weights need none
// nobody can guess. 2^63 / weight, rounded up: n times that, divided by 2^63, is n / weight plus
// less than n * weight / 2^63 of 1 / weight, and so, rounded down, exact below 2^63 / 256.
inline constexpr std::array<uint64_t, 256> kReciprocals = [] {
    std::array<uint64_t, 256> table{};
    for (uint64_t w = 1; w < table.size(); ++w) table[w] = ((uint64_t(1) << 63) + w - 1) / w;
    return table;
}();
inline constexpr uint64_t kExactBelow = uint64_t(1) << 55;

}  // namespace detail

/// busy / weight as a key. Exact up to 2^(64 - shift) (16 million active connections of one server
/// where weights reach 65535); above that, equal.
constexpr uint64_t quotient(int64_t busy, uint32_t weight, uint32_t shift) {
    const uint64_t most = (kOut - 1) >> shift;
    const uint64_t load = busy < 0 ? 0 : uint64_t(busy) > most ? most : uint64_t(busy);
    const uint64_t whole = load << shift;
    if (weight < detail::kReciprocals.size() && whole < detail::kExactBelow) [[likely]]
        return uint64_t((static_cast<unsigned __int128>(whole) * detail::kReciprocals[weight]) >>
                        63);
    return whole / weight;
}

/// The target that a ranking puts first, or kNoBackend.
inline uint32_t champion(const ServiceView& view, const Ranking& ranking) {
    const uint32_t position = ranking.best();
    return position < view.targets.size() ? view.targets[position].backend : kNoBackend;
}

}  // namespace torii::scheduler
