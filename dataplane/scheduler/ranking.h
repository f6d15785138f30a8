#pragma once
// Ranking: which target of a list is the least loaded, kept up to date one change at a time.
//
// A tournament: every target has a key, the smaller key wins, and among equals the target that
// comes first in the list, so that the champion is the one a scan of the list would find. Key and
// position are one number, and what is kept of a game of four is its winner's: a change of one key
// replays the games on one way to the top, five among a thousand.
// Where keys of 32 bits of load and the position fit into 64 bits, that is the number; lists with
// many targets of large weights take 128.
//
// The numbers lie in memory of the caller's, so that a worker can keep the rankings of all its
// services in one piece. Belongs to one thread. Nothing here allocates or fails.

#include <algorithm>
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
    /// What memory for a list looks like.
    struct Shape {
        Shape() = default;
        /// Of so many targets, whose keys have `shift` bits below the point.
        constexpr Shape(size_t targets, uint32_t shift)
            : leaves(uint32_t(std::bit_ceil(targets < 2 ? size_t(2) : targets))) {
            const auto bits = uint32_t(std::bit_width(leaves - 1));
            if (bits + shift + kLoadBits < 64) position_bits = bits;
        }
        constexpr uint32_t words() const { return leaves * (position_bits != 0 ? 2 : 4); }

        uint32_t leaves = 0;
        uint32_t position_bits = 0;  ///< of a number of 64 bits; 0: the key needs too many of them
    };
    /// No list of so many needs more. Lists that share memory need no more than all targets
    /// together would.
    static constexpr size_t room_for(size_t targets) { return 8 * targets + 8; }

    Ranking() = default;
    /// `words`: as many as the shape says, aligned to 16 bytes.
    Ranking(uint64_t* words, const Shape& shape)
        : words_(words), leaves_(shape.leaves), bits_(shape.position_bits) {}

    /// For build(): sets a key without playing.
    void place(uint32_t position, uint64_t key) {
        if (bits_ != 0)
            words_[leaves_ + position] = short_number(position, key);
        else
            long_words()[leaves_ + position] = long_number(position, key);
    }
    /// Plays every game. Positions from `targets` on are out.
    void build(uint32_t targets);

    /// One key has changed.
    void set(uint32_t position, uint64_t key) {
        if (bits_ != 0) [[likely]]
            replay(words_, position, short_number(position, key));
        else
            replay(long_words(), position, long_number(position, key));
    }

    /// The position of the least loaded target, or kNoBackend if every target is out.
    uint32_t best() const {
        if (bits_ == 0) {
            const Long winner = long_words()[1];
            return winner == ~Long(0) ? kNoBackend : uint32_t(winner);
        }
        const uint64_t winner = words_[1];
        return winner == kOut ? kNoBackend : uint32_t(winner & ((uint64_t(1) << bits_) - 1));
    }

private:
    using Long = unsigned __int128;
    static constexpr uint32_t kLoadBits = 32;  // 16 million active connections of one server

    Long* long_words() const { return reinterpret_cast<Long*>(words_); }
    uint64_t short_number(uint32_t position, uint64_t key) const {
        const uint64_t busiest = (kOut >> bits_) - 1;
        return key == kOut ? kOut : std::min(key, busiest) << bits_ | position;
    }
    static Long long_number(uint32_t position, uint64_t key) {
        return key == kOut ? ~Long(0) : Long(key) << 64 | position;
    }

    // Who wins is a coin toss for the processor: nothing here branches on it.
    template <class Number>
    void replay(Number* numbers, uint32_t position, Number best) {
        uint32_t at = leaves_ + position;
        numbers[at] = best;
        while (at > 3) {
            const Number others =
                std::min(std::min(numbers[at ^ 1], numbers[at ^ 2]), numbers[at ^ 3]);
            best = std::min(best, others);
            at >>= 2;
            if (numbers[at] == best) return;  // what is above has not changed
            numbers[at] = best;
        }
        if (at > 1) numbers[1] = std::min(numbers[2], numbers[3]);
    }
    template <class Number>
    void play_all(Number* numbers, uint32_t targets);

    // Leaves from leaves_ on; 4n to 4n+3 lead to n, and to 1, which is the final, perhaps 2 and 3.
    uint64_t* words_ = nullptr;
    uint32_t leaves_ = 0;
    uint32_t bits_ = 0;
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
/// where weights reach 65535); above that, equal. Rankings keep 32 bits of load at least.
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
