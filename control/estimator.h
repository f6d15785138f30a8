#pragma once
// Estimator: rates as IPVS estimates them (ip_vs_est.c of Linux 6.1). Every two seconds the average
// moves a quarter of the way to the rate of those two seconds. Rates are fixed-point: per second
// times 1024, bytes times 32. One thread.

#include <chrono>
#include <span>
#include <vector>

#include "control/api/model.h"
#include "control/slots.h"

namespace torii::control {

inline constexpr std::chrono::seconds kEstimatorTick{2};

class Estimator {
public:
    /// Two seconds passed. A slot's former owner does not count for its present one.
    void tick(std::span<const Usage> services, std::span<const Usage> backends, const Slots&);
    /// Rates begin anew at zero, as -Z makes them.
    void zero_service(uint32_t slot, const shm::CounterBase& counted);
    void zero_backend(uint32_t slot, const shm::CounterBase& counted);

    /// Zeros for a slot that is not known yet.
    api::Rates service(uint32_t slot) const;
    api::Rates backend(uint32_t slot) const;

private:
    struct Average {
        uint32_t generation = 0;
        shm::CounterBase last, rate;
    };
    static void step(Average&, const shm::CounterBase& counted);
    static api::Rates shown(const std::vector<Average>&, uint32_t slot);
    static void zero(std::vector<Average>&, uint32_t slot, const shm::CounterBase& counted);

    std::vector<Average> services_, backends_;
};

}  // namespace torii::control
