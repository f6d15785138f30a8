#include "control/kernel/resolver.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>

#include "control/kernel/parse.h"
#include "control/kernel/socket.h"

namespace torii::kernel {
namespace {

// Marks the entries that a Resolver made (NDA_PROTOCOL), so that one that an administrator manages
// is told apart. No routing protocol has this number in iproute2's rt_protos.
constexpr uint8_t kProtocol = 116;
// Each acknowledgement is charged to our receive buffer at about 1 KiB; these fit into it many
// times.
constexpr size_t kBatch = 64;
constexpr size_t kReceiveBuffer = size_t{4} << 20;
constexpr int kAnswerMilliseconds = 5000;

enum class Request : uint8_t {
    manage,  // resolve now and keep resolved; the entry becomes ours
    keep,    // resolve now; it stays managed by whoever manages it
    use      // resolve now; on a managed entry this also ends the management
};

uint16_t request_flags(bool create) { return uint16_t(NLM_F_ACK | (create ? NLM_F_CREATE : 0)); }

Message neighbour_request(const Resolver::Target& target, Request request, bool create) {
    ndmsg header{};
    header.ndm_family = target.address.is_v4() ? AF_INET : AF_INET6;
    header.ndm_ifindex = int(target.ifindex);
    header.ndm_flags = NTF_USE;  // a kernel that does not know the extended flag does at least this
    auto message = make_request(RTM_NEWNEIGH, request_flags(create), header);
    if (!message) return message;
    put_address(message.get(), NDA_DST, target.address);
    if (request != Request::use) nla_put_u32(message.get(), NDA_FLAGS_EXT, NTF_EXT_MANAGED);
    if (request == Request::manage) nla_put_u8(message.get(), NDA_PROTOCOL, kProtocol);
    return message;
}

Message neighbour_query(const Resolver::Target& target) {
    ndmsg header{};
    header.ndm_family = target.address.is_v4() ? AF_INET : AF_INET6;
    header.ndm_ifindex = int(target.ifindex);
    auto message = make_request(RTM_GETNEIGH, NLM_F_ACK, header);
    if (message) put_address(message.get(), NDA_DST, target.address);
    return message;
}

Message neighbour_dump(int family) {
    ndmsg header{};
    header.ndm_family = uint8_t(family);
    return make_request(RTM_GETNEIGH, NLM_F_DUMP, header);
}

std::string reason_of(int error, const Resolver::Target& target) {
    const std::string name = to_string(target.address);
    switch (error) {
        case ENODEV:
            return "cannot resolve " + name + ": its link does not exist";
        case ENOBUFS:
        case ENOMEM:
            return "cannot resolve " + name + ": the kernel's neighbour table is full; raise net." +
                   (target.address.is_v4() ? "ipv4" : "ipv6") + ".neigh.default.gc_thresh3";
        default:
            return "cannot resolve " + name + ": " + std::strerror(error);
    }
}

}  // namespace

struct Resolver::State {
    explicit State(Socket s) : socket(std::move(s)) {}

    /// What matters here of a neighbour entry.
    struct Entry {
        bool untouchable = false, managed = false;
        uint8_t protocol = 0;
        bool ours() const { return managed && protocol == kProtocol; }
    };
    using Entries = std::map<Target, Entry>;

    Socket socket;
    std::set<Target> wanted;

    static void note(Entries& entries, const nlmsghdr& header) {
        const Change change = parse(header);
        if (const auto* n = std::get_if<NeighbourChange>(&change); n && !n->removed)
            entries[{n->neighbour.ifindex, n->neighbour.address}] = {n->untouchable, n->managed,
                                                                     n->protocol};
    }

    /// Visits what is received until `visit` says that it has all it waited for.
    template <class F>
    Result<> receive_until(F visit) {
        for (bool done = false; !done;) {
            auto status = socket.receive();
            if (!status) return tl::unexpected(std::move(status.error()));
            if (*status == Socket::Status::overrun)
                return fail(Errc::io, "answers about neighbours were lost");
            if (*status == Socket::Status::empty) {
                if (auto ready = socket.wait(kAnswerMilliseconds); !ready) return ready;
                continue;
            }
            socket.each([&](const nlmsghdr& header) { done |= visit(header); });
        }
        return {};
    }

    Result<> dump(int family, Entries& entries) {
        auto request = neighbour_dump(family);
        auto sequence = socket.send(request.get());
        if (!sequence) return tl::unexpected(std::move(sequence.error()));
        int error = 0;
        auto received = receive_until([&](const nlmsghdr& header) {
            if (header.nlmsg_seq != *sequence) return false;
            if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) {
                error = error_of(header);
                return true;
            }
            note(entries, header);
            return false;
        });
        if (!received) return received;
        // A kernel without IPv6 has no IPv6 neighbours.
        if (error && error != EOPNOTSUPP && error != EAFNOSUPPORT)
            return fail_errno("cannot list the kernel's neighbours", error);
        return {};
    }

    Result<Entries> all() {
        Entries entries;
        for (int family : {AF_INET, AF_INET6})
            if (auto dumped = dump(family, entries); !dumped)
                return tl::unexpected(std::move(dumped.error()));
        return entries;
    }

    /// One datagram with a message for each target; the kernel answers every one. Errors are
    /// positive errnos.
    template <class Make>
    Result<std::vector<int>> exchange(const std::vector<Target>& targets, Make make) {
        std::vector<int> errors(targets.size(), 0);
        for (size_t begin = 0; begin < targets.size(); begin += kBatch) {
            const size_t end = std::min(begin + kBatch, targets.size());
            std::vector<uint8_t> bytes;
            std::map<uint32_t, size_t> open;  // sequence number -> target
            for (size_t i = begin; i < end; ++i) {
                Message message = make(targets[i]);
                if (!message) return fail(Errc::io, "no memory for a netlink message");
                nlmsghdr* header = nlmsg_hdr(message.get());
                header->nlmsg_seq = socket.next_sequence();
                open[header->nlmsg_seq] = i;
                const auto* first = reinterpret_cast<const uint8_t*>(header);
                bytes.insert(bytes.end(), first, first + NLMSG_ALIGN(header->nlmsg_len));
            }
            if (auto sent = socket.send(bytes); !sent)
                return tl::unexpected(std::move(sent.error()));
            auto received = receive_until([&](const nlmsghdr& header) {
                const auto it = open.find(header.nlmsg_seq);
                if (header.nlmsg_type == NLMSG_ERROR && it != open.end()) {
                    errors[it->second] = error_of(header);
                    open.erase(it);
                }
                return open.empty();
            });
            if (!received) return tl::unexpected(std::move(received.error()));
        }
        return errors;
    }

    Result<> request(const std::vector<Target>& targets, Outcome& outcome) {
        auto errors = exchange(targets, [](const Target& target) {
            return neighbour_request(target, Request::manage, true);
        });
        if (!errors) return tl::unexpected(std::move(errors.error()));
        std::vector<Target> again;  // the kernel knows the attribute, but not this flag
        for (size_t i = 0; i < targets.size(); ++i) {
            const int error = (*errors)[i];
            if (error == EINVAL || error == EOPNOTSUPP)
                again.push_back(targets[i]);
            else if (error)
                outcome.refused.push_back({targets[i], reason_of(error, targets[i])});
            else
                ++outcome.requested;
        }
        errors = exchange(again, [](const Target& target) {
            return neighbour_request(target, Request::use, true);
        });
        if (!errors) return tl::unexpected(std::move(errors.error()));
        for (size_t i = 0; i < again.size(); ++i) {
            if (const int error = (*errors)[i])
                outcome.refused.push_back({again[i], reason_of(error, again[i])});
            else
                ++outcome.requested;
        }
        return {};
    }

    /// NTF_USE without the managed flag takes that flag away and leaves the entry's state as it is.
    Result<> release(const std::vector<Target>& targets, Outcome& outcome) {
        auto errors = exchange(targets, [](const Target& target) {
            return neighbour_request(target, Request::use, false);
        });
        if (!errors) return tl::unexpected(std::move(errors.error()));
        // An entry or a link that vanished in between needs no release.
        outcome.released += size_t(std::count(errors->begin(), errors->end(), 0));
        return {};
    }

    /// Requests those of `candidates` that the kernel does not manage and nobody made permanent.
    Result<> request_missing(const std::vector<Target>& candidates, const Entries& entries,
                             Outcome& outcome) {
        std::vector<Target> missing;
        for (const auto& target : candidates) {
            const auto it = entries.find(target);
            if (it == entries.end() || (!it->second.untouchable && !it->second.managed))
                missing.push_back(target);
        }
        return request(missing, outcome);
    }
};

Resolver::Resolver(std::unique_ptr<State> state) : state_(std::move(state)) {}
Resolver::~Resolver() = default;

Result<std::unique_ptr<Resolver>> Resolver::open() {
    auto socket = Socket::open({}, kReceiveBuffer);
    if (!socket) return tl::unexpected(std::move(socket.error()));
    return std::unique_ptr<Resolver>(new Resolver(std::make_unique<State>(std::move(*socket))));
}

Result<Resolver::Outcome> Resolver::set(std::vector<Target> targets) {
    const std::set<Target> next(targets.begin(), targets.end());
    std::vector<Target> added, dropped;
    std::set_difference(next.begin(), next.end(), state_->wanted.begin(), state_->wanted.end(),
                        std::back_inserter(added));
    std::set_difference(state_->wanted.begin(), state_->wanted.end(), next.begin(), next.end(),
                        std::back_inserter(dropped));
    Outcome outcome;
    if (added.empty() && dropped.empty()) return outcome;

    auto entries = state_->all();
    if (!entries) return tl::unexpected(std::move(entries.error()));
    std::erase_if(dropped, [&](const Target& target) {
        const auto it = entries->find(target);
        return it == entries->end() || it->second.untouchable || !it->second.ours();
    });
    if (auto released = state_->release(dropped, outcome); !released)
        return tl::unexpected(std::move(released.error()));
    // From here on the set is the new one, whatever the kernel says: refresh() goes on trying.
    state_->wanted = next;
    if (auto asked = state_->request_missing(added, *entries, outcome); !asked)
        return tl::unexpected(std::move(asked.error()));
    return outcome;
}

Result<Resolver::Outcome> Resolver::refresh() {
    Outcome outcome;
    if (state_->wanted.empty()) return outcome;
    auto entries = state_->all();
    if (!entries) return tl::unexpected(std::move(entries.error()));
    const std::vector<Target> wanted(state_->wanted.begin(), state_->wanted.end());
    if (auto asked = state_->request_missing(wanted, *entries, outcome); !asked)
        return tl::unexpected(std::move(asked.error()));
    return outcome;
}

Result<> Resolver::poke(const Target& target) {
    auto query = neighbour_query(target);
    auto sequence = state_->socket.send(query.get());
    if (!sequence) return tl::unexpected(std::move(sequence.error()));
    State::Entries entries;
    auto received = state_->receive_until([&](const nlmsghdr& header) {
        if (header.nlmsg_seq != *sequence) return false;
        if (header.nlmsg_type == NLMSG_ERROR) return true;  // the acknowledgement, or no such entry
        State::note(entries, header);
        return false;
    });
    if (!received) return received;
    const auto it = entries.find(target);
    if (it != entries.end() && it->second.untouchable) return {};
    auto request = Request::use;
    if (it != entries.end() && it->second.managed)
        request = Request::keep;  // NTF_USE alone would end the management
    else if (state_->wanted.contains(target))
        request = Request::manage;
    auto errors = state_->exchange(
        {target}, [&](const Target& t) { return neighbour_request(t, request, true); });
    if (!errors) return tl::unexpected(std::move(errors.error()));
    if (const int error = errors->front()) return fail(Errc::io, reason_of(error, target));
    return {};
}

}  // namespace torii::kernel
