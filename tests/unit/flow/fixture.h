#pragma once
// A connection table in a directory of its own, and short words for tuples, lookups and raw slots.

#include <gtest/gtest.h>

#include "dataplane/flow/reader.h"
#include "dataplane/flow/table.h"
#include "tests/support/temporary_directory.h"

namespace torii::flow::test {

inline constexpr uint8_t kTcp = uint8_t(Protocol::tcp);

inline Tuple tuple4(uint32_t client, uint16_t port = 40000, uint32_t service = 0,
                    Protocol protocol = Protocol::tcp) {
    Tuple t;
    t.client = Address::v4(be32::from_host(0x0a000000u + client));
    t.virtual_address = Address::v4(be32::from_host(0xc0000201u + service));
    t.backend_address = Address::v4(be32::from_host(0x0a010001u));
    t.client_port = be16::from_host(port);
    t.virtual_port = be16::from_host(80);
    t.backend_port = be16::from_host(8080);
    t.protocol = protocol;
    return t;
}
inline Tuple tuple6(uint32_t client, uint16_t port = 40000) {
    Tuple t = tuple4(client, port);
    // The server's address looks like the word of a live entry to whoever mistakes it for one.
    const std::pair<Address*, uint8_t> addresses[] = {
        {&t.client, 0x20}, {&t.virtual_address, 0xfd}, {&t.backend_address, 0xfe}};
    for (auto& [a, first] : addresses) {
        a->bytes[0] = first;
        a->bytes[10] = a->bytes[11] = 0;
    }
    return t;
}

struct Flows {
    explicit Flows(Options o = {}, Tick now = 1000) : options(o) {
        options.huge_pages = o.huge_pages == HugePages::automatic ? HugePages::never : o.huge_pages;
        where = {directory.path() + "/test"};
        auto made = shm::Counters::create(where, options.workers, 8, 8);
        EXPECT_TRUE(made) << made.error().message;
        counter_map = std::move(*made);
        counters = shm::Counters(counter_map.data());
        if (auto ok = open(now); !ok) ADD_FAILURE() << ok.error().message;
    }
    Result<> open(Tick now = 1000) {
        table.reset();
        auto t = Table::open(where, options, counters, now, recovery);
        if (!t) return tl::unexpected(t.error());
        table = std::move(*t);
        for (uint32_t w = 0; w < options.workers; ++w) table->worker(w).online();
        return {};
    }
    Table::Worker& operator[](uint32_t w) { return table->worker(w); }
    std::string path() const { return where.path("connections"); }

    uint64_t hash(const Tuple& t) const {
        return hash_of(table->seed(), t.protocol, t.client, t.client_port);
    }
    static NewEntry entry(const Tuple& t, Tick expiry = 5000,
                          TcpState state = TcpState::established, uint16_t flags = 0) {
        NewEntry e;
        e.tuple = t;
        e.backend = 3;
        e.backend_generation = 7;
        e.service_slot = 2;
        e.state = uint8_t(state);
        e.flags = flags;
        e.expiry = expiry;
        return e;
    }
    Table::Worker::Inserted insert(const NewEntry& e, Tick now = 1000, uint32_t w = 0) {
        return table->worker(w).insert(e, hash(e.tuple), now);
    }
    Table::Worker::Inserted insert(const Tuple& t, Tick expiry = 5000, Tick now = 1000) {
        return insert(entry(t, expiry), now);
    }
    uint32_t find(const Tuple& t, uint32_t w = 0) {
        if (t.client.is_v4())
            return table->worker(w).find_request4(
                hash(t), uint8_t(t.protocol), t.client.as_v4().raw(), t.client_port.raw(),
                t.virtual_address.as_v4().raw(), t.virtual_port.raw());
        return table->worker(w).find_request6(hash(t), uint8_t(t.protocol), t.client.bytes.data(),
                                              t.client_port.raw(), t.virtual_address.bytes.data(),
                                              t.virtual_port.raw());
    }
    /// Of a template, where it is one.
    uint32_t find(const Listed& l) {
        return l.word.flags & kTemplate ? table->worker(0).find_template(l.tuple, hash(l.tuple))
                                        : find(l.tuple);
    }
    uint32_t find_reply(const Tuple& t, uint32_t w = 0) {
        if (t.client.is_v4())
            return table->worker(w).find_reply4(
                hash(t), uint8_t(t.protocol), t.client.as_v4().raw(), t.client_port.raw(),
                t.backend_address.as_v4().raw(), t.backend_port.raw());
        return table->worker(w).find_reply6(hash(t), uint8_t(t.protocol), t.client.bytes.data(),
                                            t.client_port.raw(), t.backend_address.bytes.data(),
                                            t.backend_port.raw());
    }
    Word word(uint32_t entry) { return Word::unpack(table->worker(0).head(entry).word.load()); }
    int64_t sum(shm::Counter shm::Row::*field, uint32_t backend = 3) const {
        uint64_t n = 0;
        for (uint32_t w = 0; w < options.workers; ++w)
            n += (counters.backends(w)[backend].*field).get();
        return int64_t(n);
    }
    void quiesce() {
        for (int round = 0; round < 3; ++round)
            for (uint32_t w = 0; w < options.workers; ++w) table->worker(w).quiescent();
    }
    uint64_t listed() const {
        uint64_t n = 0;
        auto reader = Reader::open(path());
        EXPECT_TRUE(reader);
        reader->each([&](const Listed&) { return ++n != 0; });
        return n;
    }

    torii::test::TemporaryDirectory directory;
    shm::Location where;
    Options options;
    shm::Mapping counter_map;
    shm::Counters counters;
    Recovery recovery;
    std::unique_ptr<Table> table;
};

/// The file's insides, for tests that imitate a writer killed half-way.
struct Raw {
    explicit Raw(const std::string& path) {
        auto m = shm::Mapping::open(path, shm::Mapping::Access::read_write);
        EXPECT_TRUE(m);
        map = std::move(*m);
        header = map.at<TableHeader>(0);
        buckets = map.at<Bucket>(header->buckets_offset);
        cells = map.at<Cell4>(header->cells_offset);
    }
    std::atomic<uint64_t>* slot_of(uint32_t cell) {
        for (uint32_t b = 0; b < header->buckets; ++b)
            for (auto& s : buckets[b].slots)
                if (slot_empty(s) ? false : slot_index(s) == cell) return &s;
        return nullptr;
    }
    std::atomic<uint64_t>* empty_slot(uint32_t bucket) {
        for (auto& s : buckets[bucket].slots)
            if (slot_empty(s)) return &s;
        return nullptr;
    }
    shm::Mapping map;
    TableHeader* header;
    Bucket* buckets;
    Cell4* cells;
};

}  // namespace torii::flow::test
