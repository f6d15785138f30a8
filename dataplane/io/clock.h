#pragma once
// A worker's clock: one read of the time-stamp counter a loop, and CLOCK_BOOTTIME now and then to
// keep it honest. Never goes back. One a worker.

#include <rte_cycles.h>

#include <algorithm>
#include <cstdint>
#include <ctime>

#include "dataplane/flow/entry.h"

namespace torii::io {

class Clock {
public:
    Clock() : per_us_(double(rte_get_tsc_hz()) / 1e6), anchor_every_(rte_get_tsc_hz() / 16) {
        anchor(rte_rdtsc());
        us_ = anchor_us_;
    }
    /// Reads the counter.
    void read() {
        const uint64_t tsc = rte_rdtsc();
        if (tsc - anchor_tsc_ > anchor_every_) anchor(tsc);
        us_ = std::max(us_, anchor_us_ + uint64_t(double(tsc - anchor_tsc_) / per_us_));
        tsc_ = tsc;
    }
    uint64_t us() const { return us_; }  ///< CLOCK_BOOTTIME at the last read()
    flow::Tick tick() const { return flow::Tick(us_ * flow::kTicksPerSecond / 1'000'000); }
    uint64_t tsc() const { return tsc_; }
    uint64_t ns_between(uint64_t from_tsc, uint64_t to_tsc) const {
        return uint64_t(double(to_tsc - from_tsc) * 1e3 / per_us_);
    }

private:
    void anchor(uint64_t tsc) {
        timespec t;
        ::clock_gettime(CLOCK_BOOTTIME, &t);  // no system call: the vDSO answers
        anchor_us_ = uint64_t(t.tv_sec) * 1'000'000 + uint64_t(t.tv_nsec) / 1'000;
        anchor_tsc_ = tsc_ = tsc;
    }
    double per_us_;
    uint64_t anchor_every_, anchor_tsc_ = 0, anchor_us_ = 0, us_ = 0, tsc_ = 0;
};

}  // namespace torii::io
