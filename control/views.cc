#include "control/views.h"

#include <fmt/format.h>

#include <map>

#include "control/compile_routes.h"
#include "control/service_view.h"
#include "dataplane/flow/sctp_state.h"
#include "dataplane/stages/verdict.h"

namespace torii::control {
namespace {

constexpr uint32_t kCellsAPiece = 4096;

std::string_view reach_word(Reach::State s) {
    switch (s) {
        case Reach::State::known:
            return "known";
        case Reach::State::resolving:
            return "resolving";
        case Reach::State::silent:
            return "unreachable";
        case Reach::State::no_route:
            return "no route";
        case Reach::State::no_port:
            return "no port";
    }
    return "";
}

// LVS's names, by the number in the entry.
constexpr std::string_view kTcpStates[] = {"NONE",     "ESTABLISHED", "SYN_SENT", "SYN_RECV",
                                           "FIN_WAIT", "TIME_WAIT",   "CLOSE",    "CLOSE_WAIT",
                                           "LAST_ACK", "LISTEN",      "SYNACK"};

std::string_view state_word(const flow::Listed& l) {
    if (l.word.flags & flow::kTemplate) return l.word.state ? "ASSURED" : "NONE";
    if (l.tuple.protocol == Protocol::udp) return "UDP";
    if (l.tuple.protocol == Protocol::sctp)
        return l.word.state < flow::kSctpStateNames.size() ? flow::kSctpStateNames[l.word.state]
                                                           : "NONE";
    return l.word.state < std::size(kTcpStates) ? kTcpStates[l.word.state] : "NONE";
}

// An IPv4 entry has no room for the address of an IPv6 server; the server's slot has it, until the
// slot is given to another.
Address backend_address(const flow::Listed& l, const Slots& slots) {
    const bool elsewhere =
        l.forward == shm::Forward::tunnel && l.tuple.backend_address == Address::v4({});
    if (!elsewhere || l.backend >= slots.backends.size()) return l.tuple.backend_address;
    const BackendSlot& slot = slots.backends[l.backend];
    return slot.generation == l.backend_generation ? slot.backend.address : l.tuple.backend_address;
}

api::Connection connection(const flow::Listed& l, const Slots& slots, flow::Tick now) {
    const auto left = int32_t(l.word.expiry - now);
    return {l.tuple.protocol,
            std::string(state_word(l)),
            left > 0 ? uint32_t(left) / flow::kTicksPerSecond : 0,
            {l.tuple.client, l.tuple.client_port.host()},
            {l.tuple.virtual_address, l.tuple.virtual_port.host()},
            {backend_address(l, slots), l.tuple.backend_port.host()}};
}

void add_generation(api::Ready& r, std::string_view kind, uint64_t published, uint64_t in_force) {
    if (published == 0)
        r.missing.push_back(fmt::format("no {} have been published yet", kind));
    else if (published != in_force)
        r.missing.push_back(
            fmt::format("the dataplane has not taken {} generation {} yet (it "
                        "uses {})",
                        kind, published, in_force));
}

}  // namespace

Reach reach(const Facts& f, const Address& a) {
    const kernel::Snapshot& snapshot = f.routes.snapshot();
    const kernel::Resolved way = f.routes.lookup(a);
    switch (way.kind) {
        case kernel::Resolved::Kind::local:
            return {};
        case kernel::Resolved::Kind::unicast:
            break;
        default:
            return {Reach::State::no_route,
                    kernel::why_unreachable(f.routes, a).value_or("no route to " + to_string(a))};
    }
    if (attachment(snapshot, f.link.ports(), way.ifindex).port == shm::kNoPort) {
        const kernel::Link* link = kernel::find_link(snapshot, way.ifindex);
        return {Reach::State::no_port,
                fmt::format("{} is reached through {}, which is no port of the dataplane",
                            to_string(a), link ? link->name : "an unknown link")};
    }
    const kernel::Neighbour* n = kernel::find_neighbour(snapshot, way.ifindex, way.next_hop);
    if (n != nullptr && n->usable) return {};
    if (n != nullptr && n->failed)
        return {Reach::State::silent,
                fmt::format("{} does not answer {}", to_string(way.next_hop),
                            way.next_hop.is_v4() ? "ARP" : "neighbour discovery")};
    return {Reach::State::resolving, fmt::format("the link-layer address of {} is being asked for",
                                                 to_string(way.next_hop))};
}

api::Status status_view(const Facts& f, const Identity& id) {
    api::Status s;
    s.version = id.version;
    s.instance = id.instance;
    s.config_file = id.config_file;
    s.uptime_seconds = id.uptime_seconds;
    s.dataplane_up = f.link.up();
    s.dataplane_ready = f.link.ready();
    const shm::ControlBlock& c = f.link.control();
    s.generation.services = {c.services_generation.load(std::memory_order_acquire),
                             c.services_in_force.load(std::memory_order_acquire)};
    s.generation.routes = {c.routes_generation.load(std::memory_order_acquire),
                           c.routes_in_force.load(std::memory_order_acquire)};
    s.generation.refused = c.refused_generation.load(std::memory_order_acquire);
    s.workers = c.workers.load(std::memory_order_acquire);
    for (const shm::PortInfo& p : f.link.ports())
        s.ports.push_back({p.name, p.interface, to_string(p.mac), p.queues, p.mtu});
    const Tally& t = f.tally;
    if (const flow::Reader* table = f.link.table()) {
        s.table.capacity = table->capacity();
        s.table.buckets = table->buckets();
    }
    for (const Connections& n : t.connections) s.table.used += n.active + n.inactive + n.persistent;
    s.table.insertions = t.insertions;
    s.table.expired = t.expired;
    s.table.recycled = t.recycled;
    s.table.full = t.full;
    s.table.stateless = t.stateless;
    s.received = t.received;
    s.waiting = t.waiting;
    s.transmitted = t.transmitted;
    s.transmitted_bytes = t.transmitted_bytes;
    s.events_lost = t.events_lost;
    for (const stages::VerdictInfo& v : stages::kVerdicts)
        if (v.outcome != stages::Outcome::none)
            s.verdicts.emplace(v.name, t.verdicts[size_t(v.id)]);
    return s;
}

api::Services services_view(const Facts& f) {
    api::Services all;
    if (const flow::Reader* table = f.link.table()) all.table_buckets = table->buckets();
    const Tables& t = f.tables;
    all.tcp_timeout = t.desired.timeouts.tcp[1];
    all.tcp_fin_timeout = t.desired.timeouts.tcp[4];
    all.udp_timeout = t.desired.timeouts.udp;
    const Listed listed{t, f.tally, f.estimator};
    const auto slots = service_slots(t.slots);
    for (const Service& s : t.desired.services) {
        all.services.push_back(service_view(listed, s, slots.at(s.key)));
        for (api::Destination& d : all.services.back().destinations)
            d.next_hop = reach_word(reach(f, d.endpoint.address).state);
    }
    return all;
}

api::Ready ready_view(const Facts& f) {
    api::Ready r;
    r.ready = f.vrrp_alone;
    if (r.ready) return r;
    const shm::ControlBlock& c = f.link.control();
    if (!f.link.up())
        r.missing.push_back("torii-dataplane is not running");
    else if (!f.link.ready())
        r.missing.push_back("torii-dataplane is still starting");
    if (const uint64_t refused = c.refused_generation.load(std::memory_order_acquire);
        refused != 0 && (refused == c.services_generation.load(std::memory_order_acquire) ||
                         refused == c.routes_generation.load(std::memory_order_acquire)))
        r.missing.push_back(
            fmt::format("the dataplane refused generation {}: its log says why", refused));
    add_generation(r, "services", c.services_generation.load(std::memory_order_acquire),
                   c.services_in_force.load(std::memory_order_acquire));
    add_generation(r, "routes", c.routes_generation.load(std::memory_order_acquire),
                   c.routes_in_force.load(std::memory_order_acquire));
    if (f.routes_pending) r.missing.push_back("a change of the network is being published");
    std::map<Address, std::string> servers;
    for (const Service& s : f.tables.desired.services)
        for (const Destination& d : s.destinations) servers.emplace(d.key.address, d.name);
    if (!f.link.ready()) servers.clear();  // which ports there are is not known yet
    for (const auto& [address, name] : servers) {
        const Reach way = reach(f, address);
        if (way.state == Reach::State::known) continue;
        std::string said =
            fmt::format("server {}: {}", name.empty() ? to_string(address) : name, way.sentence);
        (way.state == Reach::State::resolving ? r.missing : r.warnings).push_back(std::move(said));
    }
    r.ready = r.missing.empty();
    return r;
}

std::function<bool(std::string&)> connections_view(const DataplaneLink& link,
                                                   std::shared_ptr<const Tables> tables) {
    return [table = link.shared_table(), tables = std::move(tables),
            next = uint32_t{0}](std::string& piece) mutable {
        if (!table || next >= table->capacity()) return false;
        const flow::Tick now = flow::tick_now();
        next = table->some(next, kCellsAPiece, [&](const flow::Listed& l) {
            piece += to_json(connection(l, tables->slots, now));
            piece += '\n';
            return true;
        });
        return next < table->capacity();
    };
}

}  // namespace torii::control
