#include <algorithm>
#include <tuple>

#include "dataplane/stages/marks.h"

namespace torii::stages {
namespace {

auto order(const shm::MarkRecord& r) {
    return std::tuple(-int(r.length), r.destination.is_v4(), r.destination,
                      r.protocol == Protocol::any, r.last_port - r.first_port);
}

}  // namespace

Marks::Marks(std::span<const shm::MarkRecord> records) : rules_(records.begin(), records.end()) {
    std::ranges::stable_sort(rules_, {}, order);
    for (uint32_t i = 0; i < rules_.size(); ++i) {
        const shm::MarkRecord& r = rules_[i];
        const bool v4 = r.destination.is_v4();
        if (lengths_.empty() || lengths_.back().bits != r.length || lengths_.back().v4 != v4)
            lengths_.push_back({r.length, v4, i, i});
        lengths_.back().last = i + 1;
    }
}

std::vector<Marks::Block> Marks::blocks() const {
    std::vector<Block> all;
    for (const shm::MarkRecord& r : rules_) {
        const Prefix here{r.destination, r.length};
        if (!all.empty() && all.back().destination == here) continue;
        Block b{here, {}};
        for (const Length& around : lengths_) {
            if (around.v4 != r.destination.is_v4() || around.bits > r.length) continue;
            const auto rules = at(around, r.destination);
            b.rules.insert(b.rules.end(), rules.begin(), rules.end());
        }
        all.push_back(std::move(b));
    }
    return all;
}

}  // namespace torii::stages
