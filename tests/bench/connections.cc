// How many connections a second one core begins: a SYN each, from choosing a server to the frame
// that is ready to leave.

#include <fmt/format.h>

#include <memory>

#include "tests/bench/cases.h"
#include "tests/bench/flows.h"
#include "tests/bench/port.h"

namespace torii::bench {
namespace {

using stages::Packet;
using stages::Verdict;

double run(MemoryPort& port, const WorldSpec& spec, uint64_t connections) {
    World world(spec);
    const FrameWriter writer(world);
    uint64_t ns = 0, packets = 0;
    while (packets < connections) {
        port.fill([&](std::byte* at, uint32_t i) {  // even flows are TCP
            return writer.write(at, flow_of(world, 2 * (packets + i)), Segment::syn);
        });
        ns += port.drain([&](std::span<Packet> burst) {
            stages::Context c = world.now();
            dataplane::run(c, burst);
            world.flows().expire(c.now, 64);
            world.flows().quiescent();
        });
        packets += kFrames;
    }
    const uint64_t forwarded = port.take(Verdict::nat_request);
    const uint64_t inserted = world.counters().worker(0).table_insertions.get();
    if (forwarded != packets || inserted != packets)
        give_up(fmt::format("{} of {} new connections were forwarded, {} put into the table",
                            forwarded, packets, inserted));
    return double(packets) * 1e9 / double(ns);
}

}  // namespace

void measure_connections(Report& report, const Effort& effort) {
    const auto port = std::make_unique<MemoryPort>();
    const auto measure = [&](const std::string& name, const char* scheduler, uint32_t backends) {
        if (!report.wants(name)) return;
        WorldSpec spec;
        spec.scheduler = scheduler;
        spec.backends = backends;
        spec.capacity = std::max(1u << 20, effort.new_connections * 2);
        std::vector<double> runs;
        for (unsigned r = 0; r < effort.runs; ++r)
            runs.push_back(run(*port, spec, effort.new_connections));
        report.add(name, "1/s", std::move(runs));
    };
    for (const char* scheduler : {"rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "dh", "mh"})
        measure(fmt::format("connections/new/{}", scheduler), scheduler, 10);
    for (const char* scheduler : {"rr", "lc", "wlc", "sed", "nq"})
        measure(fmt::format("connections/new/{}/1000", scheduler), scheduler, 1000);
}

}  // namespace torii::bench
