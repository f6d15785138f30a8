// ns of one lookup in bursts of 32, as a worker does them, over tables of 1 thousand to 10 million
// live connections drawn uniformly; connections made and ended per second; bytes of a connection;
// time of a recovery. Arguments are the shape of the load.

#include <benchmark/benchmark.h>

#include <memory>
#include <random>
#include <vector>

#include "dataplane/flow/table.h"
#include "tests/support/temporary_directory.h"

namespace {

using namespace torii;
using namespace torii::flow;

constexpr uint32_t kBurst = 32;
constexpr uint8_t kTcp = uint8_t(Protocol::tcp);

/// One table at its design load: as many connections as it has cells, but for the reserve.
struct World {
    explicit World(uint32_t flows) : flows_(flows) {
        where = {directory.path() + "/bench"};
        counter_map = *shm::Counters::create(where, 1, 1, 1);
        counters = shm::Counters(counter_map.data());
        options.capacity = flows + 1024;
        open();
        for (uint32_t i = 0; i < flows; ++i) insert(i);
    }
    void open() {
        table.reset();
        auto t = Table::open(where, options, counters, 1000, recovery);
        if (!t) throw std::runtime_error(t.error().message);
        table = std::move(*t);
        table->worker(0).online();
    }
    uint64_t hash(uint32_t i) const { return hash4(table->seed(), kTcp, client(i), port(i)); }
    static uint32_t client(uint32_t i) { return i * 2654435761u; }
    static uint16_t port(uint32_t i) { return uint16_t(i); }
    Table::Worker::Inserted insert(uint32_t i, Tick now = 1000) {
        NewEntry e;
        e.tuple.client = Address::v4(be32::from_raw(client(i)));
        e.tuple.virtual_address = Address::v4(be32::from_raw(kVip));
        e.tuple.backend_address = Address::v4(be32::from_raw(1));
        e.tuple.client_port = be16::from_raw(port(i));
        e.tuple.virtual_port = be16::from_raw(kPort);
        e.tuple.backend_port = be16::from_raw(kPort);
        e.tuple.protocol = Protocol::tcp;
        e.state = uint8_t(TcpState::established);
        e.expiry = now + 3600;
        return table->worker(0).insert(e, hash(i), now);
    }
    static constexpr uint32_t kVip = 0x0a000001;
    static constexpr uint16_t kPort = 80;

    uint32_t flows_;
    torii::test::TemporaryDirectory directory;
    shm::Location where;
    shm::Mapping counter_map;
    shm::Counters counters;
    Options options;
    Recovery recovery;
    std::unique_ptr<Table> table;
};

World& world(uint32_t flows) {
    static std::unique_ptr<World> last;
    if (!last || last->flows_ != flows) {
        last.reset();
        last = std::make_unique<World>(flows);
    }
    return *last;
}

void find(benchmark::State& state, bool hit, bool reply) {
    const auto flows = uint32_t(state.range(0));
    World& w = world(flows);
    const Table::Worker& worker = w.table->worker(0);
    std::mt19937 random(1);
    std::vector<uint32_t> order(1 << 20);
    for (uint32_t& i : order) i = random() % flows + (hit ? 0 : flows);
    uint64_t found = 0;
    size_t next = 0;
    for (auto _ : state) {
        const uint32_t* burst = &order[next];
        next = (next + kBurst) % order.size();
        uint64_t hashes[kBurst];
        for (uint32_t i = 0; i < kBurst; ++i) {
            hashes[i] = w.hash(burst[i]);
            worker.prefetch_bucket(hashes[i]);
        }
        for (uint64_t h : hashes) worker.prefetch_cell(h);
        for (uint32_t i = 0; i < kBurst; ++i) {
            const uint32_t c = World::client(burst[i]);
            const uint16_t p = World::port(burst[i]);
            found += (reply ? worker.find_reply4(hashes[i], kTcp, c, p, 1, World::kPort)
                            : worker.find_request4(hashes[i], kTcp, c, p, World::kVip,
                                                   World::kPort)) != kNone;
        }
    }
    const auto lookups = uint64_t(state.iterations()) * kBurst;
    if (found != (hit ? lookups : 0)) state.SkipWithError("lookups went wrong");
    state.SetItemsProcessed(int64_t(lookups));
    state.counters["ns"] = benchmark::Counter(
        double(lookups), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
void FindRequestHit(benchmark::State& s) { find(s, true, false); }
void FindReplyHit(benchmark::State& s) { find(s, true, true); }
void FindMiss(benchmark::State& s) { find(s, false, false); }

/// A connection begins and another ends; a grace period every burst; time goes on.
void InsertAndRemove(benchmark::State& state) {
    const auto flows = uint32_t(state.range(0));
    World& w = world(flows);
    Table::Worker& worker = w.table->worker(0);
    uint32_t next = flows, n = 0;
    Tick now = 1000;
    for (auto _ : state) {
        const uint32_t old = next - flows;
        const uint32_t gone = worker.find_request4(w.hash(old), kTcp, World::client(old),
                                                   World::port(old), World::kVip, World::kPort);
        if (gone != kNone) worker.remove(gone);
        if (w.insert(next, now).entry == kFull) state.SkipWithError("full");
        ++next;
        if (++n % kBurst == 0) {
            worker.quiescent();
            if (n % (1 << 16) == 0) ++now;
            worker.expire(now, 64);
            if (n % (1 << 15) == 0) w.table->housekeeping();
        }
    }
    state.SetItemsProcessed(state.iterations());
    for (uint32_t i = next - flows; i < next; ++i) {  // as it was, for the next bench
        const uint32_t e = worker.find_request4(w.hash(i), kTcp, World::client(i), World::port(i),
                                                World::kVip, World::kPort);
        if (e != kNone) worker.remove(e);
        if (i % kBurst == 0) worker.quiescent();
    }
    for (uint32_t i = 0; i < flows; ++i) {
        w.insert(i, now);
        if (i % kBurst == 0) worker.quiescent();
    }
}

void Memory(benchmark::State& state) {
    const auto flows = uint32_t(state.range(0));
    World fresh(flows);
    for (auto _ : state) benchmark::DoNotOptimize(fresh.table->used());
    const double cells = double(fresh.table->capacity());
    state.counters["shared"] = double(Table::bytes_for(fresh.table->capacity())) / cells;
    state.counters["private"] = double(fresh.table->private_bytes()) / cells;
    state.counters["bytes"] = state.counters["shared"] + state.counters["private"];
}

void Attach(benchmark::State& state) {
    World& w = world(uint32_t(state.range(0)));
    for (auto _ : state) {
        w.open();
        if (w.recovery.kept != w.flows_) state.SkipWithError("entries were lost");
    }
}

BENCHMARK(Memory)->ArgName("flows")->Arg(1 << 20)->Iterations(1);
// One table after the other: ten million connections are built once, for all benches.
const int registered = [] {
    for (int64_t flows : {1000, 65536, 1'000'000, 10'000'000}) {
        benchmark::RegisterBenchmark("FindRequestHit", FindRequestHit)
            ->ArgName("flows")
            ->Arg(flows);
        benchmark::RegisterBenchmark("FindReplyHit", FindReplyHit)->ArgName("flows")->Arg(flows);
        benchmark::RegisterBenchmark("FindMiss", FindMiss)->ArgName("flows")->Arg(flows);
        benchmark::RegisterBenchmark("InsertAndRemove", InsertAndRemove)
            ->ArgName("flows")
            ->Arg(flows);
        benchmark::RegisterBenchmark("Attach", Attach)
            ->ArgName("flows")
            ->Arg(flows)
            ->Unit(benchmark::kMillisecond);
    }
    return 0;
}();

}  // namespace
