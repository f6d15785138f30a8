#include "control/kernel/mirror.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "control/kernel/parse.h"
#include "control/kernel/socket.h"
#include "control/kernel/tables.h"

namespace torii::kernel {
namespace {

constexpr unsigned kGroups[] = {RTNLGRP_LINK,        RTNLGRP_NEIGH,      RTNLGRP_IPV4_IFADDR,
                                RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
                                RTNLGRP_NEXTHOP};
// A dump that changes disturbed is repeated; under changes without end that must stop somewhere.
// What is left unclear then takes two routes of one destination and metric, one of them changed
// during the dump.
constexpr unsigned kRepeats = 3;
// More dumps than this in one process() wait for the next, which the outstanding answer brings
// about.
constexpr unsigned kDumpsAtOnce = 3 * kKinds;
constexpr int kAnswerMilliseconds = 5000;
constexpr const char* kNames[kKinds] = {"links",          "IPv4 addresses", "IPv6 addresses",
                                        "IPv4 routes",    "IPv6 routes",    "IPv4 neighbours",
                                        "IPv6 neighbours"};

Message dump_request(Kind kind) {
    const auto family = [&](Kind v4) { return uint8_t(kind == v4 ? AF_INET : AF_INET6); };
    switch (kind) {
        case Kind::links: {
            auto message = make_request(RTM_GETLINK, NLM_F_DUMP, ifinfomsg{});
            if (message) nla_put_u32(message.get(), IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
            return message;
        }
        case Kind::addresses4:
        case Kind::addresses6: {
            ifaddrmsg header{};
            header.ifa_family = family(Kind::addresses4);
            return make_request(RTM_GETADDR, NLM_F_DUMP, header);
        }
        case Kind::routes4:
        case Kind::routes6: {
            rtmsg header{};
            header.rtm_family = family(Kind::routes4);
            header.rtm_table = RT_TABLE_MAIN;
            return make_request(RTM_GETROUTE, NLM_F_DUMP, header);
        }
        default: {
            ndmsg header{};
            header.ndm_family = family(Kind::neighbours4);
            return make_request(RTM_GETNEIGH, NLM_F_DUMP, header);
        }
    }
}

/// What a kernel says that has no such family or, so far, no such table: there is nothing to list.
bool means_empty(int error) {
    return error == ENOENT || error == EOPNOTSUPP || error == EAFNOSUPPORT ||
           error == EPROTONOSUPPORT;
}

}  // namespace

struct Mirror::State {
    explicit State(Socket s) : socket(std::move(s)) {}

    Socket socket;
    Tables tables;
    Snapshot snapshot;
    uint64_t overruns = 0;

    uint32_t wanted = kEveryKind;  // kinds to dump, bit()
    struct Running {
        Kind kind;
        uint32_t sequence;
        bool interrupted = false;  // NLM_F_DUMP_INTR: the kernel lost its place
    };
    std::optional<Running> running;
    std::array<unsigned, kKinds> repeats{};
    std::optional<Error> trouble;  // first failure of this process()

    Result<> start_dump() {
        const Kind kind = Kind(__builtin_ctz(wanted));
        auto message = dump_request(kind);
        auto sequence = socket.send(message.get());
        if (!sequence) return tl::unexpected(std::move(sequence.error()));
        wanted &= ~bit(kind);
        running = Running{kind, *sequence};
        tables.begin(kind);
        return {};
    }

    void end_dump(int error) {
        const auto [kind, sequence, interrupted] = *running;
        running.reset();
        if (error && !means_empty(error)) {
            tables.abandon();
            wanted |= bit(kind);
            if (!trouble)
                trouble = std::move(
                    fail_errno(std::string("cannot list the kernel's ") + kNames[unsigned(kind)],
                               error)
                        .value());
            return;
        }
        unsigned& repeated = repeats[unsigned(kind)];
        const bool clean = tables.end() && !interrupted;
        if (clean || repeated >= kRepeats) {
            repeated = 0;
        } else {
            ++repeated;
            wanted |= bit(kind);
        }
    }

    void take(const nlmsghdr& header) {
        const bool answer =
            running && header.nlmsg_seq == running->sequence && header.nlmsg_pid == nl_port();
        if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) {
            if (answer) end_dump(error_of(header));
            return;
        }
        if (answer) {
            running->interrupted |= (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
            tables.dumped(parse(header));
        } else {
            tables.notified(parse(header));
            wanted |= tables.take_wanted();
        }
    }

    uint32_t nl_port() const {
        if (port == 0) {
            sockaddr_nl self{};
            socklen_t size = sizeof self;
            getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&self), &size);
            port = self.nl_pid;
        }
        return port;
    }
    mutable uint32_t port = 0;

    Result<> drain() {
        unsigned dumps = 0;
        for (;;) {
            if (!running && wanted && !trouble) {
                if (auto started = start_dump(); !started) return started;
                if (++dumps > kDumpsAtOnce) return {};
            }
            auto status = socket.receive();
            if (!status) return tl::unexpected(std::move(status.error()));
            if (*status == Socket::Status::empty) return {};
            if (*status == Socket::Status::overrun) {
                ++overruns;
                wanted = kEveryKind;
                continue;
            }
            socket.each([this](const nlmsghdr& header) { take(header); });
        }
    }

    Result<bool> process() {
        trouble.reset();
        if (auto drained = drain(); !drained) return tl::unexpected(std::move(drained.error()));
        if (trouble) return tl::unexpected(std::move(*trouble));
        return tables.update(snapshot);
    }
};

Mirror::Mirror(std::unique_ptr<State> state) : state_(std::move(state)) {}
Mirror::~Mirror() = default;

Result<std::unique_ptr<Mirror>> Mirror::open(MirrorOptions options) {
    auto socket = Socket::open(kGroups, options.receive_buffer);
    if (!socket) return tl::unexpected(std::move(socket.error()));
    auto state = std::make_unique<State>(std::move(*socket));
    for (;;) {
        if (auto processed = state->process(); !processed)
            return tl::unexpected(std::move(processed.error()));
        if (!state->running) break;
        if (auto ready = state->socket.wait(kAnswerMilliseconds); !ready)
            return tl::unexpected(std::move(ready.error()));
    }
    return std::unique_ptr<Mirror>(new Mirror(std::move(state)));
}

int Mirror::fd() const { return state_->socket.fd(); }
Result<bool> Mirror::process() { return state_->process(); }
const Snapshot& Mirror::snapshot() const { return state_->snapshot; }
uint64_t Mirror::overruns() const { return state_->overruns; }

}  // namespace torii::kernel
