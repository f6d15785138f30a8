#include "control/network.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <iterator>
#include <map>
#include <optional>
#include <set>

#include "control/compile_routes.h"
#include "control/kernel/mirror.h"
#include "control/kernel/resolver.h"
#include "control/log.h"

namespace torii::control {

namespace asio = boost::asio;
using Code = boost::system::error_code;
using Clock = std::chrono::steady_clock;
using kernel::Resolver;

struct Network::State {
    State(asio::io_context& loop, Publisher& to, const DataplaneLink& dataplane)
        : publisher(to), link(dataplane), descriptor(loop), coalesce(loop), refresh(loop) {}
    ~State() {
        if (descriptor.is_open()) descriptor.release();  // it belongs to the Mirror
    }

    void watch();
    void take_in();
    void schedule();
    Result<> publish();
    void resolve();
    void ask();
    void add_servers(const std::vector<Address>&, std::set<Resolver::Target>& to);
    void refresh_later();
    void report(const char* what, const Result<Resolver::Outcome>&);
    std::set<Resolver::Target> targets();
    void add_hops(const kernel::Route&, const Address* on_link, std::set<Resolver::Target>&);

    Publisher& publisher;
    const DataplaneLink& link;
    std::unique_ptr<kernel::Mirror> mirror;
    std::unique_ptr<Resolver> resolver;
    std::optional<kernel::RouteIndex> index;
    asio::posix::stream_descriptor descriptor;
    asio::steady_timer coalesce, refresh;
    bool scheduled = false, started = false;
    std::vector<Address> keep;
    std::set<Resolver::Target> asked;  // of the resolver
    std::function<void()> on_refresh;
    std::map<Resolver::Target, Clock::time_point> poked;
    std::set<Resolver::Target> refused;
    std::vector<uint32_t> links_up;
};

namespace {

std::vector<uint32_t> up_links(const kernel::Snapshot& s) {
    std::vector<uint32_t> up;
    for (const kernel::Link& l : s.links)
        if (l.up) up.push_back(l.ifindex);
    return up;
}

}  // namespace

Network::Network(std::unique_ptr<State> s) : state_(std::move(s)) {}
Network::~Network() = default;

Result<std::unique_ptr<Network>> Network::open(asio::io_context& loop, Publisher& publisher,
                                               const DataplaneLink& link) {
    auto s = std::make_unique<State>(loop, publisher, link);
    auto mirror = kernel::Mirror::open();
    if (!mirror) return tl::unexpected(std::move(mirror.error()).within("netlink"));
    s->mirror = std::move(*mirror);
    auto resolver = Resolver::open();
    if (!resolver) return tl::unexpected(std::move(resolver.error()).within("netlink"));
    s->resolver = std::move(*resolver);
    s->links_up = up_links(s->mirror->snapshot());
    return std::unique_ptr<Network>(new Network(std::move(s)));
}

Result<> Network::start() {
    State& s = *state_;
    Code error;
    s.descriptor.assign(s.mirror->fd(), error);
    if (error) return fail(Errc::io, "netlink: " + error.message());
    s.started = true;
    if (auto ok = s.publish(); !ok) return ok;
    s.watch();
    s.refresh_later();
    return {};
}

void Network::ports_changed() {
    if (state_->started) state_->schedule();
}

bool Network::pending() const { return state_->scheduled; }

void Network::keep_resolved(std::vector<Address> addresses) {
    if (addresses == state_->keep) return;
    state_->keep = std::move(addresses);
    if (state_->started) state_->resolve();
}

void Network::keep_also(std::vector<Address> more) {
    State& s = *state_;
    std::ranges::sort(more);
    std::vector<Address> fresh;
    std::ranges::set_difference(more, s.keep, std::back_inserter(fresh));
    fresh.erase(std::ranges::unique(fresh).begin(), fresh.end());
    if (fresh.empty()) return;
    std::vector<Address> all;
    std::ranges::set_union(s.keep, fresh, std::back_inserter(all));
    s.keep = std::move(all);
    if (!s.started) return;
    const size_t before = s.asked.size();
    s.add_servers(fresh, s.asked);
    if (s.asked.size() != before) s.ask();
}

void Network::on_refresh(std::function<void()> call) { state_->on_refresh = std::move(call); }

void Network::wanted(uint32_t ifindex, const Address& address) {
    State& s = *state_;
    const Resolver::Target target{ifindex, address};
    const auto now = Clock::now();
    // What was asked long ago is of no use; a flood of addresses must not fill the memory.
    if (s.poked.size() >= 4096)
        std::erase_if(s.poked, [&](const auto& p) { return now - p.second >= kPoke; });
    if (s.poked.size() >= 4096) return;
    const auto [it, fresh] = s.poked.emplace(target, now);
    if (!fresh && now - it->second < kPoke) return;
    it->second = now;
    if (auto ok = s.resolver->poke(target); !ok)
        spdlog::debug("event=poke address={} ifindex={} error={}", to_string(address), ifindex,
                      in_quotes(ok.error().message));
}

const kernel::RouteIndex& Network::routes() {
    if (!state_->index) state_->index.emplace(state_->mirror->snapshot());
    return *state_->index;
}

void Network::State::watch() {
    descriptor.async_wait(asio::posix::stream_descriptor::wait_read, [this](Code error) {
        if (error) return;
        take_in();
        watch();
    });
}

void Network::State::take_in() {
    const auto changed = mirror->process();
    if (!changed) {
        spdlog::warn("event=netlink error={}", in_quotes(changed.error().message));
        return;
    }
    if (!*changed) return;
    index.reset();  // it refers to the snapshot of before
    schedule();
}

void Network::State::schedule() {
    if (scheduled) return;
    scheduled = true;
    coalesce.expires_after(kCoalesce);
    coalesce.async_wait([this](Code error) {
        if (error) return;
        scheduled = false;
        if (auto ok = publish(); !ok)
            spdlog::error("event=publish kind=routes error={}", in_quotes(ok.error().message));
    });
}

Result<> Network::State::publish() {
    const kernel::Snapshot& snapshot = mirror->snapshot();
    auto object = shm::build(compile(snapshot, link.ports()));
    if (!object) return tl::unexpected(object.error());
    const auto published = publisher.routes(std::move(*object));
    if (!published) return tl::unexpected(published.error());
    if (*published) {
        spdlog::debug("event=published kind=routes generation={} routes={} neighbours={}",
                      publisher.next_routes() - 1, snapshot.routes.size(),
                      snapshot.neighbours.size());
        if (!link.up()) publisher.remove_superseded();
    }
    // A link that comes up has lost its managed neighbours.
    std::vector<uint32_t> up = up_links(snapshot);
    if (up != links_up) {
        links_up = std::move(up);
        report("refresh", resolver->refresh());
    }
    resolve();
    return {};
}

void Network::State::add_hops(const kernel::Route& r, const Address* on_link,
                              std::set<Resolver::Target>& to) {
    for (const kernel::Hop& h : r.hops) {
        const kernel::Link* l = kernel::find_link(mirror->snapshot(), h.ifindex);
        if (l == nullptr || l->loopback || !l->up || l->mac.is_zero()) continue;
        if (h.gateway)
            to.insert({h.ifindex, *h.gateway});
        else if (on_link != nullptr)
            to.insert({h.ifindex, *on_link});
    }
}

void Network::State::add_servers(const std::vector<Address>& servers,
                                 std::set<Resolver::Target>& to) {
    if (!index) index.emplace(mirror->snapshot());
    for (const Address& a : servers)
        if (const kernel::Route* r = index->route(a);
            r != nullptr && !kernel::is_local(mirror->snapshot(), a))
            add_hops(*r, &a, to);
}

// Next hops of the servers, wherever they are, and the gateways that the ports can reach.
std::set<Resolver::Target> Network::State::targets() {
    std::set<Resolver::Target> wanted;
    add_servers(keep, wanted);
    for (const kernel::Route* r : kernel::best_routes(mirror->snapshot())) {
        kernel::Route on_ports = *r;
        std::erase_if(on_ports.hops, [&](const kernel::Hop& h) {
            return attachment(mirror->snapshot(), link.ports(), h.ifindex).port == shm::kNoPort;
        });
        add_hops(on_ports, nullptr, wanted);
    }
    return wanted;
}

void Network::State::resolve() {
    asked = targets();
    ask();
}

void Network::State::ask() { report("resolve", resolver->set({asked.begin(), asked.end()})); }

void Network::State::refresh_later() {
    refresh.expires_after(kRefresh);
    refresh.async_wait([this](Code error) {
        if (error) return;
        if (on_refresh) on_refresh();
        report("refresh", resolver->refresh());
        refresh_later();
    });
}

// A refusal is told once, not every five seconds.
void Network::State::report(const char* what, const Result<Resolver::Outcome>& outcome) {
    if (!outcome) {
        spdlog::warn("event={} error={}", what, in_quotes(outcome.error().message));
        return;
    }
    std::set<Resolver::Target> now;
    for (const Resolver::Refusal& r : outcome->refused) {
        now.insert(r.target);
        if (!refused.contains(r.target))
            spdlog::warn("event=neighbour address={} ifindex={} error={}",
                         to_string(r.target.address), r.target.ifindex, in_quotes(r.reason));
    }
    refused = std::move(now);
}

}  // namespace torii::control
