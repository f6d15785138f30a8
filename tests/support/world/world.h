#pragma once
// A balancer in memory: services, routes, a connection table, counters and one worker (or more),
// and frames that go through the whole pipeline one by one.
//
// Port 0 is the clients' side (198.51.100.0/24, 2001:db8:c::/64; 203.0.113.0/24 and 2001:db8:f::/48
// behind a router), port 1 the servers' (10.0.0.0/24, 2001:db8:b::/64). 10.7.0.0/24 lies on a
// device without a port, 10.8.0.0/24 is unreachable; neighbours not listed in world.cc are
// unresolved.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/pipeline.h"
#include "dataplane/scheduler/list_state.h"
#include "tests/support/frame.h"
#include "tests/support/temporary_directory.h"

namespace torii::test {

inline constexpr const char *kClient = "198.51.100.1", *kVip = "192.0.2.10", *kServer = "10.0.0.7",
                            *kServer2 = "10.0.0.8", *kFarClient = "203.0.113.5";
inline constexpr const char *kClient6 = "2001:db8:c::1", *kVip6 = "2001:db8:1::10",
                            *kServer6 = "2001:db8:b::7", *kFarClient6 = "2001:db8:f::5";
// Ethernet addresses: the client, port 0, the router, server 7, server 8, port 1.
inline constexpr const char *kClientMac = "02:00:00:00:00:01", *kPort0Mac = "02:00:00:00:00:02",
                            *kRouterMac = "02:00:00:00:00:03", *kServerMac = "02:00:00:00:01:07",
                            *kServer2Mac = "02:00:00:00:01:08", *kPort1Mac = "02:00:00:00:01:01";

// What the balancer is on the servers' side.
inline constexpr const char *kOurself = "10.0.0.1", *kOurself6 = "2001:db8:b::1";

/// What came out of the pipeline for one frame.
struct Sent {
    stages::Verdict verdict = stages::Verdict::open;
    bool held = false;
    uint16_t port = 0xffff;
    Bytes frame;
    std::vector<Bytes> pieces;  ///< what leaves instead of the frame when it is cut up
    stages::Packet packet;
    std::unique_ptr<std::byte[]> memory;
};

struct Room {
    uint16_t headroom = 128, tailroom = 0, port = 0;
};

class World {
public:
    explicit World(uint32_t capacity = 4096, uint32_t workers = 1);
    ~World();

    /// Index of the new service. Nothing is in force before publish().
    uint32_t service(std::string_view address, uint16_t port, Protocol = Protocol::tcp,
                     std::string_view scheduler = "rr");
    /// Slot of the new backend.
    uint32_t backend(uint32_t service, std::string_view address, uint16_t port, shm::Forward,
                     uint32_t weight = 1);
    void remove_backend(uint32_t slot);
    void restore_backend(uint32_t slot, uint32_t weight);  ///< one that was removed comes back
    void edit_backend(uint32_t slot, uint32_t weight);
    void remove_service(uint32_t index);  ///< only the last one
    void publish();

    Sent send(const Bytes& frame, Room = {}, uint32_t worker = 0);
    Sent send(const Frame& f, Room room = {}, uint32_t worker = 0) {
        return send(f.bytes(), room, worker);
    }
    /// Through the pipeline as one burst.
    std::vector<Sent> send_burst(const std::vector<Bytes>&, Room = {}, uint32_t worker = 0);
    /// Fragments that were held by this worker's table and are not any more. What send() gave back
    /// with the verdict aside and no worker to give it to must not be forgotten before.
    std::vector<Sent> released(uint32_t worker = 0);
    /// Sends the frames one by one, to the worker they are given to, and returns what came of all,
    /// in the order in which it came out; none aside.
    std::vector<Sent> send_all(const std::vector<Bytes>&, Room = {}, uint32_t worker = 0);
    bool resolve_held(Sent&);  ///< with the view in force now
    void abandon_held(Sent&);

    void pass(uint32_t milliseconds);  ///< time, timers and a quiescent point
    uint64_t count(stages::Verdict, uint32_t worker = 0) const;
    shm::Counters counters_handle() const { return counters_; }
    shm::WorkerCounters& counters(uint32_t worker = 0) const;
    shm::Row& backend_row(uint32_t slot, uint32_t worker = 0) const;
    shm::Row& service_row(uint32_t slot, uint32_t worker = 0) const;
    flow::Word word(const Sent&) const;  ///< of the connection the packet belonged to
    flow::Table::Worker& flows(uint32_t worker = 0) const { return table_->worker(worker); }
    shm::EventRing& events() { return *events_; }
    const stages::View& view() const { return *views_.back(); }
    stages::WorkerState& state(uint32_t worker = 0) { return *states_[worker]; }

    shm::RoutesDescription routes;  ///< change, then publish()
    shm::ServicesDescription services;
    flow::Tick now = 4000;  ///< always now_us in ticks
    uint64_t now_us = 1'000'000'000;

private:
    stages::Context context(uint32_t worker);
    void describe(Sent&, const stages::Packet&);

    TemporaryDirectory directory_;
    std::vector<scheduler::ListState> lists_;
    std::vector<std::unique_ptr<std::vector<std::byte>>> objects_;  // what views look into
    std::vector<std::unique_ptr<stages::View>> views_;
    shm::Mapping counters_map_;
    shm::Counters counters_;
    std::unique_ptr<flow::Table> table_;
    std::vector<std::unique_ptr<stages::WorkerState>> states_;
    std::unique_ptr<shm::EventRing> events_;
    uint32_t cut_id_ = 0;  // of the last IPv6 packet that was cut up
    std::map<void*, std::unique_ptr<std::byte[]>> aside_;  // memory of held fragments, by owner
    uint32_t stamp_ = 0, next_generation_ = 1;
};

shm::NextHop hop(std::string_view address, uint32_t ifindex, uint16_t port, std::string_view to,
                 std::string_view from, uint16_t vlan = 0, uint32_t mtu = 1500);

}  // namespace torii::test
