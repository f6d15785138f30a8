#include "dataplane/scheduler/consistent.h"

#include <algorithm>
#include <array>

namespace torii::scheduler {
namespace {

constexpr std::array<uint32_t, 5> kSizes = {251, 509, 1021, 2039, 4093};  // primes

// At least a hundred slots a target keeps shares within a few percent (section 5.3 of the paper).
uint32_t size_for(size_t targets) {
    for (uint32_t size : kSizes)
        if (size >= targets * 100) return size;
    return kSizes.back();
}

// A permutation of 64-bit numbers that scatters neighbours (the finalizer of SplitMix64).
uint64_t scatter(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

struct Claimant {
    uint32_t target;
    uint32_t weight;
    uint32_t next, skip;  // the slot it wants next, and the stride to the one after
    uint64_t credit = 0;
};

std::vector<Claimant> claimants(std::span<const Target> targets, uint32_t size) {
    std::vector<Claimant> all;
    for (uint32_t i = 0; i < targets.size(); ++i) {
        if (targets[i].weight == 0) continue;
        const uint64_t h = scatter(targets[i].backend);
        all.push_back({.target = i,
                       .weight = targets[i].weight,
                       .next = uint32_t(uint32_t(h) % size),
                       .skip = uint32_t((h >> 32) % (size - 1)) + 1});
    }
    // Turns are taken in an order that does not depend on the list's.
    std::ranges::sort(all, {}, [&](const Claimant& c) { return targets[c.target].backend; });
    return all;
}

}  // namespace

std::vector<uint32_t> build_consistent(std::span<const Target> targets) {
    const uint32_t size = size_for(targets.size());
    auto all = claimants(targets, size);
    if (all.empty()) return {};
    const uint32_t heaviest = std::ranges::max(all, {}, &Claimant::weight).weight;
    std::vector<uint32_t> table(size, kNoBackend);
    // The heaviest claims a slot every round, so there are at most `size` rounds.
    for (uint32_t filled = 0;;) {
        for (Claimant& c : all) {
            c.credit += c.weight;
            if (c.credit < heaviest) continue;
            c.credit -= heaviest;
            while (table[c.next] != kNoBackend) c.next = (c.next + c.skip) % size;
            table[c.next] = c.target;
            if (++filled == size) return table;
        }
    }
}

}  // namespace torii::scheduler
