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
        if (word == "server") return from_server(flow, flags_of(kind));
        const test::Sent sent =
            world_.send(Frame().ip(client, address).tcp(port, kHttp, flags_of(word)));
        if (word == "syn") order_.push_back(flow);
        world_.pass(0);  // no time, but ended connections are forgotten
        if (sent.packet.entry == flow::kNone) {
            if (word == "again" && sent.verdict == stages::Verdict::answered_no_backend)
                entries_.erase(flow);  // the former connection has ended all the same
            return;
        }
        entries_[flow] = sent.packet.entry;
        if (sent.verdict == stages::Verdict::nat_request || sent.verdict == stages::Verdict::direct)
            check(sent, *parse_address(address));
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
    }

private:
    struct Settings {
        uint32_t weight, upper, lower;
    };

    void route(std::string_view prefix, const shm::NextHop& hop) {
        world_.routes.routes.push_back({*parse_prefix(prefix), shm::RouteKind::gateway, {hop}});
    }
    void start(std::istream& words) {
        std::string name, flags, method, address;
        words >> name >> flags >> method;
        nat_ = method == "nat";
        while (words >> address) {
            const uint32_t index = world_.service(address, kHttp, Protocol::tcp, name);
            uint16_t& bits = world_.services.services[index].record.scheduler_flags;
            if (flags.find("sh-port") != std::string::npos) bits |= scheduler::kPort;
            if (flags.find("sh-fallback") != std::string::npos) bits |= scheduler::kFallback;
            services_.push_back({address, index, {}});
        }
        world_.publish();
    }
    void command(Service& s, const std::string& word, const std::string& address, Settings to) {
        Server* server = s.find(address);
        if (word == "add" && !server) {
            const uint32_t slot = world_.backend(
                s.index, address, kHttp, nat_ ? shm::Forward::nat : shm::Forward::dr, to.weight);
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
    void from_server(const Flow& flow, uint8_t flags) {
        const auto it = entries_.find(flow);
        if (it == entries_.end()) return;
        const auto& [client, port, address] = flow;
        const Address server = world_.flows().tuple(it->second).backend_address;
        world_.send(Frame().ip(to_string(server), client).tcp(kHttp, port, flags), {.port = 1});
    }
    std::string outcome(const Flow& flow) const {
        const auto it = entries_.find(flow);
        if (it == entries_.end()) return "- -";
        const auto& head = world_.flows().head(it->second);
        const auto word = flow::Word::unpack(head.word.load());
        if (word.phase != flow::Phase::live) return "- -";
        return to_string(world_.flows().tuple(it->second).backend_address) + ' ' +
               kStates.at(word.state);
    }

    test::World world_{4096};
    bool nat_ = true;
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
