#include "control/estimator.h"

namespace torii::control {
namespace {

constexpr unsigned kShift = 10, kByteShift = 5;  // fixed point; one less for the two seconds

void move(uint64_t& average, uint64_t& last, uint64_t counted, unsigned shift) {
    const uint64_t seen = counted >= last ? counted - last : 0;  // counters made anew
    const auto rate = int64_t(seen << (shift - 1));
    average = uint64_t(int64_t(average) + ((rate - int64_t(average)) >> 2));
    last = counted;
}

uint64_t rounded(uint64_t average, unsigned shift) {
    return (average + (uint64_t{1} << (shift - 1)) - 1) >> shift;
}

}  // namespace

void Estimator::step(Average& a, const shm::CounterBase& counted) {
    move(a.rate.connections, a.last.connections, counted.connections, kShift);
    move(a.rate.in_packets, a.last.in_packets, counted.in_packets, kShift);
    move(a.rate.out_packets, a.last.out_packets, counted.out_packets, kShift);
    move(a.rate.in_bytes, a.last.in_bytes, counted.in_bytes, kByteShift);
    move(a.rate.out_bytes, a.last.out_bytes, counted.out_bytes, kByteShift);
}

void Estimator::tick(std::span<const Usage> services, std::span<const Usage> backends,
                     const Slots& slots) {
    const auto all = [](std::vector<Average>& averages, std::span<const Usage> counted,
                        const auto& owners) {
        averages.resize(std::min(counted.size(), owners.size()));
        for (size_t i = 0; i < averages.size(); ++i) {
            if (averages[i].generation != owners[i].generation)
                averages[i] = {owners[i].generation, owners[i].base, {}};
            step(averages[i], counted[i].counted);
        }
    };
    all(services_, services, slots.services);
    all(backends_, backends, slots.backends);
}

void Estimator::zero(std::vector<Average>& all, uint32_t slot, const shm::CounterBase& counted) {
    if (slot < all.size()) all[slot] = {all[slot].generation, counted, {}};
}
void Estimator::zero_service(uint32_t slot, const shm::CounterBase& counted) {
    zero(services_, slot, counted);
}
void Estimator::zero_backend(uint32_t slot, const shm::CounterBase& counted) {
    zero(backends_, slot, counted);
}

api::Rates Estimator::shown(const std::vector<Average>& all, uint32_t slot) {
    if (slot >= all.size()) return {};
    const shm::CounterBase& r = all[slot].rate;
    return {rounded(r.connections, kShift), rounded(r.in_packets, kShift),
            rounded(r.out_packets, kShift), rounded(r.in_bytes, kByteShift),
            rounded(r.out_bytes, kByteShift)};
}
api::Rates Estimator::service(uint32_t slot) const { return shown(services_, slot); }
api::Rates Estimator::backend(uint32_t slot) const { return shown(backends_, slot); }

}  // namespace torii::control
