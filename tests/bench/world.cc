#include "tests/bench/world.h"

#include <fmt/format.h>
#include <unistd.h>
#include <x86intrin.h>

#include <ctime>

#include "dataplane/flow/reader.h"
#include "dataplane/scheduler/consistent.h"
#include "dataplane/scheduler/list_state.h"
#include "tests/bench/results.h"

namespace torii::bench {
namespace {

template <class T>
T must(torii::Result<T> r) {
    if (!r) give_up(r.error().message);
    return std::move(*r);
}

Address address(const std::string& text) { return must(parse_address(text)); }

template <class T>
std::vector<std::byte> bytes_of(std::span<const T> items) {
    const auto b = std::as_bytes(items);
    return {b.begin(), b.end()};
}

uint64_t read_clock(clockid_t clock) {
    timespec t;
    ::clock_gettime(clock, &t);
    return uint64_t(t.tv_sec) * 1'000'000'000 + uint64_t(t.tv_nsec);
}
uint64_t now_ns() { return read_clock(CLOCK_MONOTONIC); }

// The time-stamp counter costs less than the system's clock, and a worker reads it too.
struct Clock {
    uint64_t tsc = __rdtsc();
    double ns_per_tsc = calibrate();
    static double calibrate() {
        const uint64_t from_tsc = __rdtsc(), from_ns = now_ns();
        while (now_ns() - from_ns < 20'000'000) {
        }
        return double(now_ns() - from_ns) / double(__rdtsc() - from_tsc);
    }
    uint64_t passed_ns() const { return uint64_t(double(__rdtsc() - tsc) * ns_per_tsc); }
};
const Clock kClock;
const flow::Tick kFirstTick = flow::tick_now();

shm::NextHop hop(const Address& a, uint32_t device, uint8_t mac) {
    shm::NextHop h{};
    h.address = a;
    h.ifindex = device;
    h.port = uint16_t(device - 1);
    h.destination = Mac{{2, 0, 0, 0, mac, 1}};
    h.source = Mac{{2, 0, 0, 0, mac, 2}};
    h.mtu = 1500;
    h.resolved = 1;
    return h;
}

}  // namespace

uint64_t cpu_ns() { return read_clock(CLOCK_THREAD_CPUTIME_ID); }
uint64_t now_us() { return 1 + kClock.passed_ns() / 1000; }

World::World(const WorldSpec& spec) : spec_(spec), location_{directory_.path() + "/bench"} {
    must(location_.create().map([] { return 0; }));
    virtual_address_ = address(spec.ipv6 ? "2001:db8:a::10" : "203.0.113.10");
    for (uint32_t n = 0; n < spec.backends; ++n)
        backends_.push_back(address(spec.ipv6 ? fmt::format("2001:db8:b::{:x}", n + 1)
                                              : fmt::format("10.0.{}.{}", n / 250, n % 250 + 1)));
    counters_map_ = must(shm::Counters::create(location_, 1, 16, 2 * spec.backends));
    flow::Options options;
    options.capacity = spec.capacity;
    table_ = must(flow::Table::open(location_, options, counters(), flow::tick_now(), recovery_));
    flows().online();
    publish_services();
    publish_routes();
    view_ = must(stages::View::make(must(shm::Services::view(services_)),
                                    must(shm::Routes::view(routes_)), 1));
    state_ = std::make_unique<stages::WorkerState>(table_->seed(), 16, 2 * spec.backends, 64);
}

World::~World() {
    flows().offline();
    table_.reset();
    ::unlink(recovery_.path.c_str());  // on huge pages it is not in our directory
}

stages::Context World::now() {
    const uint64_t us = now_us();
    return {*view_, flows(), *state_, counters(), 0, kFirstTick + flow::Tick(us / 250'000),
            us,     nullptr};
}

uint32_t World::slot(uint32_t n, Protocol p) const {
    return n + (p == Protocol::udp ? spec_.backends : 0);
}

void World::publish_services() {
    shm::ServicesDescription d;
    d.generation = 1;
    const scheduler::Scheduler* scheduler = scheduler::find_scheduler(spec_.scheduler);
    if (!scheduler) give_up("no scheduler is called " + spec_.scheduler);
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp}) {
        scheduler::ListState list;
        shm::ServiceDescription s;
        for (uint32_t n = 0; n < spec_.backends; ++n) {
            const uint32_t weight = 1 + n % 3;
            list.add(slot(n, protocol), weight);
            shm::BackendDescription b;
            b.record.address = backend(n);
            b.record.port =
                be16::from_host(spec_.forward == shm::Forward::nat ? kBackendPort : kServicePort);
            b.record.forward = spec_.forward;
            b.record.present = 1;
            b.record.generation = 1;
            b.record.service = uint32_t(d.services.size());
            b.record.weight = weight;
            d.backends.push_back(b);
        }
        const std::vector<scheduler::Target> targets = list.targets();
        s.targets = bytes_of<scheduler::Target>(targets);
        s.changes = bytes_of<scheduler::Change>(list.changes());
        s.target_size = sizeof(scheduler::Target);
        s.change_size = sizeof(scheduler::Change);
        s.table.resize(scheduler->table_size);
        std::vector<Endpoint> ends;
        for (const auto& t : targets) {
            const shm::BackendRecord& b = d.backends[t.backend].record;
            ends.push_back({b.address, b.port.host()});
        }
        if (scheduler->build) scheduler->build(targets, ends, s.table);
        if (spec_.forward == shm::Forward::dr) s.consistent = scheduler::build_consistent(targets);
        s.record.address = virtual_address();
        s.record.port = be16::from_host(kServicePort);
        s.record.protocol = protocol;
        s.record.slot = uint32_t(d.services.size());
        s.record.slot_generation = 1;
        spec_.scheduler.copy(s.record.scheduler, sizeof s.record.scheduler - 1);
        s.record.max_weight = list.max_weight();
        s.record.gcd = list.gcd();
        s.record.change_seq = list.change_seq();
        d.services.push_back(std::move(s));
    }
    services_ = must(shm::build(d));
}

void World::publish_routes() {
    shm::RoutesDescription d;
    d.generation = 1;
    const std::string any = spec_.ipv6 ? "::/0" : "0.0.0.0/0";
    const std::string inside = spec_.ipv6 ? "2001:db8:b::/64" : "10.0.0.0/16";
    const Address gateway = address(spec_.ipv6 ? "2001:db8:f::1" : "192.0.2.1");
    shm::NextHop device = hop(Address{}, 2, 0);
    device.resolved = 0;
    d.routes.push_back({must(parse_prefix(any)), shm::RouteKind::gateway, {hop(gateway, 1, 1)}});
    d.routes.push_back({must(parse_prefix(inside)), shm::RouteKind::connected, {device}});
    for (uint32_t n = 0; n < spec_.backends; ++n)
        d.neighbours.push_back(hop(backend(n), 2, uint8_t(2 + n)));
    d.port_addresses.resize(4);
    routes_ = must(shm::build(d));
}

}  // namespace torii::bench
