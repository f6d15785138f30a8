// Replays scenarios (scenario.md) from standard input on torii: commands become generations,
// packets are frames that go through the whole pipeline, one worker, time standing still.

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "dataplane/flow/tcp_state.h"
#include "tests/support/world/world.h"

namespace {

using namespace torii;
using test::Frame;

constexpr uint16_t kHttp = 80;
constexpr uint32_t kCells = 4096;
constexpr std::array<const char*, 11> kStates = {
    "NONE",  "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT", "TIME_WAIT",
    "CLOSE", "CLOSE_WAIT",  "LAST_ACK", "LISTEN",   "SYNACK"};

[[noreturn]] void die(const std::string& what) {
    std::cerr << "pipeline_driver: " << what << '\n';
    std::exit(2);
}

uint8_t flags_of(const std::string& word) {
    if (word == "syn" || word == "again") return test::kSyn;
    if (word == "synack") return test::kSyn | test::kAck;
    if (word == "ack") return test::kAck;
    if (word == "fin") return test::kFin | test::kAck;
    if (word == "rst") return test::kRst;
    die("unknown packet " + word);
}

using Flow = std::tuple<std::string, uint16_t, std::string>;  // client, port, virtual address

// Every server of one service that was ever named, by its slot.
struct Server {
    std::string address;
    uint32_t slot;
    bool listed;
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
        if (word == "entries") {
            lists_entries_ = true;
            return;
        }
        if (word == "add" || word == "edit" || word == "del") {
            std::string server;
            uint32_t weight = 0, upper = 0, lower = 0;
            words >> server >> weight >> upper >> lower;
            for (Service& s : services_) command(s, word, server, {weight, upper, lower});
            world_.publish();
            return;
        }
        std::string client, address, from = word, kind = word;
        uint16_t port = 0;
        if (word == "server") words >> kind;
        words >> client >> port >> address;
        const Flow flow{client, port, address};
        if (word == "server") return from_server(flow, kind);
        const auto [virtual_address, virtual_port] = endpoint(address);
        Frame frame = Frame().ip(client, virtual_address);
        const test::Sent sent =
            world_.send(word == "udp" ? frame.udp(port, virtual_port)
                                      : frame.tcp(port, virtual_port, flags_of(word)));
        if (word == "syn") order_.push_back(flow);
        world_.pass(0);  // no time, but ended connections are forgotten
        if (sent.packet.entry == flow::kNone) {
            if (word == "again" && sent.verdict == stages::Verdict::answered_no_backend)
                entries_.erase(flow);  // the former connection has ended all the same
            return;
        }
        entries_[flow] = sent.packet.entry;
        if (sent.verdict == stages::Verdict::nat_request || sent.verdict == stages::Verdict::direct)
            check(sent, *parse_address(virtual_address));
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
        std::string mask = "255.255.255.255";
        words >> seconds >> mask;
        for (const Service& s : services_) {
            shm::ServiceRecord& r = world_.services.services[s.index].record;
            r.flags |= shm::kPersistent;
            r.persistence_timeout = seconds;
            r.persistence_mask = parse_address(mask)->as_v4().host();
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
        for (uint32_t e = 0; e < kCells; ++e) {
            const flow::Head& head = world_.flows().head(e);
            const auto word = flow::Word::unpack(head.word.load());
            if (word.phase != flow::Phase::live) continue;
            flow::Tuple t = world_.flows().tuple(e);
            if (word.flags & flow::kVoid) t.virtual_port = t.backend_port = be16::from_host(0xffff);
            const bool udp = t.protocol == Protocol::udp;
            const char* state = head.persistent ? (word.state ? "ASSURED" : "NONE")
                                : udp           ? "UDP"
                                                : kStates.at(word.state);
            std::ostringstream line;
            line << "entry " << (udp ? "UDP" : "TCP") << ' '
                 << to_string(Endpoint{t.client, t.client_port.host()}) << ' '
                 << to_string(Endpoint{t.virtual_address, t.virtual_port.host()}) << ' '
                 << to_string(Endpoint{t.backend_address, t.backend_port.host()}) << ' ' << state
                 << ' ' << (int64_t(word.expiry) - int64_t(world_.now)) / flow::kTicksPerSecond;
            lines.push_back(line.str());
        }
        std::ranges::sort(lines);
        for (const std::string& line : lines) std::cout << line << '\n';
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
        } else if (word == "edit") {
            world_.edit_backend(server->slot, to.weight);
        } else {
            world_.remove_backend(server->slot);
        }
        server->listed = word != "del";
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
    void from_server(const Flow& flow, const std::string& kind) {
        const auto it = entries_.find(flow);
        if (it == entries_.end()) return;
        const auto& [client, port, address] = flow;
        const Address server = world_.flows().tuple(it->second).backend_address;
        const uint16_t from = world_.flows().tuple(it->second).backend_port.host();
        Frame frame = Frame().ip(to_string(server), client);
        world_.send(kind == "udp" ? frame.udp(from, port) : frame.tcp(from, port, flags_of(kind)),
                    {.port = 1});
    }
    std::string outcome(const Flow& flow) const {
        const auto it = entries_.find(flow);
        if (it == entries_.end()) return "- -";
        const auto& head = world_.flows().head(it->second);
        const auto word = flow::Word::unpack(head.word.load());
        const flow::Tuple tuple = world_.flows().tuple(it->second);
        if (word.phase != flow::Phase::live || head.persistent ||  // or somebody else's by now
            tuple.client_port.host() != std::get<1>(flow))
            return "- -";
        return to_string(tuple.backend_address) + ' ' + kStates.at(word.state);
    }

    test::World world_{kCells};
    bool nat_ = true, lists_entries_ = false;
    Protocol protocol_ = Protocol::tcp;
    std::vector<Service> services_;
    std::vector<Flow> order_;
    std::map<Flow, uint32_t> entries_;
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
