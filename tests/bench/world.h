#pragma once
// World: everything the pipeline of one worker works with, made without DPDK and without toriid: a
// network of one gateway (where the clients are) and many servers, a service over TCP and one over
// UDP on one virtual address, and a connection table.

#include <memory>
#include <string>
#include <vector>

#include "dataplane/pipeline.h"
#include "tests/support/temporary_directory.h"

namespace torii::bench {

struct WorldSpec {
    shm::Forward forward = shm::Forward::nat;
    bool ipv6 = false;
    std::string scheduler = "rr";
    uint32_t backends = 10;    ///< of each service
    uint32_t capacity = 1024;  ///< cells of the table; an IPv6 connection takes two
};

inline constexpr uint16_t kServicePort = 80, kBackendPort = 8080;

class World {
public:
    explicit World(const WorldSpec&);
    World(const World&) = delete;
    ~World();

    const WorldSpec& spec() const { return spec_; }
    bool huge_pages() const { return recovery_.huge_pages; }
    flow::Table::Worker& flows() { return table_->worker(0); }
    const flow::Table& table() const { return *table_; }
    shm::Counters counters() const { return shm::Counters(counters_map_.data()); }
    const stages::View& view() const { return *view_; }
    /// The surroundings of one burst at this moment.
    stages::Context now();

    const Address& virtual_address() const { return virtual_address_; }
    /// The n-th server; both services have the same ones.
    const Address& backend(uint32_t n) const { return backends_[n]; }
    /// Its backend slot, for the TCP or the UDP service.
    uint32_t slot(uint32_t n, Protocol) const;

private:
    void publish_services();
    void publish_routes();

    WorldSpec spec_;
    Address virtual_address_;
    std::vector<Address> backends_;
    test::TemporaryDirectory directory_;
    shm::Location location_;
    std::vector<std::byte> services_, routes_;
    shm::Mapping counters_map_;
    flow::Recovery recovery_;
    std::unique_ptr<flow::Table> table_;
    std::unique_ptr<stages::View> view_;
    std::unique_ptr<stages::WorkerState> state_;
};

/// Microseconds since the program began.
uint64_t now_us();
/// CPU time of this thread in nanoseconds, for measuring: what others on the machine do is not in
/// it.
uint64_t cpu_ns();

}  // namespace torii::bench
