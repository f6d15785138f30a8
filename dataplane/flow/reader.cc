#include "dataplane/flow/reader.h"

#include <fmt/format.h>
#include <time.h>

#include "dataplane/flow/table.h"

namespace torii::flow {
namespace {

constexpr int kTries = 4;

/// Copies one or two cells; every piece is loaded with acquire, see entry.h.
void copy(uint64_t* to, const Cell4* from, size_t words) {
    const auto* source = reinterpret_cast<const uint64_t*>(from);
    for (size_t i = 0; i < words; ++i) to[i] = __atomic_load_n(source + i, __ATOMIC_ACQUIRE);
}

Listed decode(const uint64_t* copied) {
    const auto& c4 = *reinterpret_cast<const Cell4*>(copied);
    const Head& h = c4.head;
    Listed l{{},
             Word::unpack(copied[0]),
             h.backend,
             h.backend_generation,
             h.service_slot,
             shm::Forward(h.forward),
             bool(h.persistent)};
    Tuple& t = l.tuple;
    if (h.ipv6) {
        const auto& c6 = *reinterpret_cast<const Cell6*>(copied);
        t.client = Address::v6(c6.client);
        t.virtual_address = Address::v6(c6.virtual_address);
        t.backend_address = Address::v6(c6.backend_address);
    } else {
        t.client = Address::v4(be32::from_raw(c4.client));
        t.virtual_address = Address::v4(be32::from_raw(c4.virtual_address));
        t.backend_address = Address::v4(be32::from_raw(c4.backend_address));
    }
    t.client_port = be16::from_raw(h.client_port);
    t.virtual_port = be16::from_raw(h.virtual_port);
    t.backend_port = be16::from_raw(h.backend_port);
    t.protocol = Protocol(h.protocol);
    if (l.word.flags & kVoid) t.virtual_port = t.backend_port = be16::from_host(0xffff);  // as LVS
    return l;
}

}  // namespace

Result<Reader> Reader::open(const std::string& path) {
    auto map = shm::Mapping::open(path, shm::Mapping::Access::read_only, false);
    if (!map) return tl::unexpected(map.error());
    auto ok = shm::verify(*map, shm::Kind::connections, kConnectionsLayout, path, false);
    if (!ok) return tl::unexpected(ok.error());
    const auto& h = *map->at<TableHeader>(0);
    if (map->size() < kTableHeaderSize || h.capacity != rounded_capacity(h.capacity) ||
        h.cells_offset != cells_offset_for(h.capacity) ||
        map->size() < Table::bytes_for(h.capacity))
        return fail(Errc::layout, fmt::format("{}: its dimensions do not fit its size", path));
    return Reader(std::move(*map));
}

uint32_t Reader::capacity() const { return map_.at<TableHeader>(0)->capacity; }
uint32_t Reader::buckets() const { return map_.at<TableHeader>(0)->buckets; }
uint64_t Reader::used() const {
    uint64_t n = 0;
    for (const Use& u : map_.at<TableHeader>(0)->use)
        n += u.taken.load(std::memory_order_relaxed) - u.given_back.load(std::memory_order_relaxed);
    return n;
}

void Reader::each(const std::function<bool(const Listed&)>& visit) const {
    bool more = true;
    for (uint32_t from = 0; more && from < capacity();)
        from = some(from, 4096, [&](const Listed& l) { return more = visit(l); });
}

uint32_t Reader::some(uint32_t from, uint32_t cells,
                      const std::function<bool(const Listed&)>& visit) const {
    const auto* first = map_.at<Cell4>(map_.at<TableHeader>(0)->cells_offset);
    const uint32_t all = capacity();
    const uint32_t end = from >= all ? all : from + std::min(cells, all - from);
    for (uint32_t c = from; c < end; ++c) {
        const Head& h = first[c].head;
        for (int attempt = 0; attempt < kTries; ++attempt) {
            const uint64_t word = h.word.load(std::memory_order_acquire);
            const uint32_t generation = h.generation.load(std::memory_order_acquire);
            if (Phase(word & 3) != Phase::live) break;
            alignas(64) uint64_t copied[16];
            copy(copied, first + c, c % 2 == 0 ? 16 : 8);
            if (h.generation.load(std::memory_order_acquire) != generation ||
                h.word.load(std::memory_order_acquire) != word)
                continue;
            copied[0] = word;
            if (reinterpret_cast<const Head*>(copied)->ipv6 && c % 2 != 0) break;  // not whole
            if (!visit(decode(copied))) return c + 1;
            break;
        }
    }
    return end >= all ? all : end;
}

Tick tick_now() {
    timespec t;
    ::clock_gettime(CLOCK_BOOTTIME, &t);
    return Tick(t.tv_sec) * kTicksPerSecond +
           Tick(uint64_t(t.tv_nsec) * kTicksPerSecond / 1'000'000'000u);
}

}  // namespace torii::flow
