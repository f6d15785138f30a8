// A model: whatever sequence of reloads, commands, words by hand and flaps comes, the short way
// (remembered steps, shared services, pieces of former generations) gives the same tables and the
// same generation as computing everything afresh.
#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <set>

#include "control/commands.h"
#include "control/compiler.h"
#include "control/health/apply.h"
#include "control/manual.h"
#include "control/publisher.h"
#include "dataplane/shm/services_file.h"
#include "tests/support/temporary_directory.h"

namespace torii::control {
namespace {

using health::HealthState;

constexpr size_t kServices = 12, kServers = 8;

// Nothing that is known of before survives: every service is a new one.
Desired copied(const Desired& d) {
    Desired out{d.timeouts, d.behaviour, d.marks, {}};
    for (const Service& s : d.services) out.services.push_back(s);
    return out;
}

class World {
public:
    explicit World(uint32_t seed) : random_(seed) {
        reload();
        machine_ = {[](const Address&) { return false; }, [](std::string_view) { return true; }};
    }

    void step() {
        switch (pick(8)) {
            case 0:
                reload();
                break;
            case 1:
            case 2:
            case 3:
                command();
                break;
            case 4:
                say_by_hand();
                break;
            default:
                flap();
        }
        // Only who may get connections has more of them than before.
        for (uint32_t i = 0; i < tables_.slots.backends.size(); ++i) {
            const BackendSlot& b = tables_.slots.backends[i];
            const bool open = b.present || b.removed_in > facts_.in_force;
            if (i >= used_.size()) used_.resize(i + 1);
            used_[i].references = open || used_[i].references != 0 ? pick(3) == 0 : 0;
            used_[i].counted.connections += pick(100);
        }
        ++facts_.generation;
        facts_.in_force =
            std::max(facts_.in_force,
                     facts_.generation - 1 - std::min<uint64_t>(pick(3), facts_.generation - 1));
        facts_.now += pick(1000);
        facts_.backend = [this](uint32_t i) { return i < used_.size() ? used_[i] : Usage{}; };
        facts_.service = facts_.backend;
        now_ += std::chrono::milliseconds(pick(20000));
    }

    // The two ways. `again`: the dataplane or toriid started anew in between.
    void compare(bool again) {
        const Desired edited = apply_edits(file_, edits_, edits_memory_);
        ASSERT_EQ(edited, apply_edits(copied(file_), edits_));
        const Desired said = apply_manual(edited, manual_, manual_memory_);
        ASSERT_EQ(said, apply_manual(copied(edited), manual_));
        const auto quick = apply_health(said, health_, now_, health_memory_);
        const auto slow = apply_health(copied(said), health_, now_);
        ASSERT_EQ(quick.desired, slow.desired);
        ASSERT_EQ(quick.again, slow.again);
        ASSERT_EQ(quick.changes.size(), slow.changes.size());
        remember(health_, quick.changes);

        ASSERT_EQ(difference(tables_.desired, quick.desired),
                  difference(copied(tables_.desired), copied(slow.desired)));
        auto next = plan(tables_, quick.desired, facts_);
        ASSERT_TRUE(next) << next.error().message;
        Tables afresh = tables_;
        afresh.desired = copied(tables_.desired);
        auto other = plan(afresh, slow.desired, facts_);
        ASSERT_TRUE(other);
        ASSERT_EQ(next->desired, other->desired);
        ASSERT_EQ(next->slots, other->slots);
        tables_ = std::move(*next);
        check_slots();
        publish(again);
    }

private:
    uint32_t pick(uint32_t n) { return uint32_t(random_() % n); }
    ServiceKey key(uint32_t n) {
        if (n == 0) return ServiceKey::of_mark(7);
        return {*parse_address("192.0.2." + std::to_string(n)), 80, Protocol::tcp};
    }
    Endpoint server(uint32_t n) { return *parse_endpoint("10.0.0." + std::to_string(n) + ":80"); }

    Service service(uint32_t n) {
        constexpr std::string_view kSchedulers[] = {"rr", "wrr", "sh", "mh", "wlc"};
        Service s;
        s.key = key(n);
        s.name = "s" + std::to_string(n);
        s.scheduler = kSchedulers[pick(std::size(kSchedulers))];
        s.drain = pick(2) * 30;
        for (uint32_t i = 1; i <= kServers; ++i)
            if (pick(2)) s.destinations.push_back(destination(i));
        return s;
    }
    Destination destination(uint32_t n) {
        Destination d;
        d.key = server(n);
        d.name = pick(2) ? "web" + std::to_string(n) : "";
        d.weight = uint16_t(pick(4));
        d.upper = pick(3);
        d.forward = pick(2) ? shm::Forward::nat : shm::Forward::dr;
        return d;
    }

    // Some services are as they were, some others, some new, in another order now and then.
    void reload() {
        std::vector<Service> all;
        for (uint32_t n = 0; n < kServices; ++n) {
            const Service* was = find(file_, key(n));
            if (was != nullptr && pick(4) != 0)
                all.push_back(*was);
            else if (pick(3) != 0)
                all.push_back(service(n));
        }
        if (pick(4) == 0) std::ranges::shuffle(all, random_);
        Desired next;
        next.timeouts.udp = 300 + pick(2);
        next.services = std::move(all);
        edits_ = keep_beside(next, edits_);
        file_ = std::move(next);
        index_ = FileIndex(file_);
        // Another plan of checks goes with it.
        HealthState health;
        for (const Service& s : file_.services) {
            if (s.key.mark != 0 || pick(4) == 0) continue;
            health::ServiceHealth& h = health.services[s.key].edit();
            h.quorum.up = pick(3);
            h.inhibit = pick(2);
            if (pick(3) == 0) h.sorry = server(100);
            if (pick(3) == 0) h.slow_start = std::chrono::seconds(10);
            for (const Destination& d : s.destinations) h.servers[d.key].up = pick(3) != 0;
        }
        health_ = std::move(health);
    }

    void command() {
        std::vector<api::IpvsCommand> commands;
        for (uint32_t n = 1 + pick(4); n > 0; --n) {
            api::IpvsCommand c;
            constexpr api::Verb kVerbs[] = {api::Verb::add_service,    api::Verb::edit_service,
                                            api::Verb::delete_service, api::Verb::add_server,
                                            api::Verb::add_server,     api::Verb::add_server,
                                            api::Verb::edit_server,    api::Verb::edit_server,
                                            api::Verb::delete_server,  api::Verb::delete_server};
            c.verb = pick(60) == 0 ? api::Verb::clear : kVerbs[pick(std::size(kVerbs))];
            api::ServiceName name;
            const ServiceKey k = key(pick(kServices + 3));
            if (k.mark != 0)
                name.mark = k.mark;
            else
                name.endpoint = {k.address, k.port};
            c.service = name;
            c.rule.scheduler = pick(2) ? "wlc" : "rr";
            c.server = server(1 + pick(kServers + 2));
            c.server_rule.weight = pick(4);
            c.server_rule.forward = pick(2) ? "nat" : "dr";
            commands.push_back(std::move(c));
        }
        edits_ = run(file_, index_, edits_, commands, machine_).edits;
    }

    void say_by_hand() {
        constexpr ManualState kStates[] = {ManualState::up, ManualState::drain, ManualState::down};
        const auto next = say(manual_, {"10.0.0." + std::to_string(1 + pick(kServers)), ""},
                              kStates[pick(3)], file_);
        if (!next) return;
        manual_ = *next;
        manual_memory_.clear();
    }

    void flap() {
        for (auto& [k, h] : health_.services) {
            if (pick(4) != 0 || h->servers.empty()) continue;
            auto server = std::next(h.edit().servers.begin(), pick(uint32_t(h->servers.size())));
            server->second.up = !server->second.up;
            server->second.changed = now_;
        }
    }

    void check_slots() {
        std::vector<uint32_t> absent;
        for (uint32_t i = 0; i < tables_.slots.backends.size(); ++i)
            if (!tables_.slots.backends[i].present) absent.push_back(i);
        ASSERT_EQ(*tables_.slots.absent, absent);
        std::set<uint32_t> owned;
        for (const Service& s : tables_.desired.services) {
            const auto& list = *tables_.lists.at(s.key);
            ASSERT_EQ(list.size(), s.destinations.size());
            for (const uint32_t slot : slots_of(s, list, tables_.slots)) {
                ASSERT_TRUE(owned.insert(slot).second) << "two servers have one slot";
                ASSERT_EQ(tables_.slots.backends[slot].service, s.key);
            }
        }
        ASSERT_EQ(owned.size() + absent.size(), tables_.slots.backends.size());
        ASSERT_EQ(tables_.lists.size(), tables_.desired.services.size());
    }

    void publish(bool again) {
        const uint64_t number = publisher_.next_services();
        auto object = compiler_.next(tables_, number);
        ASSERT_TRUE(object) << object.error().message;
        const auto published = publisher_.services(object->root, object->piece);
        ASSERT_TRUE(published) << published.error().message;
        publisher_.remove_superseded();
        if (again) in_force_ = {};
        auto file = shm::ServicesFile::open(location_, publisher_.next_services() - 1, &in_force_);
        ASSERT_TRUE(file) << file.error().message;
        in_force_ = std::move(*file);
        const auto view = in_force_.view();
        ASSERT_TRUE(view) << view.error().message;
        ASSERT_LE(in_force_.pieces().size(), Compiler::kMostPieces);
        same_as_afresh(*view);
        if (!again) return;
        // A toriid that starts anew finds the tables, and nothing to publish.
        const auto recovered = recover(*view);
        ASSERT_TRUE(recovered) << recovered.error().message;
        ASSERT_EQ(recovered->slots.absent, tables_.slots.absent);
        for (size_t i = 0; i < tables_.slots.backends.size(); ++i)
            if (tables_.slots.backends[i].present) {
                ASSERT_EQ(recovered->slots.backends[i], tables_.slots.backends[i]) << i;
            }
        compiler_ = {};
        compiler_.resume(in_force_, *view);
        object = compiler_.next(tables_, publisher_.next_services());
        ASSERT_TRUE(object);
        ASSERT_TRUE(object->piece.empty());
        ASSERT_FALSE(*publisher_.services(object->root, object->piece));
    }

    // What the generation says, beside a whole one made of the same tables.
    void same_as_afresh(const shm::Services& is) {
        const auto bytes = shm::build(compile(tables_));
        ASSERT_TRUE(bytes) << bytes.error().message;
        const auto whole = shm::Services::view(*bytes);
        ASSERT_TRUE(whole) << whole.error().message;
        ASSERT_EQ(is.services.size(), whole->services.size());
        ASSERT_EQ(is.backends.size(), whole->backends.size());
        ASSERT_EQ(is.header->flags, whole->header->flags);
        ASSERT_EQ(is.header->timeouts, whole->header->timeouts);
        for (size_t i = 0; i < is.services.size(); ++i) {
            const shm::ServiceRecord &a = is.services[i], &b = whole->services[i];
            ASSERT_EQ(is.name(a), whole->name(b));
            same<scheduler::Target>(is, a, a.targets, *whole, b, b.targets);
            same<uint32_t>(is, a, a.table, *whole, b, b.table);
            same<uint32_t>(is, a, a.consistent, *whole, b, b.consistent);
            same<scheduler::Change>(is, a, a.changes, *whole, b, b.changes);
            const auto rest = [](shm::ServiceRecord r) {
                for (auto* s : {&r.targets, &r.table, &r.consistent, &r.changes, &r.name, &r.part})
                    *s = {};
                r.piece = 0;
                return r;
            };
            const auto x = rest(a), y = rest(b);
            ASSERT_EQ(std::memcmp(&x, &y, sizeof x), 0) << "record of service " << i;
        }
        for (size_t i = 0; i < is.backends.size(); ++i) {
            shm::BackendRecord a = is.backends[i], b = whole->backends[i];
            if (a.present && b.present) {
                ASSERT_EQ(is.name(a), whole->name(b)) << i;
            }
            a.name = b.name = {};
            ASSERT_EQ(std::memcmp(&a, &b, sizeof a), 0) << "record of backend slot " << i;
        }
    }
    template <class T>
    void same(const shm::Services& x, const shm::ServiceRecord& a, const shm::Section& s,
              const shm::Services& y, const shm::ServiceRecord& b, const shm::Section& t) {
        ASSERT_TRUE(std::ranges::equal(x.section<T>(a, s), y.section<T>(b, t)));
    }

    std::mt19937 random_;
    Desired file_;
    FileIndex index_{file_};
    Edits edits_;
    Machine machine_;
    Manual manual_;
    HealthState health_;
    EditsMemory edits_memory_;
    ManualMemory manual_memory_;
    health::HealthMemory health_memory_;
    Tables tables_;
    SlotFacts facts_;
    std::vector<Usage> used_;
    health::TimePoint now_{std::chrono::hours(1)};
    test::TemporaryDirectory directory_;
    shm::Location location_{directory_.path()};
    shm::Mapping control_{*shm::open_control(location_)};
    Publisher publisher_{location_, shm::control_of(control_)};
    Compiler compiler_;
    shm::ServicesFile in_force_;
};

TEST(Incremental, AnySequenceGivesWhatComputingAfreshGives) {
    for (uint32_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        World world(seed);
        for (int n = 0; n < 150; ++n) {
            SCOPED_TRACE("step " + std::to_string(n));
            world.step();
            world.compare(n % 10 == 9);
            if (testing::Test::HasFatalFailure()) return;
        }
    }
}

Desired with_weight(uint32_t services, uint32_t touched, uint16_t weight) {
    Desired d;
    for (uint32_t n = 0; n < services; ++n) {
        Service s;
        s.key = ServiceKey::of_mark(n + 1);
        s.scheduler = "rr";
        Destination to;
        to.key = *parse_endpoint("10.0.0.1:80");
        to.weight = n == touched ? weight : 1;
        s.destinations.push_back(to);
        d.services.push_back(std::move(s));
    }
    return d;
}

TEST(Compiler, WritesOnlyWhatChangedAndPutsPiecesTogetherWhenThereAreMany) {
    Compiler compiler;
    Tables t;
    uint64_t number = 0;
    size_t most = 0;
    const auto next = [&](const Desired& d) {
        ++number;
        t = *plan(t, d, {.generation = number, .in_force = number - 1});
        auto object = *compiler.next(t, number);
        most = std::max(most, shm::pieces_of(object.root).size());
        return object;
    };
    const auto all = next(with_weight(1000, 0, 1));
    EXPECT_EQ(shm::pieces_of(all.root), (std::vector<uint64_t>{1}));
    const auto one = next(with_weight(1000, 5, 2));
    EXPECT_LT(one.piece.size() * 100, all.piece.size());
    EXPECT_EQ(shm::pieces_of(one.root), (std::vector<uint64_t>{1, 2}));
    EXPECT_TRUE(next(with_weight(1000, 5, 2)).piece.empty());
    for (uint32_t n = 0; n < 2 * Compiler::kMostPieces; ++n) next(with_weight(1000, n, 3));
    EXPECT_EQ(most, Compiler::kMostPieces);
}

}  // namespace
}  // namespace torii::control
