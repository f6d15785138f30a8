// How long a packet takes from its arrival in memory to its being ready to leave.

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <random>

#include "tests/bench/cases.h"
#include "tests/bench/flows.h"
#include "tests/bench/loop.h"
#include "tests/bench/port.h"

namespace torii::bench {
namespace {

using stages::Packet;
using stages::Verdict;

constexpr uint32_t kTimersABurst = 64;

// The ceiling: a stage that touches every frame and decides nothing.
void swap_macs(std::span<Packet> burst) {
    for (Packet& p : burst) {
        std::byte destination[6];
        std::memcpy(destination, p.data, 6);
        std::memcpy(p.data, p.data + 6, 6);
        std::memcpy(p.data + 6, destination, 6);
        p.out_port = 0;
        p.close(Verdict::direct);
    }
}

// What a worker does with a burst besides receiving and sending it.
void forward(World& world, std::span<Packet> burst) {
    stages::Context c = world.now();
    dataplane::run(c, burst);
    world.flows().expire(c.now, kTimersABurst);
    world.flows().quiescent();
}

enum class Mix : uint8_t { both, requests, replies, tcp_requests };

class Load {
public:
    Load(World& world, uint64_t flows) : world_(world), writer_(world), flows_(flows) {}

    void fill(MemoryPort& port, Mix mix) {
        port.fill([&](std::byte* at, uint32_t) {
            const bool reply = mix == Mix::replies || (mix == Mix::both && random_() % 2);
            const uint64_t flow = random_() % flows_;
            return writer_.write(at,
                                 flow_of(world_, mix == Mix::tcp_requests ? flow / 2 * 2 : flow),
                                 reply ? Segment::reply : Segment::request);
        });
    }

    /// ns/packet of one run. Every packet must have been forwarded.
    double run(MemoryPort& port, Mix mix, double seconds) {
        uint64_t ns = 0, packets = 0;
        while (double(ns) < seconds * 1e9) {
            fill(port, mix);
            ns += port.drain([&](std::span<Packet> burst) { forward(world_, burst); });
            packets += kFrames;
        }
        const bool nat = world_.spec().forward == shm::Forward::nat;
        const uint64_t forwarded =
            nat ? port.take(Verdict::nat_request) + port.take(Verdict::nat_reply)
                : port.take(Verdict::direct);
        if (forwarded != packets)
            give_up(fmt::format("only {} of {} packets were forwarded", forwarded, packets));
        return double(ns) / double(packets);
    }

    double ceiling(MemoryPort& port, double seconds) {
        uint64_t ns = 0, packets = 0;
        for (; double(ns) < seconds * 1e9; packets += kFrames) {
            fill(port, Mix::requests);
            ns += port.drain(swap_macs);
        }
        port.take(Verdict::direct);
        return double(ns) / double(packets);
    }

    /// The same frames through the least there is; see BareLoop.
    double loop(MemoryPort& port, BareLoop& loop, double seconds) {
        uint64_t ns = 0, packets = 0;
        for (; double(ns) < seconds * 1e9; packets += kFrames) {
            fill(port, Mix::requests);
            ns += port.drain(loop);
        }
        port.take(Verdict::nat_request);
        return double(ns) / double(packets);
    }

private:
    World& world_;
    FrameWriter writer_;
    uint64_t flows_;
    std::mt19937_64 random_{1};
};

constexpr uint32_t kDefaultCapacity = 1u << 20;
constexpr uint64_t kFlows[] = {1'000, 65'000, 1'000'000, 10'000'000};

std::string name_of(const WorldSpec& spec, uint64_t flows, const char* part) {
    return fmt::format("pipeline/{}/{}/flows={}{}",
                       spec.forward == shm::Forward::nat ? "nat" : "dr",
                       spec.ipv6 ? "ipv6" : "ipv4", flows, part);
}

void measure_one(Report& report, const Effort& effort, MemoryPort& port, WorldSpec spec,
                 uint64_t flows) {
    struct Case {
        const char* part;
        Mix mix;
        std::string name;
        std::vector<double> runs;
    };
    std::vector<Case> cases;
    // A direct-routed server answers its client itself: there are no replies.
    if (spec.forward == shm::Forward::nat)
        cases = {{"", Mix::both, "", {}},
                 {"/requests", Mix::requests, "", {}},
                 {"/replies", Mix::replies, "", {}},
                 {"/requests/tcp", Mix::tcp_requests, "", {}}};
    else
        cases = {{"", Mix::requests, "", {}}};
    for (Case& c : cases) c.name = name_of(spec, flows, c.part);
    std::erase_if(cases, [&](const Case& c) { return !report.wants(c.name); });
    const bool looped = !spec.ipv6 && spec.forward == shm::Forward::nat;
    const std::string loop = fmt::format("ceiling/loop/flows={}", flows),
                      macswap = "ceiling/macswap";
    // Asked for alone, macswap is measured once: what it costs does not depend on the flows.
    const bool ceilings =
        looped && (report.wants(loop) || (flows == kFlows[0] && report.wants(macswap)));
    if (cases.empty() && !ceilings) return;

    // The table an operator would have for so many: the default one, or one nine tenths full.
    const uint64_t cells = flows * (spec.ipv6 ? 2 : 1);
    spec.capacity = uint32_t(std::max<uint64_t>(kDefaultCapacity, cells * 10 / 9));
    World world(spec);
    establish(world, flows);
    Load load(world, flows);
    std::optional<BareLoop> bare;
    if (looped) bare.emplace(world, flows);
    for (Case& c : cases) load.run(port, c.mix, effort.seconds / 2);  // warm up
    // Cases and ceiling take turns, so that a neighbour's noise hits them alike.
    for (unsigned r = 0; r < effort.runs; ++r) {
        for (Case& c : cases) c.runs.push_back(load.run(port, c.mix, effort.seconds));
        report.also(macswap, "ns/packet", load.ceiling(port, effort.seconds / 10));
        if (bare) report.also(loop, "ns/packet", load.loop(port, *bare, effort.seconds / 4));
    }
    for (Case& c : cases) report.add(c.name, "ns/packet", std::move(c.runs));
}

}  // namespace

void measure_pipeline(Report& report, const Effort& effort) {
    const auto port = std::make_unique<MemoryPort>();
    for (const shm::Forward forward : {shm::Forward::nat, shm::Forward::dr})
        for (const bool ipv6 : {false, true})
            for (const uint64_t flows : kFlows) {
                WorldSpec spec;
                spec.forward = forward;
                spec.ipv6 = ipv6;
                measure_one(report, effort, *port, spec, flows);
            }
}

}  // namespace torii::bench
