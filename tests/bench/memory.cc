// What a connection costs in memory, all in: what the process maps and what it allocates, as the
// kernel counts it, before and after.

#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/bench/cases.h"
#include "tests/bench/flows.h"

namespace torii::bench {
namespace {

constexpr uint32_t kCapacity = 1u << 20;
constexpr double kLoad = 0.99;  // of the cells: a worker keeps a few back

// Resident memory of this process, private and shared, on ordinary and on huge pages. Files of
// shared memory are mapped whole and pre-faulted.
uint64_t resident_bytes() {
    std::ifstream file("/proc/self/smaps_rollup");
    uint64_t kilobytes = 0;
    for (std::string key; file >> key;) {
        uint64_t n = 0;
        if (key == "Rss:" || key == "Shared_Hugetlb:" || key == "Private_Hugetlb:") {
            file >> n;
            kilobytes += n;
        }
    }
    return kilobytes * 1024;
}

double bytes_per_connection() {
    const uint64_t before = resident_bytes();
    WorldSpec spec;
    spec.capacity = kCapacity;
    World world(spec);
    const auto connections = uint64_t(kCapacity * kLoad);
    establish(world, connections);
    return double(resident_bytes() - before) / double(connections);
}

// In a process of its own, so that memory that others have freed is not used again.
double measured_apart() {
    int ends[2];
    if (::pipe(ends) != 0) give_up("no pipe");
    const pid_t child = ::fork();
    if (child < 0) give_up("no process");
    if (child == 0) {
        const double bytes = bytes_per_connection();
        ::_exit(::write(ends[1], &bytes, sizeof bytes) == sizeof bytes ? 0 : 1);
    }
    ::close(ends[1]);
    double bytes = 0;
    const bool whole = ::read(ends[0], &bytes, sizeof bytes) == sizeof bytes;
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!whole || status != 0) give_up("memory/connection could not be measured");
    return bytes;
}

}  // namespace

void measure_memory(Report& report, const Effort&) {
    if (!report.wants("memory/connection")) return;
    std::vector<double> runs;
    for (int r = 0; r < 3; ++r) runs.push_back(measured_apart());
    report.add("memory/connection", "bytes", std::move(runs));
}

}  // namespace torii::bench
