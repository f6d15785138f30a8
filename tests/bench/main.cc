// torii-bench: what the packet path costs, without DPDK, network card or root. See
// docs/performance.md for how to read the figures.

#include <fmt/format.h>
#include <getopt.h>
#include <sched.h>

#include <cstdlib>
#include <fstream>

#include "tests/bench/cases.h"

namespace {

constexpr const char* kUsage =
    "Usage: torii-bench [--quick] [--only REGEX] [--runs N] [--core N] [--json FILE]\n";

void pin(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (::sched_setaffinity(0, sizeof set, &set) != 0)
        torii::bench::give_up(fmt::format("cannot run on core {}", core));
}

}  // namespace

int main(int argc, char** argv) {
    constexpr option kOptions[] = {
        {"quick", no_argument, nullptr, 'q'},      {"only", required_argument, nullptr, 'o'},
        {"runs", required_argument, nullptr, 'r'}, {"core", required_argument, nullptr, 'c'},
        {"json", required_argument, nullptr, 'j'}, {nullptr, 0, nullptr, 0}};
    torii::bench::Effort effort;
    std::string only, json;
    int core = -1;
    for (int o; (o = ::getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) switch (o) {
            case 'q':
                effort = torii::bench::kQuick;
                break;
            case 'o':
                only = optarg;
                break;
            case 'r':
                effort.runs = unsigned(std::max(1, std::atoi(optarg)));
                break;
            case 'c':
                core = std::atoi(optarg);
                break;
            case 'j':
                json = optarg;
                break;
            default:
                fmt::print(stderr, "{}", kUsage);
                return 2;
        }
    if (core >= 0) pin(core);
    fmt::print("{:<44} {:>14} {:<10} {:>14} {:>14} {:>4}\n", "name", "median", "unit", "min", "max",
               "runs");
    torii::bench::Report report(only);
    torii::bench::measure_memory(report, effort);
    torii::bench::measure_pipeline(report, effort);
    torii::bench::measure_connections(report, effort);
    report.finish();
    if (!json.empty() && !(std::ofstream(json) << report.json()))
        torii::bench::give_up("cannot write " + json);
    return 0;
}
