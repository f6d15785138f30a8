#pragma once
// MemoryPort: received packets without a network card. Buffers lie in one pool with the size, the
// headroom and the spread over cache sets of DPDK's packet buffers; a fill() writes a whole pool of
// frames (not measured), and drain() takes them through a stage burst by burst (measured).

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/stages/packet.h"
#include "tests/bench/world.h"

namespace torii::bench {

inline constexpr uint32_t kFrames = 4096;  ///< as many as a port's receive rings hold
inline constexpr uint32_t kBurst = 32;

class MemoryPort {
public:
    MemoryPort();
    MemoryPort(const MemoryPort&) = delete;
    ~MemoryPort();

    /// `write(at, i)` writes the i-th frame and returns its length.
    template <class Write>
    void fill(Write&& write) {
        for (uint32_t i = 0; i < kFrames; ++i) lengths_[i] = write(frame(i), i);
    }
    /// Nanoseconds for taking every frame through `stage(burst)`, transmission being a look at the
    /// result. How many packets ended with each verdict goes to `verdicts`.
    template <class Stage>
    uint64_t drain(Stage&& stage) {
        const uint64_t begin = cpu_ns();
        for (uint32_t first = 0; first < kFrames; first += kBurst) {
            for (uint32_t i = 0; i < kBurst; ++i) __builtin_prefetch(frame(first + i));
            for (uint32_t i = 0; i < kBurst; ++i) {
                stages::Packet& p = packets_[i];
                p = stages::Packet{};
                p.data = frame(first + i);
                p.length = lengths_[first + i];
                p.headroom = kHeadroom;
                p.tailroom = uint16_t(kRoom - p.length);
                p.owner = p.data;
            }
            stage(std::span(packets_));
            for (const stages::Packet& p : packets_) {
                ++verdicts_[size_t(p.verdict)];
                sent_bytes_ += p.length + p.out_port;
            }
        }
        return cpu_ns() - begin;
    }
    /// Packets with this verdict since the last call.
    uint64_t take(stages::Verdict v) { return std::exchange(verdicts_[size_t(v)], 0); }

private:
    // Header, buffer header and headroom of rte_mbuf and its pool: 37 cache lines, an odd number,
    // so that buffers do not compete for the same sets.
    static constexpr uint32_t kBefore = 192, kHeadroom = 128, kRoom = 2048;
    static constexpr uint32_t kStride = kBefore + kHeadroom + kRoom;
    std::byte* frame(uint32_t i) const {
        return pool_ + uint64_t(i) * kStride + kBefore + kHeadroom;
    }

    std::array<stages::Packet, kBurst> packets_;
    std::byte* pool_ = nullptr;
    std::array<uint16_t, kFrames> lengths_{};
    std::array<uint64_t, size_t(stages::Verdict::kCount)> verdicts_{};
    uint64_t sent_bytes_ = 0;
};

}  // namespace torii::bench
