// The table's file: where it lies, on which pages, and whether it may be attached.

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "dataplane/flow/impl.h"

namespace torii::flow {
namespace {

constexpr uint64_t kHugePage = 2u << 20;
constexpr const char* kPool = "/sys/kernel/mm/hugepages/hugepages-2048kB/";

uint64_t number_in(const std::string& path) {
    uint64_t n = 0;
    std::ifstream(path) >> n;
    return n;
}

uint64_t free_huge_pages() {
    const uint64_t free = number_in(std::string(kPool) + "free_hugepages");
    const uint64_t reserved = number_in(std::string(kPool) + "resv_hugepages");
    return free > reserved ? free - reserved : 0;
}

uint64_t available_memory() {
    std::ifstream file("/proc/meminfo");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("MemAvailable:")) return std::stoull(line.substr(13)) * 1024;
    return ~uint64_t(0);
}

/// Two directories that end in one instance name must not share a file on the one hugetlbfs.
std::string huge_path(const std::string& mount, const shm::Location& where) {
    const size_t slash = where.directory.rfind('/');
    const std::string parent = where.directory.substr(0, slash);
    const std::string instance = where.directory.substr(slash + 1);
    if (parent == "/dev/shm/torii") return fmt::format("{}/torii-{}-connections", mount, instance);
    uint64_t h = 0xcbf29ce484222325u;
    for (const char c : parent) h = (h ^ uint8_t(c)) * 0x100000001b3u;
    return fmt::format("{}/torii-{}-{:08x}-connections", mount, instance, uint32_t(h ^ (h >> 32)));
}

Result<> check(const shm::Mapping& map, uint32_t capacity, const std::string& path) {
    auto ok = shm::verify(map, shm::Kind::connections, kConnectionsLayout, path, false);
    if (!ok) return ok;
    const auto& h = *map.at<TableHeader>(0);
    if (map.size() < kTableHeaderSize || h.capacity != rounded_capacity(h.capacity) ||
        h.buckets != buckets_for(h.capacity) || h.buckets_offset != kTableHeaderSize ||
        h.cells_offset != cells_offset_for(h.capacity) || map.size() < Table::bytes_for(h.capacity))
        return fail(Errc::layout, fmt::format("{}: its dimensions do not fit its size", path));
    if (h.capacity != capacity)
        return fail(Errc::layout,
                    fmt::format("{}: the table has {} entries, the configuration says {}: start "
                                "with --fresh-table or restore the key",
                                path, h.capacity, capacity));
    return {};
}

/// A half-made table must never be taken for one: it gets its name when it is complete.
Result<shm::Mapping> create(const std::string& path, uint64_t size, uint32_t capacity) {
    const std::string temporary = path + ".new";
    ::unlink(temporary.c_str());
    auto map = shm::Mapping::create(temporary, size);
    if (!map) return map;
    auto& h = *map->at<TableHeader>(0);
    if (::getrandom(&h.seed, sizeof h.seed, 0) != ssize_t(sizeof h.seed)) {
        const int e = errno;
        ::unlink(temporary.c_str());
        return fail_errno("getrandom", e);
    }
    h.capacity = capacity;
    h.buckets = buckets_for(capacity);
    h.buckets_offset = kTableHeaderSize;
    h.cells_offset = cells_offset_for(capacity);
    shm::stamp(*map, shm::Kind::connections, kConnectionsLayout, false);
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
        const int e = errno;
        ::unlink(temporary.c_str());
        return fail_errno(path, e);
    }
    return map;
}

constexpr uint64_t up_to(uint64_t n, uint64_t page) { return (n + page - 1) / page * page; }

Result<shm::Mapping> create_huge(const std::string& mount, const std::string& path,
                                 uint32_t capacity) {
    if (mount.empty())
        return fail(Errc::full,
                    "the connection table is to lie on huge pages, but no hugetlbfs with 2M pages "
                    "is mounted: mount one, or set dataplane.hugepages to auto");
    const uint64_t size = up_to(Table::bytes_for(capacity), kHugePage);
    if (const uint64_t free = free_huge_pages(); free < size / kHugePage)
        return fail(Errc::full,
                    fmt::format("the connection table needs {} huge pages of 2M, {} are free: "
                                "raise vm.nr_hugepages, or set dataplane.hugepages to auto",
                                size / kHugePage, free));
    return create(path, size, capacity);
}

Result<shm::Mapping> create_ordinary(const std::string& path, uint32_t capacity) {
    const uint64_t size = up_to(Table::bytes_for(capacity), 4096);
    // tmpfs promises more memory than there is; the kernel would end a process instead.
    if (const uint64_t free = available_memory(); free < size + size / 16)
        return fail(Errc::full,
                    fmt::format("a connection table of {} entries needs {} MiB, {} MiB of memory "
                                "are available: lower dataplane.connections",
                                capacity, size >> 20, free >> 20));
    auto map = create(path, size, capacity);
    if (!map)
        return tl::unexpected(
            std::move(map.error())
                .within(fmt::format("a connection table of {} entries", capacity)));
    return map;
}

}  // namespace

std::string find_hugetlbfs(const std::string& mounts_file) {
    std::ifstream file(mounts_file);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string device, path, type, options;
        if (!(words >> device >> path >> type >> options)) continue;
        if (type == "hugetlbfs" && options.find("pagesize=2M") != std::string::npos) return path;
    }
    return "";
}

Result<shm::Mapping> open_storage(const shm::Location& where, const Options& options,
                                  Recovery& report) {
    if (auto made = where.create(); !made) return tl::unexpected(made.error());
    const uint32_t capacity = rounded_capacity(options.capacity);
    const std::string mount = find_hugetlbfs(options.mounts);
    const std::string huge = mount.empty() ? "" : huge_path(mount, where);
    const std::string ordinary = where.path("connections");
    // Connections matter more than pages: what is there is used, wherever it lies.
    for (const std::string& path : {huge, ordinary}) {
        if (path.empty()) continue;
        if (options.fresh) {
            if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(path, errno);
            continue;
        }
        auto map = shm::Mapping::open(path, shm::Mapping::Access::read_write);
        if (!map && map.error().code == Errc::not_found) continue;
        if (!map) return map;
        if (auto ok = check(*map, capacity, path); !ok) return tl::unexpected(ok.error());
        report.attached = true;
        report.path = path;
        report.huge_pages = path == huge;
        if (!report.huge_pages) ::madvise(map->data(), map->size(), MADV_HUGEPAGE);
        return map;
    }
    if (options.huge_pages != HugePages::never) {
        auto map = create_huge(mount, huge, capacity);
        if (map || options.huge_pages == HugePages::require) {
            report.path = huge;
            report.huge_pages = true;
            return map;
        }
    }
    auto map = create_ordinary(ordinary, capacity);
    report.path = ordinary;
    if (map) ::madvise(map->data(), map->size(), MADV_HUGEPAGE);
    return map;
}

}  // namespace torii::flow
