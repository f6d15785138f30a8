#include "dataplane/io/generations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temporary_directory.h"

namespace torii::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Address address(const char* text) { return *parse_address(text); }

class GenerationsTest : public testing::Test {
protected:
    GenerationsTest()
        : location_{directory_.path()},
          control_map_(std::move(*shm::open_control(location_))),
          control_(shm::control_of(control_map_)),
          generations_(location_, control_),
          current_(std::move(*Generations::empty())) {}

    static shm::ServicesDescription services_of(uint64_t number, const char* vip) {
        shm::ServicesDescription d;
        d.generation = number;
        shm::ServiceDescription s;
        s.record.address = address(vip);
        s.record.port = be16::from_host(80);
        s.record.protocol = Protocol::tcp;
        s.record.gcd = 1;
        std::snprintf(s.record.scheduler, sizeof s.record.scheduler, "rr");
        d.services.push_back(std::move(s));
        for (const auto forward : {shm::Forward::nat, shm::Forward::dr}) {
            shm::BackendDescription b;
            b.record.present = 1;
            b.record.generation = 1;
            b.record.address = address(forward == shm::Forward::nat ? "10.0.0.1" : "10.0.0.2");
            b.record.port = be16::from_host(8080);
            b.record.forward = forward;
            d.backends.push_back(b);
        }
        return d;
    }
    void publish_services(uint64_t number, const char* vip) {
        publish(number, services_of(number, vip));
    }
    void publish(uint64_t number, const shm::ServicesDescription& d) {
        auto bytes = *shm::build(d);
        ASSERT_TRUE(shm::write_immutable(location_.generation("services", number),
                                         shm::Kind::services, shm::kServicesLayout, bytes));
        control_.services_generation.store(number);
    }
    void publish_routes(uint64_t number, std::vector<shm::LocalRecord> locals = {}) {
        shm::RoutesDescription d;
        d.generation = number;
        d.locals = std::move(locals);
        auto bytes = *shm::build(d);
        ASSERT_TRUE(shm::write_immutable(location_.generation("routes", number), shm::Kind::routes,
                                         shm::kRoutesLayout, bytes));
        control_.routes_generation.store(number);
    }
    bool take() {
        complaint_.clear();
        auto next = generations_.next(current_, complaint_);
        if (next) current_ = std::move(*next);
        return next.has_value();
    }

    test::TemporaryDirectory directory_;
    shm::Location location_;
    shm::Mapping control_map_;
    shm::ControlBlock& control_;
    Generations generations_;
    Generation current_;
    std::string complaint_;
};

TEST_F(GenerationsTest, NothingPublishedIsNothingNew) {
    EXPECT_FALSE(take());
    EXPECT_EQ(complaint_, "");
    EXPECT_TRUE(current_.view->services.services.empty());
    EXPECT_FALSE(current_.view->services.is_vip(address("192.0.2.1")));
}

TEST_F(GenerationsTest, EachPartIsTakenOnceAndTheOtherKept) {
    publish_services(5, "192.0.2.10");
    ASSERT_TRUE(take()) << complaint_;
    EXPECT_EQ(current_.services.number(), 5u);
    EXPECT_TRUE(current_.view->services.is_vip(address("192.0.2.10")));
    EXPECT_FALSE(take());
    const void* services = current_.services.bytes().data();
    const uint32_t stamp = current_.view->routes_stamp;
    publish_routes(9);
    ASSERT_TRUE(take()) << complaint_;
    EXPECT_EQ(current_.services.bytes().data(), services);
    EXPECT_NE(current_.view->routes_stamp, stamp);
    EXPECT_NE(current_.view->routes_stamp, 0u);
}

TEST_F(GenerationsTest, ABrokenFileIsRefusedOnceAndTheOldOneStays) {
    publish_services(5, "192.0.2.10");
    ASSERT_TRUE(take());
    publish_services(6, "192.0.2.20");
    const std::string path = location_.generation("services", 6);
    std::filesystem::resize_file(path, std::filesystem::file_size(path) - 8);
    EXPECT_FALSE(take());
    EXPECT_THAT(complaint_, HasSubstr("services.6"));
    EXPECT_EQ(control_.refused_generation.load(), 6u);
    EXPECT_EQ(current_.services.number(), 5u);
    EXPECT_FALSE(take());
    EXPECT_EQ(complaint_, "") << "the same file is not complained about again";
    publish_services(7, "192.0.2.30");
    EXPECT_TRUE(take()) << complaint_;
    EXPECT_TRUE(current_.view->services.is_vip(address("192.0.2.30")));
}

TEST_F(GenerationsTest, EveryFlippedByteIsRefused) {
    publish_services(1, "192.0.2.10");
    ASSERT_TRUE(take()) << "intact, it is taken";
    const std::string path = location_.generation("services", 1);
    const auto size = std::filesystem::file_size(path);
    for (uint64_t at = 0, number = 2; at < size; at += 61, ++number) {
        publish_services(number, "192.0.2.10");
        std::fstream file(location_.generation("services", number),
                          std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(std::streamoff(at));
        const char byte = char(file.get() ^ 0x40);
        file.seekp(std::streamoff(at));
        file.put(byte);
        file.close();
        // Bytes 40..63 of the header are reserved; nothing reads them.
        if (at >= 40 && at < 64) continue;
        EXPECT_FALSE(take()) << "byte " << at;
        EXPECT_NE(complaint_, "");
    }
}

TEST_F(GenerationsTest, AMissingFileIsRefused) {
    control_.services_generation.store(3);
    EXPECT_FALSE(take());
    EXPECT_THAT(complaint_, HasSubstr("services.3"));
    EXPECT_EQ(control_.refused_generation.load(), 3u);
}

TEST_F(GenerationsTest, OlderFilesAreRemovedAndNothingElse) {
    publish_routes(1);
    for (uint64_t n = 3; n <= 6; ++n) publish_services(n, "192.0.2.10");
    ASSERT_TRUE(take());
    std::ofstream(location_.path("services.7.tmp")) << "being written";
    generations_.remove_older(current_);
    EXPECT_FALSE(std::filesystem::exists(location_.generation("services", 5)));
    EXPECT_TRUE(std::filesystem::exists(location_.generation("services", 6)));
    EXPECT_TRUE(std::filesystem::exists(location_.generation("routes", 1)));
    EXPECT_TRUE(std::filesystem::exists(location_.path("services.7.tmp")));
    EXPECT_TRUE(std::filesystem::exists(location_.path("control")));
}

// What pieces are for: a generation finds its services in files of earlier ones.
struct PiecesTest : GenerationsTest {
    void publish_piece(uint64_t number, std::string_view name) {
        shm::ServiceDescription d;
        d.name = name;
        auto part = *shm::part_of(d, {});
        std::vector<std::byte> piece(sizeof(shm::ObjectHeader));
        piece.insert(piece.end(), part.bytes.begin(), part.bytes.end());
        ASSERT_TRUE(shm::write_immutable(location_.generation("pieces", number), shm::Kind::pieces,
                                         shm::kServicesLayout, piece));
    }
    // Services with those names, which lie in those pieces.
    void publish(uint64_t number, std::vector<std::pair<uint64_t, std::string>> services) {
        std::vector<uint64_t> numbers;
        for (const auto& [piece, name] : services) numbers.push_back(piece);
        std::ranges::sort(numbers);
        numbers.erase(std::ranges::unique(numbers).begin(), numbers.end());
        std::vector<shm::ServiceRecord> records;
        for (const auto& [piece, name] : services) {
            shm::ServiceDescription d;
            d.name = name;
            shm::ServiceRecord r = shm::part_of(d, {})->record;
            shm::move_sections(r, sizeof(shm::ObjectHeader));
            r.mark = uint32_t(records.size()) + 1;
            std::snprintf(r.scheduler, sizeof r.scheduler, "rr");
            r.piece = uint32_t(std::ranges::find(numbers, piece) - numbers.begin()) + 1;
            r.part = {sizeof(shm::ObjectHeader), uint32_t(name.size())};
            r.gcd = 1;
            records.push_back(r);
        }
        auto root = *shm::build(shm::ServicesRoot{{}, {}, {}, records, {}, numbers});
        ASSERT_TRUE(shm::write_immutable(location_.generation("services", number),
                                         shm::Kind::services, shm::kServicesLayout, root));
        control_.services_generation.store(number);
    }
    bool there(uint64_t piece) {
        return std::filesystem::exists(location_.generation("pieces", piece));
    }
    std::string names() {
        std::string all;
        for (const auto& s : current_.view->services.services)
            all += std::string(current_.view->services.name(s)) + " ";
        return all;
    }
};

TEST_F(PiecesTest, AreSharedAndGoWithTheLastThatNamesThem) {
    publish_piece(1, "one");
    publish(1, {{1, "one"}});
    ASSERT_TRUE(take()) << complaint_;
    publish_piece(2, "two");
    publish(2, {{1, "one"}, {2, "two"}});
    ASSERT_TRUE(take()) << complaint_;
    EXPECT_EQ(names(), "one two ");
    generations_.remove_older(current_);
    EXPECT_TRUE(there(1) && there(2));
    // Mapped already: the file need not be looked at again.
    std::ofstream(location_.path("other")) << "another file";
    std::filesystem::rename(location_.path("other"), location_.generation("pieces", 2));
    publish_piece(4, "next");  // of a generation that is not published yet
    publish(3, {{2, "two"}});
    ASSERT_TRUE(take()) << complaint_;
    EXPECT_EQ(names(), "two ");
    generations_.remove_older(current_);
    EXPECT_FALSE(there(1));
    EXPECT_TRUE(there(2) && there(4));
}

TEST_F(PiecesTest, ALostOrDamagedOneIsRefusedByName) {
    publish(1, {{1, "one"}});
    EXPECT_FALSE(take());
    EXPECT_THAT(complaint_, HasSubstr("pieces.1"));
    publish_piece(2, "two");
    publish(2, {{2, "two"}});
    std::fstream file(location_.generation("pieces", 2), std::ios::in | std::ios::out);
    file.seekp(sizeof(shm::ObjectHeader));
    file.put('T');
    file.close();
    EXPECT_FALSE(take());
    EXPECT_THAT(complaint_, HasSubstr("pieces.2"));
    EXPECT_EQ(control_.refused_generation.load(), 2u);
}

TEST_F(PiecesTest, AServiceThatReachesOutOfItsPieceIsRefused) {
    publish_piece(1, "one");
    publish(1, {{1, "a longer name than there is"}});
    EXPECT_FALSE(take());
    EXPECT_THAT(complaint_, HasSubstr("service 0"));
}

TEST_F(GenerationsTest, SteeringIsServicesNatBackendsAndTheHostsOtherAddresses) {
    publish_services(1, "192.0.2.10");
    publish_routes(1, {{address("192.0.2.10"), 1}, {address("192.0.2.1"), 1}});
    ASSERT_TRUE(take()) << complaint_;
    const xdp::SteeringSet set = steering_of(*current_.view);
    EXPECT_THAT(set.services,
                ElementsAre(xdp::ServiceKey{address("192.0.2.10"), 80, Protocol::tcp}));
    EXPECT_THAT(set.vips, ElementsAre(address("192.0.2.10")));
    EXPECT_THAT(set.locals, ElementsAre(address("192.0.2.1")));
    EXPECT_THAT(set.backends,
                ElementsAre(xdp::ServiceKey{address("10.0.0.1"), 8080, Protocol::tcp}));
}

// Slot 0 is present; the others were removed.
TEST_F(GenerationsTest, SteeringKeepsRemovedNatBackendsAsLongAsConnectionsReferToThem) {
    auto d = services_of(1, "192.0.2.10");
    const auto removed = [&](const char* a, shm::Forward forward, uint32_t generation) {
        shm::BackendDescription b;
        b.record.generation = generation;
        b.record.address = address(a);
        b.record.port = be16::from_host(53);
        b.record.protocol = Protocol::udp;
        b.record.forward = forward;
        d.backends.push_back(b);
    };
    removed("10.0.0.3", shm::Forward::nat, 4);
    removed("10.0.0.4", shm::Forward::dr, 1);
    removed("10.0.0.5", shm::Forward::nat, 0);  // never anybody's
    removed("10.0.0.6", shm::Forward::nat, 1);
    removed("10.0.0.7", shm::Forward::nat, 1);  // has no counters
    publish(1, d);
    ASSERT_TRUE(take()) << complaint_;
    const stages::View& view = *current_.view;
    shm::Mapping map = *shm::Counters::create(location_, 2, 4, 6);
    const shm::Counters counters(map.data());
    EXPECT_THAT(leavers(view, counters), ElementsAre());
    for (uint32_t slot = 0; slot < 6; ++slot) counters.backends(1)[slot].active.set(1);
    EXPECT_THAT(leavers(view, counters), ElementsAre(2u, 5u));
    counters.backends(0)[2].active.set(uint64_t(-1));  // began at one worker, ended at the other
    counters.backends(0)[5].inactive.set(1);
    counters.backends(1)[5].active.set(0);
    EXPECT_THAT(leavers(view, counters), ElementsAre(5u));
    EXPECT_THAT(steering_of(view, leavers(view, counters)).backends,
                ElementsAre(xdp::ServiceKey{address("10.0.0.1"), 8080, Protocol::tcp},
                            xdp::ServiceKey{address("10.0.0.6"), 53, Protocol::udp}));
    counters.backends(0)[5].inactive.set(0);
    EXPECT_THAT(steering_of(view, leavers(view, counters)).backends,
                ElementsAre(xdp::ServiceKey{address("10.0.0.1"), 8080, Protocol::tcp}));
}

TEST_F(GenerationsTest, SteeringTakesMarkedBlocksAndErrorsAboutTunnels) {
    auto d = services_of(1, "192.0.2.10");
    shm::ServiceDescription marked;
    marked.record.address = address("0.0.0.0");
    marked.record.mark = 7;
    marked.record.slot = 1;
    marked.record.slot_generation = 1;
    marked.record.gcd = 1;
    std::memcpy(marked.record.scheduler, "rr", 3);
    d.services.push_back(marked);
    const auto rule = [](const char* block, Protocol protocol, uint16_t first, uint16_t last,
                         uint32_t mark) {
        const Prefix p = *parse_prefix(block);
        return shm::MarkRecord{p.address, p.length, protocol, first, last, 0, mark};
    };
    d.marks = {rule("203.0.113.16/28", Protocol::udp, 53, 53, 9),
               rule("203.0.113.0/24", Protocol::tcp, 80, 443, 7)};
    shm::BackendDescription b;
    b.record.address = address("10.0.0.9");
    b.record.present = 1;
    b.record.generation = 1;
    b.record.service = 1;
    d.backends.push_back(b);  // NAT
    b.record.forward = shm::Forward::tunnel;
    b.record.tunnel = {shm::TunnelType::gue, shm::TunnelChecksum::none, be16::from_host(6080)};
    d.backends.push_back(b);
    b.record.tunnel = {};
    d.backends.push_back(b);
    publish(1, d);
    ASSERT_TRUE(take()) << complaint_;
    const xdp::SteeringSet set = steering_of(*current_.view);
    EXPECT_EQ(set.services.size(), 1u);
    EXPECT_THAT(set.vips, ElementsAre(address("192.0.2.10")));
    const xdp::MarkedPorts web{Protocol::tcp, 80, 443, true}, dns{Protocol::udp, 53, 53, false};
    EXPECT_THAT(set.marks,
                ElementsAre(xdp::MarkedBlock{*parse_prefix("203.0.113.0/24"), {web}},
                            xdp::MarkedBlock{*parse_prefix("203.0.113.16/28"), {dns, web}}));
    EXPECT_THAT(set.tunnels,
                ElementsAre(xdp::ServiceKey{address("10.0.0.9"), 0, Protocol(4)},
                            xdp::ServiceKey{address("10.0.0.9"), 0, Protocol(41)},
                            xdp::ServiceKey{address("10.0.0.9"), 6080, Protocol::udp}));
    EXPECT_EQ(std::ranges::count(set.backends, address("10.0.0.9"), &xdp::ServiceKey::address), 3);
    // On the way to a generation with another block inside, nothing is let go that either takes.
    xdp::SteeringSet next;
    next.marks = {{*parse_prefix("203.0.113.128/25"), {{Protocol::sctp, 9, 9, true}}}};
    EXPECT_FALSE(same(set, next));
    const auto both = merged(set, next).marks;
    ASSERT_EQ(both.size(), 3u);
    EXPECT_EQ(both[2].destination, *parse_prefix("203.0.113.128/25"));
    EXPECT_EQ(both[2].ports.size(), 2u);
}

TEST(Steering, TwoLooksAtLeaversAreJoined) {
    EXPECT_THAT(either_of({1, 4}, {2, 4, 7}), ElementsAre(1u, 2u, 4u, 7u));
    EXPECT_THAT(either_of({}, {}), ElementsAre());
}

TEST(Steering, MergedHasBothWithoutRepetition) {
    xdp::SteeringSet a, b;
    a.vips = {address("192.0.2.1"), address("192.0.2.2")};
    b.vips = {address("192.0.2.2"), address("192.0.2.3")};
    const xdp::SteeringSet both = merged(a, b);
    EXPECT_THAT(both.vips,
                ElementsAre(address("192.0.2.1"), address("192.0.2.2"), address("192.0.2.3")));
    EXPECT_TRUE(same(both, merged(b, a)));
    EXPECT_FALSE(same(both, a));
}

TEST_F(GenerationsTest, PersistentFtpIsSteeredByEveryPort) {
    shm::ServicesDescription d = services_of(1, "192.0.2.10");
    shm::ServiceRecord& r = d.services[0].record;
    r.port = be16::from_host(21);
    for (shm::BackendDescription& b : d.backends) {
        b.record.port = r.port;
        b.record.protocol = Protocol::tcp;
        b.record.owner.port = r.port;
    }
    publish(1, d);
    ASSERT_TRUE(take()) << complaint_;
    const Address vip = address("192.0.2.10"), server = address("10.0.0.1");
    xdp::SteeringSet set = steering_of(*current_.view);
    EXPECT_THAT(set.services, ElementsAre(xdp::ServiceKey{vip, 21, Protocol::tcp}));
    r.flags = shm::kPersistent;
    publish(2, d);
    ASSERT_TRUE(take()) << complaint_;
    set = steering_of(*current_.view);
    EXPECT_THAT(set.services, ElementsAre(xdp::ServiceKey{vip, 0, Protocol::tcp},
                                          xdp::ServiceKey{vip, 21, Protocol::tcp}));
    EXPECT_THAT(set.backends, ElementsAre(xdp::ServiceKey{server, 0, Protocol::tcp},
                                          xdp::ServiceKey{server, 21, Protocol::tcp}));
}

}  // namespace
}  // namespace torii::io
