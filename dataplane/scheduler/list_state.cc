#include "dataplane/scheduler/list_state.h"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <unordered_map>

#include "dataplane/scheduler/rows.h"

namespace torii::scheduler {

ListState ListState::restore(const ServiceView& view) {
    ListState s;
    s.oldest_first_.assign(view.targets.rbegin(), view.targets.rend());
    for (const Target& t : view.targets) s.members_.insert(t.backend);
    s.changes_.assign(view.changes.begin(), view.changes.end());
    s.change_seq_ = view.change_seq;
    s.weigh();
    if (!s.changes_.empty()) s.idle_.current_weight = s.changes_.back().idle_weight;
    return s;
}

bool ListState::add(uint32_t backend, uint32_t weight) {
    if (!members_.insert(backend).second) return false;
    oldest_first_.push_back({backend, weight, 0});
    if (weight > 0) {
        gcd_ = max_weight_ == 0 ? weight : std::gcd(gcd_, weight);
        max_weight_ = std::max(max_weight_, weight);
    }
    note(ChangeKind::add, backend, kNoBackend);
    return true;
}

bool ListState::edit(uint32_t backend, uint32_t weight) {
    if (!members_.contains(backend)) return false;
    const auto target = find(backend);
    if (weight != 0)
        target->last_weight = 0;
    else if (target->weight != 0)
        target->last_weight = target->weight;
    target->weight = weight;
    weigh();
    note(ChangeKind::edit, backend, kNoBackend);
    return true;
}

bool ListState::remove(uint32_t backend) {
    if (members_.erase(backend) == 0) return false;
    const auto it = find(backend);
    // The list is kept backwards, so its predecessor there is the next one here.
    const auto before = it + 1;
    const uint32_t predecessor = before == oldest_first_.end() ? kNoBackend : before->backend;
    oldest_first_.erase(it);
    weigh();
    note(ChangeKind::remove, backend, predecessor);
    return true;
}

void ListState::rebind() { note(ChangeKind::rebind, kNoBackend, kNoBackend); }

bool ListState::update(std::span<const Target> wanted) {
    std::unordered_map<uint32_t, uint32_t> weights;
    for (const Target& t : wanted) weights.emplace(t.backend, t.weight);
    const uint64_t before = change_seq_;
    const std::vector<Target> old = oldest_first_;
    for (const Target& t : old)
        if (!weights.contains(t.backend)) remove(t.backend);
    for (const Target& t : old) {
        const auto it = weights.find(t.backend);
        if (it != weights.end() && it->second != t.weight) edit(t.backend, it->second);
    }
    for (const Target& t : wanted) add(t.backend, t.weight);
    return change_seq_ != before;
}

std::vector<Target> ListState::targets() const {
    return {oldest_first_.rbegin(), oldest_first_.rend()};
}

void ListState::weigh() {
    max_weight_ = 0;
    uint32_t divisor = 0;
    for (const Target& t : oldest_first_) {
        max_weight_ = std::max(max_weight_, t.weight);
        divisor = std::gcd(divisor, t.weight);
    }
    gcd_ = divisor == 0 ? 1 : divisor;
}

void ListState::note(ChangeKind kind, uint32_t backend, uint32_t predecessor) {
    Change change{kind, backend, predecessor, max_weight_, gcd_, 0};
    wrr_on_change(change, idle_);
    change.idle_weight = idle_.current_weight;
    if (changes_.size() == kMaxChanges) changes_.erase(changes_.begin());
    changes_.push_back(change);
    ++change_seq_;
}

std::vector<Target>::iterator ListState::find(uint32_t backend) {
    return std::ranges::find(oldest_first_, backend, &Target::backend);
}

std::vector<uint32_t> build_table(const Scheduler& s, std::span<const Target> targets,
                                  std::span<const Endpoint> ends) {
    assert(targets.size() == ends.size());
    if (s.build == nullptr || targets.empty()) return {};
    std::vector<uint32_t> table(s.table_size);
    s.build(targets, ends, table);
    return table;
}

}  // namespace torii::scheduler
