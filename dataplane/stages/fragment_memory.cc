// FragmentTable's making and end: the only place where it allocates.

#include <algorithm>
#include <bit>

#include "dataplane/stages/fragment_datagram.h"

namespace torii::stages {

FragmentTable::FragmentTable(const flow::Seed& seed, uint32_t datagrams)
    : seed_(seed),
      capacity_(std::clamp(datagrams, kLeast, kMost)),
      mask_(std::bit_ceil(capacity_) - 1),
      datagrams_(std::make_unique<Datagram[]>(capacity_)),
      heads_(std::make_unique<uint32_t[]>(mask_ + 1)),
      sources_(std::make_unique<Source[]>(kSources)),
      slots_(std::make_unique<Slot[]>(kHeld)) {
    std::fill_n(heads_.get(), mask_ + 1, kNil);
    for (uint32_t i = capacity_; i-- > 0; free_ = i) datagrams_[i].chain = free_;
    for (uint32_t i = kHeld; i-- > 0; free_slot_ = i) slots_[i].next = free_slot_;
}

FragmentTable::FragmentTable(FragmentTable&&) noexcept = default;
FragmentTable::~FragmentTable() = default;

}  // namespace torii::stages
