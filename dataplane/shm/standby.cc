#include "dataplane/shm/standby.h"

#include <algorithm>
#include <cstring>

namespace torii::shm {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kSize = (sizeof(StandbyTable) + kPage - 1) / kPage * kPage;

}  // namespace

Result<Mapping> open_standby(const Location& location) {
    return open_kept(location, "standby", kSize, Kind::standby, kStandbyLayout);
}

Standby::Standby(std::vector<Address> addresses) : addresses_(std::move(addresses)) {
    std::sort(addresses_.begin(), addresses_.end());
    addresses_.erase(std::unique(addresses_.begin(), addresses_.end()), addresses_.end());
    if (addresses_.size() > kMaxStandby) addresses_.resize(kMaxStandby);
    any_ = !addresses_.empty();
}

Standby Standby::of_everything() {
    Standby s;
    s.any_ = s.everything_ = true;
    return s;
}

bool Standby::covers(const Address& a) const {
    return everything_ || std::ranges::binary_search(addresses_, a);
}

void Standby::copy(const StandbyTable& t) {
    const uint64_t before = t.version.load(std::memory_order_acquire);
    if (before & 1) return;
    const bool everything = t.everything.load(std::memory_order_acquire) != 0;
    const uint32_t count = std::min(t.count.load(std::memory_order_acquire), kMaxStandby);
    std::vector<Address> addresses(count);
    for (uint32_t i = 0; i < count; ++i) {
        const uint64_t words[2] = {t.words[2 * i].load(std::memory_order_acquire),
                                   t.words[2 * i + 1].load(std::memory_order_acquire)};
        std::memcpy(addresses[i].bytes.data(), words, sizeof words);
    }
    if (t.version.load(std::memory_order_relaxed) != before) return;
    version_ = before;
    everything_ = everything;
    addresses_ = std::move(addresses);
    any_ = everything || count != 0;
}

void write(StandbyTable& t, const Standby& s) {
    const uint64_t odd = t.version.load(std::memory_order_relaxed) | 1;
    t.version.store(odd, std::memory_order_relaxed);
    t.everything.store(s.everything_, std::memory_order_release);
    t.count.store(uint32_t(s.addresses_.size()), std::memory_order_release);
    for (size_t i = 0; i < s.addresses_.size(); ++i) {
        uint64_t words[2];
        std::memcpy(words, s.addresses_[i].bytes.data(), sizeof words);
        t.words[2 * i].store(words[0], std::memory_order_release);
        t.words[2 * i + 1].store(words[1], std::memory_order_release);
    }
    t.version.store(odd + 1, std::memory_order_release);
}

}  // namespace torii::shm
