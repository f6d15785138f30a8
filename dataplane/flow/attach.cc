// Table: opening, and what the main thread does.

#include <fmt/format.h>

#include <cstdlib>

#include "dataplane/flow/recovery.h"

namespace torii::flow {
namespace {

constexpr uint32_t kSingleReserve = 128, kPairReserve = 32;  // cells and pairs a worker keeps back

constexpr uint32_t kSpareTimers = 1024;

void clear_counts(const shm::Counters& counters) {
    const shm::CountersHeader& h = counters.header();
    for (uint32_t w = 0; w < h.workers; ++w)
        for (uint32_t b = 0; b < h.backend_slots; ++b) {
            shm::Row& row = counters.backends(w)[b];
            row.active.set(0);
            row.inactive.set(0);
            row.persistent.set(0);
        }
}

}  // namespace

Table::Table(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Table::~Table() {
    // Workers have stopped: what lies there now is what the next dataplane finds.
    impl_->header->clean.store(1, std::memory_order_release);
}

uint64_t Table::bytes_for(uint32_t capacity) {
    const uint32_t cells = rounded_capacity(capacity);
    return cells_offset_for(cells) + uint64_t(cells) * sizeof(Cell4);
}

Result<std::unique_ptr<Table>> Table::open(const shm::Location& where, const Options& options,
                                           shm::Counters counters, Tick now, Recovery& report) {
    report = {};
    if (options.workers == 0 || options.workers > counters.workers() ||
        options.workers > shm::kMaxWorkers)
        return fail(Errc::invalid, fmt::format("a connection table for {} workers, counters for {}",
                                               options.workers, counters.workers()));
    auto map = open_storage(where, options, report);
    if (!map) return tl::unexpected(map.error());

    auto impl = std::make_unique<Impl>();
    impl->map = std::move(*map);
    impl->header = impl->map.at<TableHeader>(0);
    impl->buckets = impl->map.at<Bucket>(impl->header->buckets_offset);
    impl->cells = impl->map.at<Cell4>(impl->header->cells_offset);
    impl->counters = counters;
    impl->constant_hash = options.constant_hash;
    impl->between = options.between;
    report.clean = report.attached && impl->header->clean.exchange(0) == 1;

    const uint32_t capacity = impl->header->capacity, workers = options.workers;
    impl->store = std::make_unique<CellStore>(impl->cells, capacity, workers);
    impl->grace = std::make_unique<Grace>(workers);
    // Every entry has one valid timer; the rest is for those that are outdated.
    const uint64_t wanted = uint64_t(capacity) + capacity / 4 + kSpareTimers;
    const auto timers = uint32_t(std::min<uint64_t>(wanted, 0xf0000000u));
    for (uint32_t w = 0; w < workers; ++w) {
        auto wheel = Wheel::create(timers, now);
        if (!wheel) return tl::unexpected(wheel.error());
        wheel->prepare();
        CellCache cache(*impl->store, std::clamp(capacity / (64 * workers), 1u, kSingleReserve),
                        std::clamp(capacity / (256 * workers), 1u, kPairReserve));
        impl->workers.emplace_back(new Worker(
            *impl, w,
            std::make_unique<Worker::Impl>(*impl, w, std::move(cache), std::move(*wheel))));
    }

    clear_counts(counters);
    for (Use& u : impl->header->use) {
        u.taken.store(0, std::memory_order_relaxed);
        u.given_back.store(0, std::memory_order_relaxed);
    }
    RecoveryPass(*impl, now, report).run([&](uint32_t entry) {
        // Timers are spread over workers and over the next minute, so that a million of them do
        // not fire together.
        Worker& w = *impl->workers[report.kept % workers];
        const Head& h = w.head(entry);
        const Word word = Word::unpack(h.word.load(std::memory_order_relaxed));
        const Tick reach = 1 + Tick(report.kept / workers) % kRearm;
        const Tick at = w.impl_->wheel.plan(word.expiry, now, reach);
        w.armed(entry).store(at, std::memory_order_relaxed);
        w.impl_->wheel.push(at, {entry, h.generation.load(std::memory_order_relaxed)});
        impl->workers[0]->count(h, word.flags, 1);
        impl->workers[0]->impl_->used(h.ipv6 ? 2 : 1, 0);
    });
    for (auto& w : impl->workers) w->impl_->cache.fill_reserve();
    return std::unique_ptr<Table>(new Table(std::move(impl)));
}

Table::Worker& Table::worker(uint32_t number) { return *impl_->workers.at(number); }
const Seed& Table::seed() const { return impl_->header->seed; }
uint32_t Table::capacity() const { return impl_->header->capacity; }

uint64_t Table::used() const {
    uint64_t n = 0;
    for (const Use& u : impl_->header->use)
        n += u.taken.load(std::memory_order_relaxed) - u.given_back.load(std::memory_order_relaxed);
    return n;
}

uint64_t Table::private_bytes() const {
    uint64_t n = impl_->store->private_bytes();
    for (const auto& w : impl_->workers) n += w->impl_->wheel.bytes() + sizeof(Worker::Impl);
    return n;
}

void Table::housekeeping() {
    impl_->store->rejoin();
    for (auto& w : impl_->workers) w->impl_->wheel.prepare();
}

uint64_t Table::count_free() const {
    std::vector<bool> seen(impl_->header->capacity);
    uint64_t n = 0;
    const auto visit = [&](uint32_t cell) {
        if (seen.at(cell)) std::abort();
        seen[cell] = true;
        ++n;
    };
    impl_->store->each(visit);
    for (const auto& worker : impl_->workers) {
        const Worker::Impl& w = *worker->impl_;
        w.cache.each(visit);
        const auto waiting = [&](const Waiting& list) {
            for (uint32_t c = list.head; c != kNoCell;) {
                const CellKind k = impl_->kind(c);
                visit(c);
                if (k == CellKind::pair) visit(c + 1);
                c = impl_->store->link(k, c).load();
            }
        };
        waiting(w.open);
        for (uint32_t i = 0; i < w.waiting; ++i)
            waiting(w.ring[(w.first + i) % Worker::Impl::kRing]);
    }
    return n;
}

}  // namespace torii::flow
