#include <algorithm>

#include "control/vrrp/conductor_parts.h"

namespace torii::control::vrrp {

namespace {

// Who does not depend on the dataplane need not wait for its tables.
bool waits(const InstancePlan& p) {
    return std::any_of(p.tracked.begin(), p.tracked.end(),
                       [](const pure::Tracked& t) { return t.kind == pure::TrackKind::dataplane; });
}

void count_lateness(Counters& c, pure::Duration late, pure::Duration interval) {
    const auto us = uint64_t(std::max<int64_t>(late.count(), 0));
    const auto bucket = std::lower_bound(kLateness.begin(), kLateness.end(), us);
    ++c.lateness[size_t(bucket - kLateness.begin())];
    c.lateness_sum_us += us;
    if (late > interval / 2) ++c.late;
}

}  // namespace

Conductor::Conductor(Mailboxes& boxes, FrameSocket& frames, Listen listen)
    : boxes_(boxes), frames_(frames), listen_(std::move(listen)) {}
Conductor::~Conductor() = default;

Conductor::Instance* Conductor::find(Key key) const {
    for (const auto& i : instances_)
        if (i->key == key) return i.get();
    return nullptr;
}

Conductor::Port* Conductor::port_of(const AdvertSocket* socket) const {
    for (const auto& p : ports_)
        if (p->socket == socket) return p.get();
    return nullptr;
}

void Conductor::take(Command c, Time now) {
    switch (c.kind) {
        case Command::Kind::none:
            break;
        case Command::Kind::plan:
            return apply(std::move(c.plan), std::move(c.hands_plan), now);
        case Command::Kind::tracked:
            if (Instance* i = find(c.key); i != nullptr && c.item < i->plan->tracked.size()) {
                i->plan->tracked[c.item].health = c.health;
                i->plan->tracked[c.item].number = c.number;
                refresh(*i->group, now);
            }
            break;
        case Command::Kind::ready:
            ready_ = true;
            for (const auto& g : groups_) refresh(*g, now);
            break;
        case Command::Kind::stop:
            return stop(now);
        case Command::Kind::report: {
            fill(*c.report);
            News n;
            n.kind = News::Kind::report;
            n.report = std::move(c.report);
            boxes_.news->send(std::move(n));
            break;
        }
    }
}

void Conductor::take(Fact f, Time now) {
    if (f.kind == Fact::Kind::retire) return drop(f.socket);
    if (f.kind == Fact::Kind::done) {
        News n;
        n.kind = News::Kind::stopped;
        boxes_.news->send(std::move(n));
        done_ = true;
    }
    if (f.edition != edition_ || stopping_) return;  // there are newer ones on their way
    Instance* i = find(f.key);
    if (i == nullptr) return;
    if (f.kind == Fact::Kind::ground) take_ground(*i, f.ground, now);
    if (f.kind == Fact::Kind::tracked && f.item < i->plan->tracked.size()) {
        i->plan->tracked[f.item].health = f.health;
        refresh(*i->group, now);
    }
}

void Conductor::take_ground(Instance& i, const Ground& ground, Time now) {
    const Address local = ground.usable ? ground.local : i.identity.local;
    i.ground = ground;
    i.ground_known = true;
    i.identity.local = i.settings.local = local;
    fill_ports();
    refresh(*i.group, now);
}

void Conductor::drop(AdvertSocket* socket) {
    for (const auto& i : instances_)
        if (i->ground.socket == socket) i->ground.socket = nullptr;
    fill_ports();
    Order o;
    o.kind = Order::Kind::close;
    o.socket = socket;
    boxes_.orders->send(std::move(o));
}

// Which instance a message on which socket is for.
void Conductor::fill_ports() {
    for (const auto& p : ports_) p->by_id.fill(nullptr);
    for (const auto& i : instances_) {
        if (i->ground.socket == nullptr) continue;
        Port* p = port_of(i->ground.socket);
        if (p == nullptr) {
            p = ports_.emplace_back(std::make_unique<Port>()).get();
            p->socket = i->ground.socket;
            listen_(*p->socket, true);
        }
        p->by_id[i->identity.router_id] = i.get();
    }
    std::erase_if(ports_, [&](const auto& p) {
        if (std::any_of(p->by_id.begin(), p->by_id.end(), [](auto* i) { return i != nullptr; }))
            return false;
        listen_(*p->socket, false);
        return true;
    });
}

// Puts what is watched into priority, fault and readiness.
void Conductor::refresh(Group& g, Time now) {
    if (stopping_) return;
    for (Instance* i : g.instances) {
        std::vector<pure::Tracked> shared;
        for (const Instance* other : g.instances)
            if (other != i)
                shared.insert(shared.end(), other->plan->tracked.begin(),
                              other->plan->tracked.end());
        const pure::Effective e =
            pure::effective_priority(i->plan->settings.priority, i->plan->tracked, shared);
        if (e.priority != i->settings.priority) {
            i->settings.priority = e.priority;
            step(*i, pure::Changed{}, now);
            News n;
            n.kind = News::Kind::priority;
            n.key = i->key;
            n.role = i->state().role;
            n.priority = e.priority;
            boxes_.news->send(std::move(n));
        }
        const bool fault = e.fault || (i->ground_known && !i->ground.usable);
        if (fault != i->state().fault) step(*i, pure::Fault{fault}, now);
        if ((ready_ || !waits(*i->plan)) && i->ground_known && !e.pending && !i->state().ready)
            step(*i, pure::Ready{}, now);
    }
}

void Conductor::step(Instance& i, const pure::Event& event, Time now) {
    actions_.clear();
    pure::step_group(i.group->members, i.member, event, now, actions_);
    for (const pure::MemberActions& m : actions_) perform(*i.group->instances[m.member], m.actions);
    for (Instance* member : i.group->instances) tell_waits(*member);
}

// Whether another router is active. Who has just begun and has heard of none, and who is alone and
// stops, leaves it as it was. Told before addresses are held, and after they are released.
void Conductor::tell_waits(Instance& i) {
    const pure::State& s = i.state();
    const bool waits = s.role != pure::Role::active;
    if (s.role == pure::Role::backup && s.active_router.is_unspecified()) return;
    if (s.role == pure::Role::initialize && (s.started || i.counters.received == 0)) return;
    if (i.waits == waits) return;
    i.waits = waits;
    Order o;
    o.kind = Order::Kind::waits;
    o.key = i.key;
    o.waits = waits;
    boxes_.orders->send(std::move(o));
}

void Conductor::perform(Instance& i, const pure::Actions& actions) {
    if (i.state().role == pure::Role::active) tell_waits(i);
    for (const pure::Action& a : actions) {
        Order o;
        News n;
        o.key = n.key = i.key;
        switch (a.kind) {
            case pure::Action::Kind::send_advert:
                send_advert(i, a.priority);
                break;
            case pure::Action::Kind::hold:
                o.kind = Order::Kind::hold;
                break;
            case pure::Action::Kind::release:
                o.kind = Order::Kind::release;
                o.linger = a.linger;
                break;
            case pure::Action::Kind::announce:
                o.kind = Order::Kind::announce;
                o.repeat = a.repeat;
                break;
            case pure::Action::Kind::notify:
                n.kind = News::Kind::transition;
                ++i.counters.transitions[size_t(a.role)];
                break;
            case pure::Action::Kind::weaker:
                n.kind = News::Kind::weaker;
                ++i.counters.weaker;
                break;
        }
        n.role = a.role;
        n.reason = a.reason;
        n.priority = i.settings.priority;
        if (o.kind != Order::Kind::none) boxes_.orders->send(std::move(o));
        if (n.kind != News::Kind::none) boxes_.news->send(std::move(n));
    }
}

void Conductor::send_advert(Instance& i, uint8_t priority) {
    if (i.ground.socket == nullptr) return;
    const auto to = [&](const Address& destination) {
        const size_t size = pure::encode(i.identity, priority, destination, message_);
        const std::span<const std::byte> message(message_.data(), size);
        const bool ok = i.plan->virtual_mac && !i.identity.unicast
                            ? send_framed(i, message)
                            : i.ground.socket->send(message, i.identity.local, destination);
        ++(ok ? i.counters.sent : i.counters.send_failed);
        if (ok && priority == pure::kResign) ++i.counters.resignations_sent;
    };
    if (!i.identity.unicast) return to(pure::group_address(i.identity.family));
    for (const Address& peer : i.identity.peers) to(peer);
}

bool Conductor::send_framed(Instance& i, std::span<const std::byte> message) {
    const Mac from = pure::virtual_mac(i.identity.family, i.identity.router_id);
    const size_t size = advert_frame(message, i.identity.local, from, frame_);
    return size != 0 && frames_.send(i.ground.ifindex, {frame_.data(), size});
}

void Conductor::hear(AdvertSocket& socket, std::span<const pure::Received> messages, Time now) {
    lost_ += socket.lost();
    const Port* port = port_of(&socket);
    if (port == nullptr) return;
    for (const pure::Received& m : messages) {
        // Even what is too short has one, or the filter would not have passed it.
        Instance* i = m.message.size() > 1 ? port->by_id[size_t(m.message[1])] : nullptr;
        if (i == nullptr || !i->ground.usable) continue;  // the filter was set for another plan
        const auto advert = pure::decode(m, i->identity);
        if (!advert) {
            ++i->counters.refused[size_t(advert.error())];
            continue;
        }
        ++i->counters.received;
        if (advert->priority == pure::kResign) ++i->counters.resignations_received;
        step(*i, *advert, now);
    }
    quit_when_stopped();
}

void Conductor::tick(Time now) {
    for (const auto& g : groups_) {
        if (pure::wakeup(g->members) > now) continue;
        for (Instance* i : g->instances) {
            const pure::State& s = i->state();
            if (pure::wakeup(s) > now) continue;
            if (s.role == pure::Role::active && !s.leaving && s.deadline <= now)
                count_lateness(i->counters, now - s.deadline, i->settings.interval);
            step(*i, pure::Tick{}, now);
        }
    }
    quit_when_stopped();
}

Conductor::Time Conductor::wakeup() const {
    Time first = pure::kNever;
    for (const auto& g : groups_) first = std::min(first, pure::wakeup(g->members));
    return first;
}

// An active instance resigns and serves on for a moment; told a second time, it ends at once.
void Conductor::stop(Time now) {
    stopping_ = true;
    for (const auto& i : instances_) stop(*i, now);
    quit_when_stopped();
}

void Conductor::stop(Instance& i, Time now) {
    const pure::Step s = pure::step(i.settings, i.state(), pure::Stop{}, now);
    i.state() = s.state;
    perform(i, s.actions);
    tell_waits(i);
}

void Conductor::quit_when_stopped() {
    if (!stopping_ || quitting_) return;
    for (const auto& i : instances_)
        if (i->state().role != pure::Role::initialize) return;
    quitting_ = true;
    Order o;
    o.kind = Order::Kind::quit;
    boxes_.orders->send(std::move(o));
}

void Conductor::fill(Report& r) const {
    r.instances.resize(instances_.size());  // the sender has made room
    for (size_t n = 0; n < instances_.size(); ++n) {
        Instance& i = *instances_[n];
        const pure::State& s = i.state();
        r.instances[n] = {i.key,
                          s.role,
                          i.settings.priority,
                          s.active_router,
                          s.active_priority,
                          s.active_interval,
                          i.counters};
    }
    r.lost = lost_;
}

}  // namespace torii::control::vrrp
