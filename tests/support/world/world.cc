#include "tests/support/world/world.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "dataplane/scheduler/consistent.h"
#include "dataplane/stages/cut.h"
#include "dataplane/stages/patrol.h"
#include "dataplane/stages/stages.h"

namespace torii::test {
namespace {

constexpr uint32_t kSlots = 128, kDatagrams = 256;
constexpr uint32_t kClientsIf = 10, kServersIf = 11, kNowhereIf = 12;

template <class T>
T must(Result<T> r) {
    if (r) return std::move(*r);
    std::fprintf(stderr, "world: %s\n", r.error().message.c_str());
    std::abort();
}

void route(shm::RoutesDescription& d, std::string_view prefix, shm::RouteKind kind,
           std::vector<shm::NextHop> hops = {}) {
    d.routes.push_back({must(parse_prefix(prefix)), kind, std::move(hops)});
}

template <class T>
std::vector<std::byte> raw(std::span<const T> values) {
    const auto bytes = std::as_bytes(values);
    return {bytes.begin(), bytes.end()};
}

// What the host is on the link of each port.
Address local_on(uint16_t port, std::string_view neighbour) {
    constexpr const char* kLocals[2][2] = {{"198.51.100.2", "2001:db8:c::2"},
                                           {kOurself, kOurself6}};
    if (port > 1) return {};
    return must(parse_address(kLocals[port][neighbour.find(':') != neighbour.npos]));
}

}  // namespace

shm::NextHop hop(std::string_view address, uint32_t ifindex, uint16_t port, std::string_view to,
                 std::string_view from, uint16_t vlan, uint32_t mtu) {
    shm::NextHop h{};
    if (!address.empty()) h.address = must(parse_address(address));
    h.ifindex = ifindex;
    h.port = port;
    h.vlan = vlan;
    h.mtu = mtu;
    if (!to.empty()) h.destination = must(parse_mac(to));
    if (!from.empty()) h.source = must(parse_mac(from));
    h.local = local_on(port, address);
    h.resolved = !to.empty();
    return h;
}

World::World(uint32_t capacity, uint32_t workers) {
    using shm::RouteKind;
    const shm::NextHop clients = hop("", kClientsIf, 0, "", kPort0Mac),
                       servers = hop("", kServersIf, 1, "", kPort1Mac),
                       nowhere = hop("", kNowhereIf, shm::kNoPort, "", "");
    const shm::NextHop router = hop("198.51.100.254", kClientsIf, 0, kRouterMac, kPort0Mac),
                       router6 = hop("2001:db8:c::fe", kClientsIf, 0, kRouterMac, kPort0Mac);
    route(routes, "198.51.100.0/24", RouteKind::connected, {clients});
    route(routes, "2001:db8:c::/64", RouteKind::connected, {clients});
    route(routes, "203.0.113.0/24", RouteKind::gateway, {router});
    route(routes, "2001:db8:f::/48", RouteKind::gateway, {router6});
    route(routes, "10.0.0.0/24", RouteKind::connected, {servers});
    route(routes, "2001:db8:b::/64", RouteKind::connected, {servers});
    route(routes, "10.7.0.0/24", RouteKind::connected, {nowhere});
    route(routes, "10.8.0.0/24", RouteKind::unreachable);
    route(routes, "198.51.100.2/32", RouteKind::local);
    routes.neighbours = {hop(kClient, kClientsIf, 0, kClientMac, kPort0Mac),
                         hop(kClient6, kClientsIf, 0, kClientMac, kPort0Mac),
                         hop(kServer, kServersIf, 1, kServerMac, kPort1Mac),
                         hop(kServer2, kServersIf, 1, kServer2Mac, kPort1Mac),
                         hop(kServer6, kServersIf, 1, kServerMac, kPort1Mac)};
    routes.locals = {{must(parse_address("198.51.100.2")), kClientsIf},
                     {must(parse_address(kOurself)), kServersIf},
                     {must(parse_address(kOurself6)), kServersIf}};
    routes.port_addresses = {must(parse_address("198.51.100.2")),
                             must(parse_address("2001:db8:c::2")), must(parse_address(kOurself)),
                             Address{}};
    services.backends.resize(0);

    const shm::Location at{directory_.path()};
    must(shm::Counters::create(at, workers, kSlots, kSlots).map([&](shm::Mapping m) {
        counters_map_ = std::move(m);
        return 0;
    }));
    counters_ = shm::Counters(counters_map_.data());
    flow::Recovery recovery;
    flow::Options options;
    options.capacity = capacity;
    options.workers = workers;
    options.huge_pages = flow::HugePages::never;
    table_ = must(flow::Table::open(at, options, counters_, now, recovery));
    for (uint32_t w = 0; w < workers; ++w)
        states_.push_back(
            std::make_unique<stages::WorkerState>(table_->seed(), kSlots, kSlots, kDatagrams));
    events_ = std::make_unique<shm::EventRing>();
    publish();
}
World::~World() = default;

uint32_t World::service(std::string_view address, uint16_t port, Protocol protocol,
                        std::string_view scheduler) {
    shm::ServiceDescription s;
    s.record.address = must(parse_address(address));
    s.record.port = be16::from_host(port);
    s.record.protocol = protocol;
    s.record.slot = uint32_t(services.services.size());
    s.record.slot_generation = next_generation_++;
    std::memcpy(s.record.scheduler, scheduler.data(), scheduler.size());
    s.target_size = sizeof(scheduler::Target);
    s.change_size = sizeof(scheduler::Change);
    services.services.push_back(std::move(s));
    lists_.emplace_back();
    return uint32_t(services.services.size() - 1);
}

uint32_t World::backend(uint32_t service, std::string_view address, uint16_t port,
                        shm::Forward forward, uint32_t weight) {
    shm::BackendDescription b;
    b.record.address = must(parse_address(address));
    b.record.port = be16::from_host(port);
    b.record.forward = forward;
    b.record.present = 1;
    b.record.generation = next_generation_++;
    b.record.service = service;
    b.record.weight = weight;
    services.backends.push_back(b);
    const auto slot = uint32_t(services.backends.size() - 1);
    lists_[service].add(slot, weight);
    return slot;
}

void World::remove_backend(uint32_t slot) {
    lists_[services.backends[slot].record.service].remove(slot);
    services.backends[slot].record.present = 0;  // as the control process leaves it
}
void World::restore_backend(uint32_t slot, uint32_t weight) {
    services.backends[slot].record.present = 1;
    services.backends[slot].record.weight = weight;
    lists_[services.backends[slot].record.service].add(slot, weight);
}
void World::edit_backend(uint32_t slot, uint32_t weight) {
    services.backends[slot].record.weight = weight;
    lists_[services.backends[slot].record.service].edit(slot, weight);
}
void World::remove_service(uint32_t index) {
    for (auto& b : services.backends)
        if (b.record.present && b.record.service == index) b.record = {};
    services.services.pop_back();
    lists_.pop_back();
}

void World::publish() {
    for (size_t i = 0; i < services.services.size(); ++i) {
        shm::ServiceDescription& s = services.services[i];
        const scheduler::ListState& list = lists_[i];
        const auto targets = list.targets();
        const auto* row = scheduler::find_scheduler(s.record.scheduler);
        s.targets = raw(std::span<const scheduler::Target>(targets));
        s.changes = raw(list.changes());
        s.record.change_seq = list.change_seq();
        s.record.version = list.version();
        s.record.max_weight = list.max_weight();
        s.record.gcd = list.gcd();
        std::vector<Endpoint> ends;
        for (const scheduler::Target& t : targets) {
            const shm::BackendRecord& b = services.backends[t.backend].record;
            ends.push_back({b.address, b.port.host()});
        }
        s.table = row ? scheduler::build_table(*row, targets, ends) : std::vector<uint32_t>{};
        s.consistent.clear();
        const bool nat = !targets.empty() &&
                         services.backends[targets[0].backend].record.forward == shm::Forward::nat;
        if (!nat) s.consistent = scheduler::build_consistent(targets);
    }
    objects_.push_back(std::make_unique<std::vector<std::byte>>(must(shm::build(services))));
    const auto s = must(shm::Services::view(*objects_.back()));
    objects_.push_back(std::make_unique<std::vector<std::byte>>(must(shm::build(routes))));
    const auto r = must(shm::Routes::view(*objects_.back()));
    views_.push_back(must(stages::View::make(s, r, ++stamp_)));
}

stages::Context World::context(uint32_t worker) {
    return {view(), table_->worker(worker), *states_[worker], counters_, worker, now,
            now_us, events_.get()};
}

std::vector<Sent> World::send_burst(const std::vector<Bytes>& frames, Room room, uint32_t worker) {
    std::vector<Sent> sent(frames.size());
    std::vector<stages::Packet> burst(frames.size());
    for (size_t i = 0; i < frames.size(); ++i) {
        // Exactly the frame and its room, on the heap: the sanitizer sees every step outside.
        const size_t n = frames[i].size();
        sent[i].memory = std::make_unique<std::byte[]>(room.headroom + n + room.tailroom);
        burst[i].data = sent[i].memory.get() + room.headroom;
        if (n) std::memcpy(burst[i].data, frames[i].data(), n);
        burst[i].length = uint16_t(n);
        burst[i].headroom = room.headroom;
        burst[i].tailroom = room.tailroom;
        burst[i].in_port = room.port;
        burst[i].owner = sent[i].memory.get();
    }
    stages::Context c = context(worker);
    dataplane::run(c, burst);
    for (size_t i = 0; i < frames.size(); ++i) {
        describe(sent[i], burst[i]);
        if (sent[i].verdict == stages::Verdict::aside && burst[i].give_to == stages::kNobody)
            aside_[burst[i].owner] = std::move(sent[i].memory);
    }
    return sent;
}

void World::describe(Sent& s, const stages::Packet& p) {
    s.packet = p;
    s.verdict = p.verdict;
    s.held = p.held;
    s.port = p.out_port;
    s.frame.assign(p.data, p.data + p.length);
    if (p.cut_to == 0 || stages::info(p.verdict).outcome != stages::Outcome::forwarded) return;
    const stages::CutPlan plan = stages::plan_cut(p, ++cut_id_);
    for (uint16_t i = 0; i < plan.count; ++i) {
        s.pieces.emplace_back(stages::piece_length(plan, i));
        stages::write_piece(p, plan, i, s.pieces.back().data());
    }
}

std::vector<Sent> World::released(uint32_t worker) {
    std::vector<Sent> out;
    stages::Context c = context(worker);
    std::vector<stages::Packet> burst(dataplane::kMaxBurst);
    while (const size_t n = dataplane::release_fragments(c, burst)) {
        dataplane::account_released(c, std::span(burst).first(n));
        for (size_t i = 0; i < n; ++i) {
            describe(out.emplace_back(), burst[i]);
            const auto kept = aside_.find(burst[i].owner);
            out.back().memory = std::move(kept->second);
            aside_.erase(kept);
        }
    }
    return out;
}

std::vector<Sent> World::send_all(const std::vector<Bytes>& frames, Room room, uint32_t worker) {
    std::vector<Sent> out;
    const auto take = [&](Sent s, uint32_t on) {
        if (s.verdict != stages::Verdict::aside) out.push_back(std::move(s));
        for (Sent& r : released(on)) out.push_back(std::move(r));
    };
    for (const Bytes& frame : frames) {
        Sent s = send(frame, room, worker);
        const uint16_t other = s.packet.give_to;
        if (other == stages::kNobody)
            take(std::move(s), worker);
        else
            take(send(frame, room, other), other);
    }
    return out;
}

Sent World::send(const Bytes& frame, Room room, uint32_t worker) {
    return std::move(send_burst({frame}, room, worker)[0]);
}

bool World::resolve_held(Sent& s) {
    stages::Context c = context(0);
    const bool done = dataplane::resolve_held(c, s.packet);
    s.verdict = s.packet.verdict;
    s.held = s.packet.held;
    s.port = s.packet.out_port;
    s.frame.assign(s.packet.data, s.packet.data + s.packet.length);
    return done;
}

void World::abandon_held(Sent& s) {
    stages::Context c = context(0);
    dataplane::abandon_held(c, s.packet);
    s.verdict = s.packet.verdict;
    s.held = s.packet.held;
}

void World::pass(uint32_t milliseconds) {
    now_us += uint64_t(milliseconds) * 1000;
    now = flow::Tick(now_us / (1'000'000 / flow::kTicksPerSecond));
    for (size_t w = 0; w < states_.size(); ++w) {
        table_->worker(uint32_t(w)).expire(now, 1000);
        table_->worker(uint32_t(w)).quiescent();
        states_[w]->fragments.expire(now_us, ~0u);
    }
    if (!stages::wants_patrol(view(), state().patrol, now)) return;
    stages::Context c = context(0);
    while (stages::patrol(c)) {
    }
}

uint64_t World::count(stages::Verdict v, uint32_t worker) const {
    return counters(worker).verdicts[size_t(v)].get();
}
shm::WorkerCounters& World::counters(uint32_t worker) const { return counters_.worker(worker); }
shm::Row& World::backend_row(uint32_t slot, uint32_t worker) const {
    return counters_.backends(worker)[slot];
}
shm::Row& World::service_row(uint32_t slot, uint32_t worker) const {
    return counters_.services(worker)[slot];
}
flow::Word World::word(const Sent& s) const {
    if (s.packet.entry == flow::kNone) return {};
    return flow::Word::unpack(flows().head(s.packet.entry).word.load());
}

}  // namespace torii::test
