#include "control/kernel/interfaces.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>

#include "control/kernel/parse.h"
#include "control/kernel/socket.h"

namespace torii::kernel {
namespace {

constexpr size_t kReceiveBuffer = size_t{4} << 20;
constexpr int kAnswerMilliseconds = 5000;
constexpr std::array<unsigned, 3> kGroups{RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR};

}  // namespace

struct Interfaces::State {
    explicit State(Socket s) : socket(std::move(s)) {}

    Socket socket;
    std::vector<Interface> all;
    bool changed = false;

    Interface* find(uint32_t ifindex) {
        const auto it = std::find_if(all.begin(), all.end(),
                                     [&](const Interface& i) { return i.link.ifindex == ifindex; });
        return it == all.end() ? nullptr : &*it;
    }
    void take(const LinkChange& change);
    void take(const AddressChange& change);
    void take(const nlmsghdr& header);
    Result<> dump(uint16_t type);
    Result<> read_all();
};

void Interfaces::State::take(const LinkChange& change) {
    Interface* known = find(change.link.ifindex);
    if (change.removed) {
        if (known == nullptr) return;
        all.erase(all.begin() + (known - all.data()));
    } else if (known == nullptr) {
        all.push_back({change.link, {}});
    } else {
        if (known->link == change.link) return;
        known->link = change.link;
    }
    changed = true;
}

void Interfaces::State::take(const AddressChange& change) {
    Interface* known = find(change.address.ifindex);
    if (known == nullptr) return;
    auto& list = known->addresses;
    const auto it = std::find_if(list.begin(), list.end(), [&](const InterfaceAddress& a) {
        return a.prefix == change.address.prefix;
    });
    const InterfaceAddress now{change.address.prefix, change.tentative, change.secondary,
                               change.protocol};
    if (change.removed) {
        if (it == list.end()) return;
        list.erase(it);
    } else if (it == list.end()) {
        list.push_back(now);
    } else {
        if (*it == now) return;
        *it = now;
    }
    changed = true;
}

void Interfaces::State::take(const nlmsghdr& header) {
    const Change change = parse(header);
    if (const auto* link = std::get_if<LinkChange>(&change)) take(*link);
    if (const auto* address = std::get_if<AddressChange>(&change)) take(*address);
}

// Notifications that come meanwhile are taken in as well: they are newer than the dump or equal.
Result<> Interfaces::State::dump(uint16_t type) {
    ifinfomsg header{};  // an ifaddrmsg of zeros is a prefix of it
    const ifaddrmsg addresses{};
    const Message request = type == RTM_GETLINK ? make_request(type, NLM_F_DUMP, header)
                                                : make_request(type, NLM_F_DUMP, addresses);
    const auto sequence = socket.send(request.get());
    if (!sequence) return tl::unexpected(sequence.error());
    for (bool done = false; !done;) {
        const auto status = socket.receive();
        if (!status) return tl::unexpected(status.error());
        if (*status == Socket::Status::overrun) return fail(Errc::busy, "messages were lost");
        if (*status == Socket::Status::empty) {
            if (auto ready = socket.wait(kAnswerMilliseconds); !ready) return ready;
            continue;
        }
        socket.each([&](const nlmsghdr& message) {
            if (message.nlmsg_seq == *sequence &&
                (message.nlmsg_type == NLMSG_DONE || message.nlmsg_type == NLMSG_ERROR))
                done = true;
            else
                take(message);
        });
    }
    return {};
}

Result<> Interfaces::State::read_all() {
    constexpr int kTries = 10;
    for (int n = 0;; ++n) {
        all.clear();
        changed = true;
        auto ok = dump(RTM_GETLINK);
        if (ok) ok = dump(RTM_GETADDR);
        if (ok || ok.error().code != Errc::busy || n == kTries) return ok;
    }
}

Interfaces::Interfaces(std::unique_ptr<State> s) : state_(std::move(s)) {}
Interfaces::~Interfaces() = default;

Result<std::unique_ptr<Interfaces>> Interfaces::open() {
    auto socket = Socket::open(kGroups, kReceiveBuffer);
    if (!socket) return tl::unexpected(std::move(socket.error()));
    auto state = std::make_unique<State>(std::move(*socket));
    if (auto ok = state->read_all(); !ok)
        return tl::unexpected(std::move(ok.error()).within("cannot read the interfaces"));
    return std::unique_ptr<Interfaces>(new Interfaces(std::move(state)));
}

int Interfaces::fd() const { return state_->socket.fd(); }

Result<bool> Interfaces::process() {
    State& s = *state_;
    s.changed = false;
    for (;;) {
        const auto status = s.socket.receive();
        if (!status) return tl::unexpected(status.error());
        if (*status == Socket::Status::empty) return s.changed;
        if (*status == Socket::Status::overrun) {
            if (auto ok = s.read_all(); !ok) return tl::unexpected(ok.error());
            continue;
        }
        s.socket.each([&](const nlmsghdr& message) { s.take(message); });
    }
}

const std::vector<Interface>& Interfaces::all() const { return state_->all; }

const Interface* Interfaces::find(std::string_view name) const {
    for (const Interface& i : state_->all)
        if (i.link.name == name) return &i;
    return nullptr;
}

const Interface* Interfaces::find(uint32_t ifindex) const { return state_->find(ifindex); }

}  // namespace torii::kernel
