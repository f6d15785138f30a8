#include "dataplane/io/eal.h"

#include <fmt/format.h>
#include <linux/mman.h>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <sched.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "dataplane/io/log.h"

namespace torii::io {
namespace {

constexpr uint64_t kMiB = 1u << 20;
// What DPDK itself and its drivers allocate besides packets: device data, rings, AF_XDP queues.
constexpr uint64_t kOverhead = 24 * kMiB;
// Ordinary pages are one block that cannot grow; those that nobody touches cost nothing.
constexpr uint64_t kSlack = 16 * kMiB;

// DPDK writes its messages to a stdio stream; each write is one message. Which severity it had is
// known only while it is being written.
ssize_t write_to_log(void*, const char* text, size_t size) {
    std::string_view line(text, size);
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
    if (line.empty()) return ssize_t(size);
    const int level = rte_log_cur_msg_loglevel();
    const auto severity = level <= int(RTE_LOG_ERR)       ? spdlog::level::err
                          : level <= int(RTE_LOG_WARNING) ? spdlog::level::warn
                          : level <= int(RTE_LOG_NOTICE)  ? spdlog::level::debug
                                                          : spdlog::level::trace;
    spdlog::log(severity, "event=dpdk message={}", in_quotes(line));
    return ssize_t(size);
}

void route_messages() {
    static FILE* stream = ::fopencookie(nullptr, "w", {nullptr, write_to_log, nullptr, nullptr});
    if (!stream) return;
    ::setvbuf(stream, nullptr, _IOLBF, 1024);
    rte_openlog_stream(stream);
}

// "0@0-3,5": the main lcore may run on every core the process may.
std::string floating_main_lcore() {
    cpu_set_t set;
    std::string cores;
    if (::sched_getaffinity(0, sizeof set, &set) == 0)
        for (int c = 0; c < CPU_SETSIZE; ++c)
            if (CPU_ISSET(c, &set)) cores += fmt::format("{}{}", cores.empty() ? "" : ",", c);
    return cores.empty() ? "0@0" : fmt::format("0@({})", cores);
}

uint64_t object_bytes(const PacketMemory& m) {
    rte_mempool_objsz size;
    rte_mempool_calc_obj_size(uint32_t(sizeof(rte_mbuf)) + m.room, 0, &size);
    return size.total_size;
}

// Huge pages mapped and filled in, for as long as it lives.
class HugeArea {
public:
    HugeArea(uint64_t bytes, uint64_t page) : bytes_(bytes) {
        const int size = std::countr_zero(page) << MAP_HUGE_SHIFT;
        at_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | size, -1, 0);
        // Without the call (before Linux 5.14) the reservation that mmap() made has to do.
        obtained_ = at_ != MAP_FAILED &&
                    (::madvise(at_, bytes, MADV_POPULATE_WRITE) == 0 || errno == EINVAL);
    }
    HugeArea(HugeArea&& o) noexcept
        : at_(std::exchange(o.at_, MAP_FAILED)), bytes_(o.bytes_), obtained_(o.obtained_) {}
    ~HugeArea() {
        if (at_ != MAP_FAILED) ::munmap(at_, bytes_);
    }
    bool obtained() const { return obtained_; }

private:
    void* at_;
    uint64_t bytes_;
    bool obtained_;
};

std::string lack_of_huge_pages(uint64_t needed, uint64_t available) {
    return fmt::format(
        "packets need {} MiB of huge pages and {} MiB can be had: reserve them with sysctl "
        "vm.nr_hugepages={}",
        (needed + kMiB - 1) / kMiB, available / kMiB, (needed + 2 * kMiB - 1) / (2 * kMiB));
}

}  // namespace

uint64_t PacketMemory::bytes() const { return uint64_t(packets) * object_bytes(*this); }

std::vector<HugePool> huge_pools(const std::string& directory) {
    std::vector<HugePool> pools;
    std::error_code error;
    for (const auto& d : std::filesystem::directory_iterator(directory, error)) {
        uint64_t kilobytes = 0, free = 0, reserved = 0;
        if (std::sscanf(d.path().filename().c_str(), "hugepages-%lukB", &kilobytes) != 1) continue;
        std::ifstream(d.path() / "free_hugepages") >> free;
        std::ifstream(d.path() / "resv_hugepages") >> reserved;
        pools.push_back({kilobytes * 1024, free - std::min(free, reserved)});
    }
    std::ranges::sort(pools, {}, &HugePool::page);
    return pools;
}

uint64_t free_huge_page_bytes(const std::string& directory) {
    uint64_t bytes = 0;
    for (const HugePool& p : huge_pools(directory)) bytes += p.page * p.pages;
    return bytes;
}

bool huge_pages_obtainable(uint64_t bytes, std::span<const HugePool> pools) {
    std::vector<HugeArea> areas;  // all at once, as DPDK will have them
    for (const HugePool& p : pools) {
        const uint64_t wanted = std::min(p.pages, (bytes + p.page - 1) / p.page);
        if (wanted == 0) continue;
        areas.emplace_back(wanted * p.page, p.page);
        if (!areas.back().obtained()) return false;
        bytes -= std::min(bytes, wanted * p.page);
    }
    return bytes == 0;
}

Result<bool> check_huge_pages(config::Hugepages wish, uint64_t packet_bytes, uint64_t available) {
    const uint64_t needed = packet_bytes + kOverhead;
    if (wish == config::Hugepages::never) return false;
    if (available >= needed) return true;
    if (wish == config::Hugepages::automatic) return false;
    return fail(Errc::full, lack_of_huge_pages(needed, available) + ", or set 'hugepages' to auto");
}

Result<bool> start_eal(const EalRequest& request) {
    const uint64_t needed = request.bytes + kOverhead;
    // What is said to be free may still be refused, by a limit of the control group or because
    // another program was faster; and DPDK cannot be started a second time with ordinary pages.
    const uint64_t available =
        request.hugepages != config::Hugepages::never && huge_pages_obtainable(needed, huge_pools())
            ? free_huge_page_bytes()
            : 0;
    const auto huge = check_huge_pages(request.hugepages, request.bytes, available);
    if (!huge) return huge;
    if (!*huge && request.hugepages == config::Hugepages::automatic)
        spdlog::warn("event=no_huge_pages message={}",
                     in_quotes(lack_of_huge_pages(needed, available) +
                               "; ordinary pages are used, which are slower"));
    route_messages();
    std::vector<std::string> words = {"torii-dataplane", "--no-telemetry",
                                      "--file-prefix=torii-" + request.instance,
                                      "--lcores=" + floating_main_lcore()};
    // net_tap calls every feature that a kernel lacks, and that is not used here, an error.
    words.push_back("--log-level=pmd.net.tap:critical");
    if (request.pci) {
        for (size_t at = 0; at < request.devices.size();) {
            const size_t comma = std::min(request.devices.find(',', at), request.devices.size());
            words.push_back("--allow=" + request.devices.substr(at, comma - at));
            at = comma + 1;
        }
    } else {
        // Drivers of virtual devices copy through the CPU: virtual addresses are what they want.
        words.insert(words.end(), {"--no-pci", "--iova-mode=va"});
    }
    // Neither leaves files behind; DPDK refuses them together.
    words.push_back(*huge ? "--in-memory" : "--no-shconf");
    if (!*huge) {
        words.push_back("--no-huge");
        words.push_back(fmt::format("-m{}", (needed + kSlack + kMiB - 1) / kMiB));
    }
    std::vector<char*> argv;
    for (std::string& w : words) argv.push_back(w.data());
    if (rte_eal_init(int(argv.size()), argv.data()) < 0)
        return fail(Errc::io, fmt::format("DPDK did not start: {}", rte_strerror(rte_errno)));
    return *huge;
}

Result<rte_mempool*> make_pool(const PacketMemory& m, unsigned threads) {
    // AF_XDP hands the pool to the kernel as one area and computes where a packet lies from its
    // object size, so objects must follow each other without gaps at page ends.
    const unsigned flags = m.one_area ? RTE_MEMPOOL_F_NO_IOVA_CONTIG : 0;
    const unsigned cache = std::min<unsigned>(256, m.packets / (4 * (threads + 1)));
    rte_mempool* pool =
        rte_mempool_create_empty("packets", m.packets, uint32_t(sizeof(rte_mbuf)) + m.room, cache,
                                 sizeof(rte_pktmbuf_pool_private), SOCKET_ID_ANY, flags);
    const auto failed = [&](int error) {
        rte_mempool_free(pool);
        return fail(Errc::full, fmt::format("no memory for {} packets of {} bytes: {}", m.packets,
                                            m.room, rte_strerror(error)));
    };
    if (!pool) return failed(rte_errno);
    if (const int rc = rte_mempool_set_ops_byname(pool, "ring_mp_mc", nullptr); rc != 0)
        return failed(-rc);
    rte_pktmbuf_pool_private layout{};
    layout.mbuf_data_room_size = uint16_t(m.room);
    rte_pktmbuf_pool_init(pool, &layout);
    if (const int rc = rte_mempool_populate_default(pool); rc < 0) return failed(-rc);
    rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
    if (m.one_area && pool->nb_mem_chunks != 1) {
        rte_mempool_free(pool);
        return fail(Errc::full,
                    fmt::format("packet memory of {} MiB is not in one piece: reserve more huge "
                                "pages or set 'hugepages' to never",
                                m.bytes() / kMiB));
    }
    return pool;
}

Result<> register_thread(const char* name, int core) {
    ::pthread_setname_np(::pthread_self(), name);
    if (core >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(core, &set);
        if (const int e = ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set); e != 0)
            return fail_errno(fmt::format("cannot run on core {}", core), e);
    }
    if (rte_thread_register() < 0)
        return fail(Errc::internal,
                    fmt::format("DPDK refuses thread {}: {}", name, rte_strerror(rte_errno)));
    return {};
}

void unregister_thread() { rte_thread_unregister(); }

}  // namespace torii::io
