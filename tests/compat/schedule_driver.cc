// Replays scenarios (scenario.md) from standard input on torii's schedulers alone: the control
// process's list, one worker's cursor, and a plain model of which connections are active.

#include <algorithm>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "dataplane/scheduler/list_state.h"
#include "dataplane/scheduler/scheduler.h"

namespace {

using namespace torii;
using namespace torii::scheduler;

[[noreturn]] void die(const std::string& what) {
    std::cerr << "schedule_driver: " << what << '\n';
    std::exit(2);
}

// The states that a connection by NAT reaches when only its client sends, by LVS's names.
enum State { kSynReceived, kEstablished, kTimeWait, kClose, kCloseWait };

State next(State s, const std::string& packet) {
    if (packet == "ack") return s == kSynReceived ? kEstablished : s;
    if (packet == "fin") {
        if (s == kSynReceived) return kTimeWait;
        return s == kEstablished ? kCloseWait : s;
    }
    return s == kSynReceived ? s : kClose;  // rst
}
bool is_active(State s) { return s == kSynReceived || s == kEstablished; }

using Flow = std::tuple<std::string, std::string, std::string>;  // client, port, virtual address

struct Connection {
    uint32_t backend;
    State state;
};

// One virtual address. Slots are numbers of server names, kept when a server is deleted.
struct Service {
    const Scheduler& scheduler;
    uint16_t flags;
    std::string address;
    ListState list;
    Cursor cursor;
    std::vector<std::string> names;
    std::vector<Load> loads;
    std::map<Flow, Connection> connections;

    uint32_t slot(const std::string& server) {
        const auto it = std::ranges::find(names, server);
        if (it != names.end()) return uint32_t(it - names.begin());
        names.push_back(server);
        loads.emplace_back();
        return uint32_t(names.size() - 1);
    }
    void command(const std::string& word, const std::string& server, uint32_t weight) {
        const uint32_t b = slot(server);
        const bool done = word == "add"    ? list.add(b, weight)
                          : word == "edit" ? list.edit(b, weight)
                                           : list.remove(b);
        if (!done) die("cannot " + word + " " + server);
    }
    std::string syn(const Flow& flow) {
        const auto targets = list.targets();
        const auto table = build_table(scheduler, targets);
        const ServiceView view{targets,           table,      list.changes(), list.change_seq(),
                               list.max_weight(), list.gcd(), flags};
        const auto read = [](const void* context, uint32_t b) {
            return static_cast<const Service*>(context)->loads[b];
        };
        const Key key{*parse_address(std::get<0>(flow)), *parse_address(address),
                      uint16_t(std::stoul(std::get<1>(flow)))};
        const uint32_t b = choose(scheduler, view, cursor, {this, read}, key);
        if (b == kNoBackend) return "-";
        ++loads[b].active;
        ++loads[b].total;
        connections[flow] = {b, kSynReceived};
        return names[b];
    }
    void packet(const std::string& word, const Flow& flow) {
        const auto it = connections.find(flow);
        if (it == connections.end()) return;
        auto& [backend, state] = it->second;
        const auto targets = list.targets();
        if (std::ranges::find(targets, backend, &Target::backend) == targets.end())
            return;  // packets to a deleted server are dropped
        const State after = next(state, word);
        loads[backend].active += is_active(after) - is_active(state);
        state = after;
    }
};

struct Scenario {
    std::vector<Service> services;
    std::vector<std::string> choices;

    void start(std::istream& words) {
        std::string name, flags, address;
        words >> name >> flags;
        const Scheduler* s = find_scheduler(name);
        if (s == nullptr) die("no scheduler " + name);
        uint16_t bits = 0;
        if (flags.find("sh-port") != std::string::npos) bits |= kPort;
        if (flags.find("sh-fallback") != std::string::npos) bits |= kFallback;
        while (words >> address) services.push_back({*s, bits, address, {}, {}, {}, {}, {}});
    }
    void step(const std::string& word, std::istream& words) {
        if (word == "service") return start(words);
        if (word == "add" || word == "edit" || word == "del") {
            std::string server;
            uint32_t weight = 0;
            words >> server >> weight;
            for (Service& s : services) s.command(word, server, weight);
            return;
        }
        if (word != "syn" && word != "ack" && word != "fin" && word != "rst")
            die("unknown word " + word);
        std::string client, port, address;
        words >> client >> port >> address;
        const auto s = std::ranges::find(services, address, &Service::address);
        if (s == services.end()) die("no service on " + address);
        const Flow flow{client, port, address};
        if (word != "syn") return s->packet(word, flow);
        choices.push_back("choice " + client + " " + port + " " + address + " " + s->syn(flow));
    }
    void end() const {
        for (const std::string& line : choices) std::cout << line << '\n';
        for (const Service& s : services)
            for (const Target& t : s.list.targets()) {
                const Load& load = s.loads[t.backend];
                std::cout << "load " << s.address << ' ' << s.names[t.backend] << ' ' << load.active
                          << ' ' << load.total - load.active << '\n';
            }
    }
};

}  // namespace

int main() {
    Scenario current;
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string word;
        if (!(words >> word) || word.starts_with('#')) continue;
        if (word == "scenario") {
            current = Scenario();
            std::cout << line << '\n';
        } else if (word == "end") {
            current.end();
        } else {
            current.step(word, words);
        }
    }
}
