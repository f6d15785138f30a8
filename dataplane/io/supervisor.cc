#include "dataplane/io/supervisor.h"

#include <fmt/format.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "dataplane/flow/reader.h"
#include "dataplane/io/eal.h"
#include "dataplane/io/ethdev.h"
#include "dataplane/io/log.h"

namespace torii::io {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Counter rows for services; toriid hands the numbers out. A service without any backend of its own
// is rare, so there are about as many as backends.
uint32_t service_slots(const config::Dataplane& d) {
    return uint32_t(std::clamp<uint64_t>(d.backends, 1'024, 65'536));
}

constexpr uint32_t kDatagrams = 4096;  // in pieces and known at once, by all workers
constexpr int kNapMs = 20;
constexpr auto kHousekeeping = milliseconds(100);
constexpr auto kStalled = std::chrono::seconds(1);
constexpr auto kLookAtLeavers = std::chrono::seconds(1);

flow::HugePages wish(config::Hugepages h) {
    switch (h) {
        case config::Hugepages::never:
            return flow::HugePages::never;
        case config::Hugepages::require:
            return flow::HugePages::require;
        case config::Hugepages::automatic:
            break;
    }
    return flow::HugePages::automatic;
}

template <size_t N>
void copy_text(char (&to)[N], const std::string& from) {
    std::memset(to, 0, N);
    std::memcpy(to, from.data(), std::min(from.size(), N - 1));
}

std::vector<const PortFacts*> facts_of(const std::vector<std::unique_ptr<Port>>& ports) {
    std::vector<const PortFacts*> facts;
    for (const auto& p : ports) facts.push_back(&p->facts());
    return facts;
}

}  // namespace

Result<> Supervisor::start() {
    const bool made_directory = !std::filesystem::exists(location_.directory);
    auto lock = shm::Lock::acquire(location_, "dataplane", std::chrono::seconds(2));
    if (!lock) return tl::unexpected(lock.error());
    lock_.emplace(std::move(*lock));
    auto started = start_all();
    if (!started) undo(made_directory);
    return started;
}

// A start that fails leaves the machine as it was; but what keeps packets of services from the
// kernel since a former run stays, and so do its connections.
void Supervisor::undo(bool made_directory) {
    stop_workers();
    for (auto& port : ports_) port->give_up();
    ports_.clear();
    std::error_code error;
    if (table_ && !recovery_.attached) std::filesystem::remove(recovery_.path, error);
    if (made_directory && !shm::Lock::held(location_, "toriid"))
        std::filesystem::remove_all(location_.directory, error);
}

Result<> Supervisor::start_all() {
    const config::Config& c = prepared_.config;
    if (auto ok = attach(); !ok) return ok;
    EalRequest request{c.instance, c.dataplane.hugepages, false, "", prepared_.memory.bytes()};
    for (const config::Port& p : c.dataplane.ports)
        if (p.driver == config::Driver::pci) {
            request.pci = true;
            request.devices += (request.devices.empty() ? "" : ",") + p.device;
        }
    const auto huge = start_eal(request);
    if (!huge) return tl::unexpected(huge.error());
    const auto pool = make_pool(prepared_.memory, worker_count());
    if (!pool) return tl::unexpected(pool.error());
    pool_ = *pool;
    spdlog::info("event=packet_memory packets={} room={} mib={} huge_pages={}",
                 prepared_.memory.packets, prepared_.memory.room, prepared_.memory.bytes() >> 20,
                 *huge ? "yes" : "no");
    if (auto ok = open_ports(); !ok) return ok;
    return start_workers();
}

Result<> Supervisor::attach() {
    auto control_map = shm::open_control(location_);
    if (!control_map) return tl::unexpected(control_map.error());
    control_map_ = std::move(*control_map);
    auto standby = shm::open_standby(location_);
    if (!standby) return tl::unexpected(standby.error());
    standby_map_ = std::move(*standby);
    control().ready.store(0, std::memory_order_release);
    auto counted =
        shm::Counters::create(location_, worker_count(), service_slots(prepared_.config.dataplane),
                              uint32_t(prepared_.config.dataplane.backends));
    if (!counted) return tl::unexpected(counted.error());
    counters_map_ = std::move(*counted);
    auto events = shm::create_events(location_, worker_count());
    if (!events) return tl::unexpected(events.error());
    events_map_ = std::move(*events);
    if (auto ok = open_table(); !ok) return ok;

    generations_.emplace(location_, control());
    auto nothing = Generations::empty();
    if (!nothing) return tl::unexpected(nothing.error());
    in_force_ = std::move(*nothing);
    std::string complaint;
    if (auto published = generations_->next(in_force_, complaint))
        in_force_ = std::move(*published);
    if (!complaint.empty())
        spdlog::error("event=generation_refused message={}", in_quotes(complaint));
    // A services generation that could not be read says nothing about what to steer: the guard of a
    // former run stays as it is.
    steering_known_ = in_force_.services.number() != 0 ||
                      control().services_generation.load(std::memory_order_acquire) == 0;
    leavers_ = former_leavers_ = leavers(*in_force_.view, counters());
    steering_ = steering_of(*in_force_.view, leavers_);
    return {};
}

Result<> Supervisor::open_table() {
    const config::Dataplane& d = prepared_.config.dataplane;
    flow::Options options;
    options.capacity = uint32_t(d.connections);
    options.workers = worker_count();
    options.huge_pages = wish(d.hugepages);
    options.fresh = fresh_table_;
    auto table = flow::Table::open(location_, options, shm::Counters(counters_map_.data()),
                                   flow::tick_now(), recovery_);
    if (!table) {
        if (table.error().code == Errc::layout)
            return tl::unexpected(Error{
                Errc::layout,
                table.error().message + ": start with --fresh-table to discard its connections"});
        return tl::unexpected(table.error());
    }
    table_ = std::move(*table);
    const flow::Recovery& r = recovery_;
    spdlog::info(
        "event={} kept={} expired={} half_written={} orphaned={} duplicates={} path={} "
        "capacity={} huge_pages={}",
        r.attached ? "table_attached" : "table_created", r.kept, r.expired, r.half_written,
        r.orphaned, r.duplicates, r.path, table_->capacity(), r.huge_pages ? "yes" : "no");
    return {};
}

Result<> Supervisor::open_ports() {
    const auto& wanted = prepared_.config.dataplane.ports;
    for (uint16_t i = 0; i < wanted.size(); ++i) {
        PortRequest request{&wanted[i],     i,     prepared_.plans[i],
                            worker_count(), pool_, steering_known_ ? &steering_ : nullptr};
        auto port = driver_of(wanted[i].driver).open(request);
        if (!port) return tl::unexpected(port.error());
        ports_.push_back(std::move(*port));
        const PortFacts& f = ports_.back()->facts();
        spdlog::info(
            "event=port_opened port={} driver={} interface={} mac={} mtu={} receive_queues={} "
            "transmit_queues={}",
            f.name, config::to_string(f.driver), in_quotes(f.interface), to_string(f.mac), f.mtu,
            f.receive.size(), f.transmit.size());
    }
    steered_ = steering_known_;
    auto kernel =
        KernelPath::open({prepared_.config.instance, facts_of(ports_), worker_count(), pool_});
    if (!kernel) return tl::unexpected(kernel.error());
    kernel_ = std::move(*kernel);
    describe_ports();
    return {};
}

void Supervisor::describe_ports() {
    shm::ControlBlock& c = control();
    c.port_count = uint32_t(ports_.size());
    for (size_t i = 0; i < ports_.size(); ++i) {
        const PortFacts& f = ports_[i]->facts();
        shm::PortInfo& info = c.ports[i];
        copy_text(info.name, f.name);
        copy_text(info.interface, f.interface);
        info.ifindex = interface_index(f.interface);
        info.mac = f.mac;
        info.queues = uint16_t(f.receive.size());
        info.mtu = f.mtu;
        info.driver = uint32_t(f.driver);
    }
    copy_text(c.table_path, recovery_.path);
    c.workers.store(worker_count(), std::memory_order_relaxed);
    c.ports_epoch.fetch_add(1, std::memory_order_release);
}

Result<> Supervisor::start_workers() {
    const auto facts = facts_of(ports_);
    queues_.emplace(facts, worker_count());
    auto handover = Handover::open(worker_count());
    if (!handover) return tl::unexpected(handover.error());
    handover_ = std::move(*handover);
    const config::Dataplane& d = prepared_.config.dataplane;
    for (unsigned w = 0; w < worker_count(); ++w) {
        Worker::Setup setup;
        setup.number = w;
        setup.core = prepared_.cores[w];
        setup.receive = queues_->receive_of(w);
        setup.transmit = queues_->transmit_of(w);
        setup.longest_sleep_ns = uint64_t(d.idle.count()) * 1'000;
        setup.table = table_.get();
        setup.counters = counters();
        setup.events = &shm::ring_of(events_map_, w);
        setup.kernel = kernel_.get();
        setup.handover = handover_.get();
        setup.standby = &shm::standby_of(standby_map_);
        setup.fragments = kDatagrams / worker_count();
        setup.service_slots = service_slots(d);
        setup.backend_slots = uint32_t(d.backends);
        workers_.push_back(std::make_unique<Worker>(std::move(setup)));
    }
    for (auto& worker : workers_) worker->start(in_force_.view.get());
    wait_settled();
    shm::ControlBlock& c = control();
    c.services_in_force.store(in_force_.services.number(), std::memory_order_release);
    c.routes_in_force.store(in_force_.routes->number, std::memory_order_release);
    c.ready.store(1, std::memory_order_release);
    generations_->remove_older(in_force_);
    spdlog::info("event=forwarding workers={} services_generation={} routes_generation={}",
                 worker_count(), in_force_.services.number(), in_force_.routes->number);
    return {};
}

void Supervisor::run(int stop_fd) {
    ::sd_notify(0, "READY=1");
    auto housekeeping = steady_clock::now(), looked_at_leavers = housekeeping;
    pollfd stop_signal{stop_fd, POLLIN, 0};
    // net_tap sends itself signals, so an interrupted poll() says nothing.
    while (::poll(&stop_signal, 1, 0) <= 0) {
        const uint32_t seen = control().published.load(std::memory_order_acquire);
        look_for_generation();
        if (const auto now = steady_clock::now(); now - housekeeping >= kHousekeeping) {
            housekeeping = now;
            table_->housekeeping();
            if (now - looked_at_leavers >= kLookAtLeavers) {
                looked_at_leavers = now;
                look_at_leavers();
            }
        }
        shm::wait_published(control(), seen, kNapMs);
    }
    ::sd_notify(0, "STOPPING=1");
}

void Supervisor::look_for_generation() {
    std::string complaint;
    auto next = generations_->next(in_force_, complaint);
    if (!complaint.empty())
        spdlog::error("event=generation_refused message={}", in_quotes(complaint));
    if (next) put_in_force(std::move(*next));
}

// Nothing that either generation wants reaches the kernel on the way from one to the other. What
// the next one removes may get connections until every worker has passed to it.
void Supervisor::put_in_force(Generation next) {
    steering_known_ = steering_known_ || next.services.number() != 0;
    const auto before = leavers(*next.view, counters());
    const xdp::SteeringSet wanted = steering_of(*next.view, before);
    if (!same(wanted, steering_)) steer(merged(steering_, wanted));
    for (auto& worker : workers_) worker->use(next.view.get());
    wait_settled();
    std::swap(in_force_, next);  // the former one is taken apart when everybody knows
    leavers_ = either_of(before, leavers(*in_force_.view, counters()));
    former_leavers_ = leavers_;
    steer(leavers_ == before ? wanted : steering_of(*in_force_.view, leavers_));
    shm::ControlBlock& c = control();
    c.services_in_force.store(in_force_.services.number(), std::memory_order_release);
    c.routes_in_force.store(in_force_.routes->number, std::memory_order_release);
    generations_->remove_older(in_force_);
    spdlog::debug("event=in_force services_generation={} routes_generation={}",
                  in_force_.services.number(), in_force_.routes->number);
}

// Gives the replies of removed backends back to the kernel once their connections have ended, which
// is so when two looks find none.
void Supervisor::look_at_leavers() {
    if (leavers_.empty()) return;
    auto now = leavers(*in_force_.view, counters());
    leavers_ = either_of(former_leavers_, now);
    former_leavers_ = std::move(now);
    steer(steering_of(*in_force_.view, leavers_));
}

void Supervisor::steer(const xdp::SteeringSet& set) {
    if (!steering_known_ || (steered_ && same(set, steering_))) return;
    steering_ = set;
    steered_ = true;
    for (auto& port : ports_)
        if (auto ok = port->steer(set); !ok)
            spdlog::error("event=steering_failed port={} message={}", port->facts().name,
                          in_quotes(ok.error().message));
}

void Supervisor::wait_settled() {
    const auto began = steady_clock::now();
    bool told = false;
    while (!std::ranges::all_of(workers_, &Worker::settled)) {
        if (!told && steady_clock::now() - began > kStalled) {
            spdlog::error(
                "event=worker_stalled message=\"a worker does not come back; both "
                "generations are kept until it does\"");
            told = true;
        }
        ::poll(nullptr, 0, 1);
    }
}

void Supervisor::stop_workers() {
    if (control_map_) control().ready.store(0, std::memory_order_release);
    for (auto& worker : workers_) worker->use(nullptr);
    for (auto& worker : workers_) worker->join();
    workers_.clear();
    handover_.reset();
    kernel_.reset();
}

void Supervisor::stop() {
    stop_workers();
    for (auto& port : ports_) port->stop();
    ports_.clear();
    // DPDK is not shut down: it would close the AF_XDP devices, and they would detach the program
    // that keeps packets of services from the kernel. The process's end frees everything else.
    spdlog::info("event=stopped");
}

}  // namespace torii::io
