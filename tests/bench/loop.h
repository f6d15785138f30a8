#pragma once
// BareLoop: the least that any balancer with state does, as a yardstick for the machine: hash a
// request's client, find its 64-byte entry, rewrite the destination, count. No checks, no
// checksums, no time, no ports, one thread, IPv4 without options.

#include <sys/mman.h>

#include <cstring>
#include <span>

#include "dataplane/stages/packet.h"
#include "tests/bench/flows.h"
#include "tests/bench/port.h"

namespace torii::bench {

class BareLoop {
public:
    BareLoop(World& world, uint64_t flows) {
        while (size_ < 2 * flows) size_ *= 2;
        void* p = ::mmap(nullptr, bytes(), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
        if (p == MAP_FAILED) {
            p = ::mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                       0);
            if (p == MAP_FAILED) give_up("no memory for the bare loop");
            ::madvise(p, bytes(), MADV_HUGEPAGE);
        }
        entries_ = static_cast<Entry*>(p);
        FrameWriter writer(world);
        alignas(64) std::byte frame[256];
        for (uint64_t f = 0; f < flows; ++f) {
            writer.write(frame, flow_of(world, f), Segment::request);
            const uint64_t key = key_of(frame);
            uint64_t at = place(key);
            while (entries_[at].key != 0) at = (at + 1) & (size_ - 1);
            entries_[at] = {key, 0x0a000001u + uint32_t(f), 8080, 0, {}};
        }
    }
    BareLoop(const BareLoop&) = delete;
    ~BareLoop() { ::munmap(entries_, bytes()); }

    void operator()(std::span<stages::Packet> burst) {
        std::array<uint64_t, kBurst> keys, at;
        for (size_t i = 0; i < burst.size(); ++i) {
            keys[i] = key_of(burst[i].data);
            at[i] = place(keys[i]);
            __builtin_prefetch(&entries_[at[i]], 1);
        }
        for (size_t i = 0; i < burst.size(); ++i) {
            uint64_t a = at[i];
            while (entries_[a].key != keys[i]) a = (a + 1) & (size_ - 1);
            Entry& e = entries_[a];
            std::memcpy(burst[i].data + kDestination, &e.address, 4);
            std::memcpy(burst[i].data + kDestinationPort, &e.port, 2);
            ++e.packets;
            burst[i].out_port = 0;
            burst[i].close(stages::Verdict::nat_request);
        }
    }

private:
    struct alignas(64) Entry {
        uint64_t key;
        uint32_t address;
        uint16_t port;
        uint64_t packets;
        uint32_t unused[8];
    };
    static_assert(sizeof(Entry) == 64);
    static constexpr size_t kProtocol = 23, kSource = 26, kDestination = 30, kSourcePort = 34,
                            kDestinationPort = 36;

    static uint64_t key_of(const std::byte* frame) {
        uint32_t address;
        uint16_t port;
        std::memcpy(&address, frame + kSource, 4);
        std::memcpy(&port, frame + kSourcePort, 2);
        return uint64_t(address) << 32 | uint64_t(port) << 8 | uint64_t(frame[kProtocol]);
    }
    uint64_t place(uint64_t key) const {
        return flow::fold(key ^ 0x9e3779b97f4a7c15u, 0xa0761d6478bd642fu) & (size_ - 1);
    }
    uint64_t bytes() const { return size_ * sizeof(Entry); }

    uint64_t size_ = 1024;
    Entry* entries_ = nullptr;
};

}  // namespace torii::bench
