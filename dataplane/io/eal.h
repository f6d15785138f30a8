#pragma once
// DPDK's environment: started once, before any port, by the main thread.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "config/model/config.h"

struct rte_mempool;

namespace torii::io {

/// How packet memory is laid out for a set of ports. Computed before the environment starts,
/// because without huge pages its memory is one block of a size that is fixed at the start.
struct PacketMemory {
    uint32_t packets = 0;    ///< mbufs in the pool
    uint32_t room = 0;       ///< bytes of one mbuf's data, headroom included
    bool one_area = true;    ///< AF_XDP needs the pool as one gapless area
    uint64_t bytes() const;  ///< of the whole pool
};

struct EalRequest {
    std::string instance;
    config::Hugepages hugepages = config::Hugepages::automatic;
    bool pci = false;     ///< scan the PCI bus, for `device` below
    std::string devices;  ///< PCI addresses, separated by commas
    uint64_t bytes = 0;   ///< packet memory the ports will need
};

/// Huge pages of one size that are free and promised to nobody.
struct HugePool {
    uint64_t page = 0;  ///< bytes of one
    uint64_t pages = 0;
};
inline constexpr char kHugePools[] = "/sys/kernel/mm/hugepages";
std::vector<HugePool> huge_pools(
    const std::string& directory = kHugePools);  ///< smallest first, as DPDK takes them
/// All of them, in bytes.
uint64_t free_huge_page_bytes(const std::string& directory = kHugePools);
/// Whether the kernel really gives this process so many bytes of them: takes them, and gives them
/// back.
bool huge_pages_obtainable(uint64_t bytes, std::span<const HugePool>);
/// Whether huge pages will be used for so many bytes of packets; an error (one sentence, says how
/// to get them) when they are required and too few are free.
Result<bool> check_huge_pages(config::Hugepages, uint64_t packet_bytes,
                              uint64_t available = free_huge_page_bytes());

/// Starts it. The calling thread becomes the main lcore and keeps its affinity. DPDK's own messages
/// go to our log. Returns whether huge pages are in use.
Result<bool> start_eal(const EalRequest&);

/// The pool every port receives into. Owned by DPDK, lives as long as the process.
Result<rte_mempool*> make_pool(const PacketMemory&, unsigned threads);

/// Makes the calling thread known to DPDK, with the floating affinity it has, or pinned to `core`.
Result<> register_thread(const char* name, int core = -1);
void unregister_thread();

}  // namespace torii::io
