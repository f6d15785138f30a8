// Replays scenarios (scenario.md) from standard input on torii: commands become generations,
// packets are frames that go through the whole pipeline, one worker, time standing still.

#include <algorithm>
#include <array>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "dataplane/flow/sctp_state.h"
#include "tests/compat/frames.h"
#include "tests/support/world/world.h"

namespace {

using namespace torii;
using compat::die;
using compat::End;
using compat::frame_of;

constexpr uint16_t kHttp = 80;
constexpr uint32_t kCells = 4096;
constexpr std::array<const char*, 11> kStates = {
    "NONE",  "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT", "TIME_WAIT",
    "CLOSE", "CLOSE_WAIT",  "LAST_ACK", "LISTEN",   "SYNACK"};

using Flow = std::tuple<std::string, uint16_t, std::string>;  // client, port, virtual address

// Every server of one service that was ever named, by its slot.
struct Server {
    std::string address;
    uint32_t slot;
    bool listed, counts_anew = false;
};

struct Service {
    std::string address;
    uint32_t index;
    uint16_t port;
    std::vector<Server> servers;

    Server* find(const std::string& server) {
        const auto it = std::ranges::find(servers, server, &Server::address);
        return it == servers.end() ? nullptr : &*it;
    }
};

class Scenario {
public:
    Scenario() {
        // Clients are behind the one port's router, servers behind the other's.
        world_.routes.routes.clear();
        const auto to_clients =
            test::hop("198.51.100.254", 10, 0, test::kRouterMac, test::kPort0Mac);
        const auto to_servers = test::hop("10.0.0.7", 11, 1, test::kServerMac, test::kPort1Mac);
        route("0.0.0.0/0", to_clients);
        route("::/0", test::hop("2001:db8:c::fe", 10, 0, test::kRouterMac, test::kPort0Mac));
        route("10.0.0.0/8", to_servers);
        route("fd00::/8", test::hop("2001:db8:b::7", 11, 1, test::kServerMac, test::kPort1Mac));
    }

    void step(const std::string& word, std::istream& words) {
        if (word == "service") return start(words);
        if (word == "protocol") return protocol(words);
        if (word == "persist") return persist(words);
        if (word == "sysctl") return set_switch(words);
        if (word == "timeouts") return set_timeouts(words);
        if (word == "wait") return wait(words);
        if (word == "entries") return void(lists_entries_ = true);
        if (word == "stats") return void(counts_ = true);
        if (word == "one-packet") return one_packet();
        if (word == "gone") return gone();
        if (word == "back") return back();
        if (word == "add" || word == "edit" || word == "del") {
            std::string server;
            uint32_t weight = 0, upper = 0, lower = 0;
            words >> server >> weight >> upper >> lower;
            for (Service& s : services_) command(s, word, server, {weight, upper, lower});
            world_.publish();
            return;
        }
        packet(word, words);
    }

    void end() {
        for (const Flow& flow : order_) {
            const auto& [client, port, address] = flow;
            std::cout << "choice " << client << ' ' << port << ' ' << address << ' '
                      << outcome(flow) << '\n';
        }
        for (Service& s : services_)
            for (const Server& server : s.servers) {
                if (!server.listed) continue;
                const shm::Row& row = world_.backend_row(server.slot);
                std::cout << "load " << s.address << ' ' << server.address << ' '
                          << row.active.get() << ' ' << row.inactive.get() << '\n';
            }
        if (lists_entries_) entries();
        if (!counts_) return;
        for (Service& s : services_) {
            if (!gone_.empty()) continue;
            stats(s.address + " -", world_.service_row(record(s).slot), record(s).base);
            for (const Server& server : s.servers)
                if (server.listed)
                    stats(s.address + ' ' + server.address, world_.backend_row(server.slot),
                          world_.services.backends[server.slot].record.base);
        }
    }

private:
    struct Settings {
        uint32_t weight, upper, lower;
    };

    // An address, and its port where one is written (IPv4 only).
    static std::pair<std::string, uint16_t> endpoint(const std::string& text) {
        if (std::ranges::count(text, ':') != 1) return {text, kHttp};
        const size_t colon = text.find(':');
        return {text.substr(0, colon), uint16_t(std::stoul(text.substr(colon + 1)))};
    }
    void protocol(std::istream& words) {
        std::string name;
        words >> name;
        protocol_ = *parse_protocol(name);
    }
    void persist(std::istream& words) {
        uint32_t seconds = 0;
        std::string mask;
        words >> seconds >> mask;
        for (const Service& s : services_) {
            shm::ServiceRecord& r = record(s);
            r.flags |= shm::kPersistent;
            r.persistence_timeout = seconds;
            if (r.address.is_v4())
                r.persistence_mask = mask.empty() ? ~0u : parse_address(mask)->as_v4().host();
            else
                r.persistence_mask = mask.empty() ? 128 : uint32_t(std::stoul(mask));
        }
        world_.publish();
    }
    void set_switch(std::istream& words) {
        std::string name;
        uint32_t value = 0;
        words >> name >> value;
        shm::Behaviour& b = world_.services.behaviour;
        const std::map<std::string, uint32_t*> switches = {
            {"sloppy_tcp", &b.sloppy_tcp},
            {"sloppy_sctp", &b.sloppy_sctp},
            {"conn_reuse_mode", &b.conn_reuse_mode},
            {"expire_nodest_conn", &b.expire_nodest_conn},
            {"expire_quiescent_template", &b.expire_quiescent_template}};
        if (!switches.contains(name)) die("unknown switch " + name);
        *switches.at(name) = value;
        world_.publish();
    }
    void set_timeouts(std::istream& words) {
        shm::Timeouts& t = world_.services.timeouts;
        words >> t.tcp[1] >> t.tcp[4] >> t.udp;
        world_.publish();
    }
    void wait(std::istream& words) {
        double seconds = 0;
        words >> seconds;
        world_.pass(uint32_t(seconds * 1000));
    }
    // What /proc/net/ip_vs_conn would say.
    void entries() {
        std::vector<std::string> lines;
        each([&](const flow::Head& head, flow::Word word, flow::Tuple t) {
            if (word.flags & flow::kVoid) t.virtual_port = t.backend_port = be16::from_host(0xffff);
            std::ostringstream line;
            line << "entry "
                 << (t.protocol == Protocol::udp    ? "UDP"
                     : t.protocol == Protocol::sctp ? "SCTP"
                                                    : "TCP")
                 << ' ' << to_string(Endpoint{t.client, t.client_port.host()}) << ' '
                 << to_string(Endpoint{t.virtual_address, t.virtual_port.host()}) << ' '
                 << to_string(Endpoint{t.backend_address, t.backend_port.host()}) << ' '
                 << state_of(head, word) << ' '
                 << (int64_t(word.expiry) - int64_t(world_.now)) / flow::kTicksPerSecond;
            lines.push_back(line.str());
        });
        std::ranges::sort(lines);
        for (const std::string& line : lines) std::cout << line << '\n';
    }
    shm::ServiceRecord& record(const Service& s) {
        return world_.services.services[s.index].record;
    }
    void one_packet() {
        for (const Service& s : services_) record(s).flags |= shm::kOnePacket;
        world_.publish();
    }
    static shm::CounterBase counted(const shm::Row& row) {
        return {row.connections.get(), row.in_packets.get(), row.in_bytes.get(),
                row.out_packets.get(), row.out_bytes.get()};
    }
    // `ipvsadm -D`, and -A again with what was said before, as toriid has it: the slots stay, a
    // service counts from zero.
    void gone() {
        for (auto s = services_.rbegin(); s != services_.rend(); ++s) {
            for (Server& server : s->servers) {
                if (std::exchange(server.listed, false)) world_.remove_backend(server.slot);
                server.counts_anew = true;
            }
            gone_[s->index] = record(*s);
            world_.remove_service(s->index);
        }
        world_.publish();
    }
    void back() {
        for (Service& s : services_) {
            world_.service(s.address, s.port, protocol_, gone_[s.index].scheduler);
            shm::ServiceRecord old = gone_[s.index];
            old.slot_generation = record(s).slot_generation;
            old.base = counted(world_.service_row(old.slot));
            record(s) = old;
        }
        gone_.clear();
        world_.publish();
    }

    void route(std::string_view prefix, const shm::NextHop& hop) {
        world_.routes.routes.push_back({*parse_prefix(prefix), shm::RouteKind::gateway, {hop}});
    }
    void start(std::istream& words) {
        std::string name, flags, method, address;
        words >> name >> flags >> method;
        nat_ = method == "nat";
        while (words >> address) {
            const auto [host, port] = endpoint(address);
            const uint32_t index = world_.service(host, port, protocol_, name);
            uint16_t& bits = world_.services.services[index].record.scheduler_flags;
            if (flags.find("-port") != std::string::npos) bits |= scheduler::kPort;
            if (flags.find("-fallback") != std::string::npos) bits |= scheduler::kFallback;
            services_.push_back({host, index, port, {}});
        }
        world_.publish();
    }
    void command(Service& s, const std::string& word, const std::string& address, Settings to) {
        Server* server = s.find(address);
        if (word == "add" && !server) {
            const uint32_t slot = world_.backend(
                s.index, address, s.port, nat_ ? shm::Forward::nat : shm::Forward::dr, to.weight);
            s.servers.push_back({address, slot, true});
            server = &s.servers.back();
        } else if (!server || server->listed == (word == "add")) {
            die("cannot " + word + " " + address);
        } else if (word == "add") {
            world_.restore_backend(server->slot, to.weight);
            if (server->counts_anew) {
                shm::BackendRecord& back = world_.services.backends[server->slot].record;
                back.base = counted(world_.backend_row(server->slot));
            }
        } else if (word == "edit") {
            world_.edit_backend(server->slot, to.weight);
        } else {
            world_.remove_backend(server->slot);
        }
        server->listed = word != "del";
        server->counts_anew = false;
        shm::BackendRecord& record = world_.services.backends[server->slot].record;
        record.upper = to.upper;
        record.lower = to.lower;
    }
    // The frame goes where its connection says.
    void check(const test::Sent& sent, const Address& address) const {
        const Address server = world_.flows().tuple(sent.packet.entry).backend_address;
        const auto* ip = reinterpret_cast<const uint8_t*>(sent.frame.data()) + 14;
        const Address to = ip[0] >> 4 == 6
                               ? Address::v6(ip + 24)
                               : Address::v4(be32::from_host(uint32_t(ip[16]) << 24 | ip[17] << 16 |
                                                             ip[18] << 8 | ip[19]));
        if (sent.port != 1 || to != (nat_ ? server : address)) die("a frame went astray");
    }
    void packet(const std::string& word, std::istream& words) {
        std::string client, address, kind = word;
        uint16_t port = 0;
        if (word == "server") words >> kind;
        words >> client >> port >> address;
        const auto [host, virtual_port] = endpoint(address);
        if (word == "server") return from_servers(kind, {client, port}, virtual_port);
        if (word == "again") kind = protocol_ == Protocol::sctp ? "init" : "syn";
        const test::Sent sent =
            world_.send(frame_of(protocol_, kind, {client, port}, {host, virtual_port}));
        if (word == "syn" || word == "init") order_.emplace_back(client, port, address);
        world_.pass(0);  // no time, but ended connections are forgotten
        if (sent.packet.entry == flow::kNone || kind == "icmp") return;
        if (sent.verdict == stages::Verdict::nat_request || sent.verdict == stages::Verdict::direct)
            check(sent, *parse_address(host));
    }
    // Every server that was ever named sends it: the one that has the connection is taken.
    void from_servers(const std::string& kind, const End& client, uint16_t virtual_port) {
        for (const Service& s : services_)
            for (const Server& server : s.servers)
                world_.send(frame_of(protocol_, kind, {server.address, virtual_port}, client),
                            {.port = 1});
        world_.pass(0);
    }
    const char* state_of(const flow::Head& head, flow::Word word) const {
        if (head.persistent) return word.state ? "ASSURED" : "NONE";
        if (head.protocol == uint8_t(Protocol::udp)) return "UDP";
        if (head.protocol == uint8_t(Protocol::sctp))
            return flow::kSctpStateNames.at(word.state).data();
        return kStates.at(word.state);
    }
    // Calls what(head, word, tuple) for each entry.
    template <class What>
    void each(const What& what) const {
        for (uint32_t e = 0; e < kCells; ++e) {
            const flow::Head& head = world_.flows().head(e);
            const auto word = flow::Word::unpack(head.word.load());
            if (word.phase == flow::Phase::live) what(head, word, world_.flows().tuple(e));
        }
    }
    std::string outcome(const Flow& flow) const {
        const auto& [client, port, address] = flow;
        const auto [host, virtual_port] = endpoint(address);
        std::string found = "- -";
        each([&](const flow::Head& head, flow::Word word, const flow::Tuple& t) {
            if (!head.persistent && t.client == *parse_address(client) &&
                t.client_port.host() == port && t.virtual_address == *parse_address(host) &&
                t.virtual_port.host() == virtual_port)
                found = to_string(t.backend_address) + ' ' + state_of(head, word);
        });
        return found;
    }
    static void stats(const std::string& whose, const shm::Row& row, const shm::CounterBase& base) {
        std::cout << "stats " << whose << ' ' << row.connections.get() - base.connections << ' '
                  << row.in_packets.get() - base.in_packets << ' '
                  << row.in_bytes.get() - base.in_bytes << ' '
                  << row.out_packets.get() - base.out_packets << ' '
                  << row.out_bytes.get() - base.out_bytes << '\n';
    }

    test::World world_{kCells};
    bool nat_ = true, lists_entries_ = false, counts_ = false;
    Protocol protocol_ = Protocol::tcp;
    std::vector<Service> services_;
    std::vector<Flow> order_;
    std::map<uint32_t, shm::ServiceRecord> gone_;
};

}  // namespace

int main() {
    std::unique_ptr<Scenario> current;
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string word;
        if (!(words >> word) || word.starts_with('#')) continue;
        if (word == "scenario") {
            current = std::make_unique<Scenario>();
            std::cout << line << '\n';
        } else if (word == "end") {
            current->end();
        } else {
            current->step(word, words);
        }
    }
}
