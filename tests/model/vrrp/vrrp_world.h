#pragma once
// A few VRRP routers and the wire between them, in steps of one length: what is sent in a step
// arrives in the next unless somebody interferes. A value type, so that a search can fork it.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "vrrp/fsm.h"

namespace torii::vrrp::model {

struct Message {
    Advert advert;
    int from = 0, to = 0;
    int due = 0;        ///< the step in which it arrives
    bool late = false;  ///< delayed or doubled by somebody
};

struct Node {
    Settings settings;
    State state;
    uint8_t other_priority = 0;  ///< what a priority change swaps in
    int asleep_until = 0;        ///< not run before that step
    bool deaf = false;           ///< what arrives while asleep is lost, as in a frozen machine
    int restart_at = -1;
    std::vector<Message> queue;  ///< arrived while asleep
};

struct World {
    Duration step{10'000};
    int now = 1;
    std::vector<Node> nodes;
    std::vector<Message> wire;
    std::vector<int> cut_until;  ///< by from * nodes + to
    int calm = 0;                ///< steps since anything was disturbed
    int doubled = 0;             ///< steps in a row with more than one active router, while calm

    Time time() const { return Time(now * step); }
    int& cut(int from, int to) { return cut_until[size_t(from) * nodes.size() + size_t(to)]; }
    bool runs(const Node& n) const { return n.asleep_until <= now; }

    void add(uint8_t priority, const Settings& like) {
        Node n;
        n.settings = like;
        n.settings.priority = priority;
        n.settings.local = Address::v4(be32::from_host(0x0a000001 + uint32_t(nodes.size())));
        n.other_priority = priority;
        nodes.push_back(n);
        cut_until.assign(nodes.size() * nodes.size(), 0);
    }

    void send(int from, uint8_t priority) {
        const Node& n = nodes[size_t(from)];
        for (int to = 0; to < int(nodes.size()); ++to) {
            if (to == from || cut(from, to) > now) continue;
            wire.push_back({{priority, n.settings.interval, n.settings.local, false},
                            from,
                            to,
                            now + 1,
                            false});
        }
    }

    void give(int to, const Event& event) {
        Node& n = nodes[size_t(to)];
        const Step next = vrrp::step(n.settings, n.state, event, time());
        n.state = next.state;
        for (const Action& a : next.actions)
            if (a.kind == Action::Kind::send_advert) send(to, a.priority);
    }

    void start(int node) {
        give(node, Start{});
        give(node, Ready{});
    }

    void arrive(const Message& m) {
        Node& n = nodes[size_t(m.to)];
        if (runs(n))
            give(m.to, m.advert);
        else if (!n.deaf)
            n.queue.push_back(m);
    }

    /// One step of time, with nobody interfering.
    void advance() {
        ++now;
        std::vector<Message> arriving;
        std::erase_if(wire, [&](const Message& m) {
            if (m.due <= now) arriving.push_back(m);
            return m.due <= now;
        });
        for (size_t i = 0; i < nodes.size(); ++i) {  // who wakes reads its queue first
            if (!runs(nodes[i])) continue;
            for (const Message& m : std::exchange(nodes[i].queue, {})) give(int(i), m.advert);
        }
        for (const Message& m : arriving) arrive(m);
        for (size_t i = 0; i < nodes.size(); ++i) {
            if (nodes[i].restart_at == now) start(int(i));
            if (runs(nodes[i])) give(int(i), Tick{});
        }
        measure();
    }

    int active() const {
        return int(std::ranges::count_if(
            nodes, [](const Node& n) { return n.state.role == Role::active; }));
    }
    int started() const {
        return int(std::ranges::count_if(
            nodes, [](const Node& n) { return n.state.started && !n.state.leaving; }));
    }

private:
    bool disturbed() const {
        for (const Node& n : nodes)
            if (!runs(n) || n.restart_at > now || n.state.leaving) return true;
        for (const int until : cut_until)
            if (until > now) return true;
        return std::ranges::any_of(wire, &Message::late);
    }

    void measure() {
        calm = disturbed() ? 0 : calm + 1;
        doubled = calm > 0 && active() > 1 ? doubled + 1 : 0;
    }
};

}  // namespace torii::vrrp::model
