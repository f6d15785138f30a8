// FragmentTable against a plain model: bytes in a set, packets in a list. Random fragments of a few
// datagrams, in any order, with overlaps, duplicates and lies; below the limits, which have tests
// of their own.

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

#include "dataplane/stages/fragment_table.h"

namespace torii::stages {
namespace {

using Kind = Decision::Kind;

struct Model {
    struct Datagram {
        std::set<uint32_t> units;
        uint32_t end = 0, top = 0;
        Kind kind = Kind::pending;
        uint32_t entry = 0;
        uint64_t since = 0;
        std::vector<uint16_t> held;
    };
    std::map<uint32_t, Datagram> all;
    std::multiset<std::string> released;

    void let_go(Datagram& d, const std::string& how) {
        for (uint16_t n : d.held) released.insert(std::to_string(n) + how);
        d.held.clear();
    }
    void refuse(Datagram& d, uint64_t now) {
        if (d.kind == Kind::pending) d.since = now;
        d.kind = Kind::ended;
        let_go(d, "refused");
    }
    static bool whole(const Datagram& d) { return d.end != 0 && d.units.size() == (d.end + 7) / 8; }
    Verdict place(const Fragment& f, uint64_t now) {
        if (f.length == 0 || f.header + f.offset + f.length > 65535 || (f.more && f.length % 8))
            return Verdict::drop_fragment_length;
        if (!all.contains(f.key.id)) all[f.key.id].since = now;
        Datagram& d = all[f.key.id];
        const uint32_t end = f.offset + f.length;
        std::set<uint32_t> units;
        for (uint32_t u = f.offset / 8; u * 8 < end; ++u) units.insert(u);
        size_t there = 0;
        for (uint32_t u : units) there += d.units.count(u);
        const bool lies =
            (d.end && (end > d.end || (!f.more && end != d.end))) || (!f.more && end < d.top);
        if (!lies && there == units.size()) return Verdict::drop_fragment_duplicate;
        if (lies || there != 0) {
            refuse(d, now);
            return Verdict::drop_fragment_overlap;
        }
        d.units.merge(units);
        d.top = std::max(d.top, end);
        if (!f.more) d.end = end;
        return Verdict::open;
    }
    void expire(uint64_t now) {
        for (auto it = all.begin(); it != all.end();) {
            Datagram& d = it->second;
            const uint64_t most = d.kind == Kind::pending ? FragmentTable::kPatienceUs
                                                          : FragmentTable::kTimeoutUs;
            const bool over = now - d.since >= most;
            if (over) let_go(d, "timeout");
            it = over ? all.erase(it) : std::next(it);
        }
    }
};

class Comparison {
public:
    explicit Comparison(uint32_t seed) : random_(seed), table_(kSeed, 1024) {}

    void step(int n) {
        now_ += random_() % 100'000;
        table_.expire(now_, 1000);
        model_.expire(now_);
        Fragment f;
        f.key.source = f.key.destination = Address::v4(be32::from_host(0x0a000001));
        f.key.id = random_() % 8;
        f.header = 20;
        f.offset = random_() % 6 * (random_() % 4 ? 64 : 8192);
        f.length = random_() % 3 ? 64 : random_() % 600;
        f.more = random_() % 4 != 0;
        const Verdict want = model_.place(f, now_);
        const auto got = table_.place(f, hash_of(kSeed, f.key), now_);
        ASSERT_EQ(info(got.verdict).name, info(want).name);
        if (want == Verdict::open) follow(f, got, uint16_t(n));
        compare();
    }

private:
    static constexpr flow::Seed kSeed{77, 99};

    void follow(const Fragment& f, const FragmentTable::Placed& got, uint16_t n) {
        Model::Datagram& d = model_.all[f.key.id];
        ASSERT_EQ(got.decision.kind, d.kind);
        if (f.offset == 0) {
            Decision first;
            first.kind = random_() % 4 ? Kind::connection : Kind::ended;
            first.verdict = Verdict::drop_fragment_refused;
            first.entry = d.entry = n;
            table_.settle(got.datagram, first, now_);
            if (d.kind == Kind::pending) {
                d.since = now_;
                d.kind = first.kind;
                model_.let_go(d, first.kind == Kind::ended ? "refused" : ">" + std::to_string(n));
            }
        } else if (d.kind == Kind::pending) {
            Packet p;
            p.length = n;
            ASSERT_TRUE(table_.hold(got.datagram, p));
            d.held.push_back(n);
        } else if (d.kind == Kind::connection) {
            ASSERT_EQ(got.decision.entry, d.entry);
        }
        if (d.kind != Kind::pending && Model::whole(d)) model_.all.erase(f.key.id);
    }

    void compare() {
        std::multiset<std::string> got;
        while (const auto* r = table_.take()) {
            const std::string n = std::to_string(r->packet.length);
            if (r->decision.kind == Kind::connection)
                got.insert(n + ">" + std::to_string(r->decision.entry));
            else
                got.insert(n + (r->decision.verdict == Verdict::drop_fragment_timeout ? "timeout"
                                                                                      : "refused"));
        }
        ASSERT_EQ(got, model_.released);
        model_.released.clear();
        ASSERT_EQ(table_.datagrams(), model_.all.size());
        size_t held = 0;
        for (const auto& [id, d] : model_.all) held += d.held.size();
        ASSERT_EQ(table_.held(), held);
    }

    std::mt19937 random_;
    FragmentTable table_;
    Model model_;
    uint64_t now_ = 1'000'000'000;
};

TEST(FragmentModel, SaysTheSameOfRandomFragments) {
    for (uint32_t seed = 1; seed <= 40; ++seed) {
        Comparison run(seed);
        for (int n = 0; n < 1000 && !testing::Test::HasFatalFailure(); ++n) run.step(n);
        ASSERT_FALSE(testing::Test::HasFatalFailure()) << "seed " << seed;
    }
}

}  // namespace
}  // namespace torii::stages
