#include "control/vrrp/hands.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include "control/vrrp/announce.h"
#include "control/vrrp/ground.h"
#include "control/vrrp/holdings.h"
#include "control/vrrp/realtime.h"
#include "control/vrrp/standby.h"

namespace torii::control::vrrp {

namespace pure = torii::vrrp;
using Clock = std::chrono::steady_clock;

class Hands::Work {
public:
    Work(Mailboxes& boxes, shm::StandbyTable& standby) : boxes_(boxes), standby_(standby) {}
    Result<> open();
    void run();

private:
    // A burst of which some packets are still to be sent.
    struct Burst {
        Clock::time_point due;
        unsigned left = 0;
    };
    // What was told about an instance, so that only changes are.
    struct Told {
        Ground ground;
        std::string reason;
        std::vector<pure::Health> interfaces;
        bool any = false;
    };

    bool obey(Order);
    void release(const InstancePlan&);
    void release_in_time();
    void take_plan(Order);
    void look_again();
    void tell_ground(const InstancePlan&);
    void tell_interfaces(const InstancePlan&);
    AdvertSocket* socket_for(const Footing&, const InstancePlan&, std::string& reason);
    void set_filters();
    void retire_sockets();
    void hold_again();
    void announce(Key, unsigned repeat);
    void announce_once(const InstancePlan&);
    void go_on_announcing();
    int wait_milliseconds() const;
    void remark(Remark::Kind, Key, std::string);

    Mailboxes& boxes_;
    StandbyBook standby_;
    std::unique_ptr<kernel::Interfaces> interfaces_;
    std::unique_ptr<kernel::Editor> editor_;
    std::unique_ptr<FrameSocket> frames_;
    std::optional<Holdings> holdings_;
    std::unique_ptr<Plan> plan_ = std::make_unique<Plan>();
    uint32_t edition_ = 0;
    std::map<std::pair<uint32_t, Family>, std::unique_ptr<AdvertSocket>> sockets_;
    std::vector<std::unique_ptr<AdvertSocket>> retired_;
    std::map<Key, Told> told_;
    std::map<Key, Burst> bursts_;
    std::map<Key, Clock::time_point> lingering_;  // what is to be released, and when
};

Result<> Hands::Work::open() {
    auto interfaces = kernel::Interfaces::open();
    if (!interfaces) return tl::unexpected(interfaces.error());
    interfaces_ = std::move(*interfaces);
    auto editor = kernel::Editor::open();
    if (!editor) return tl::unexpected(editor.error());
    editor_ = std::move(*editor);
    auto frames = FrameSocket::open();
    if (!frames) return tl::unexpected(frames.error());
    frames_ = std::move(*frames);
    holdings_.emplace(*editor_, *interfaces_, [this](Key key, std::string text) {
        remark(Remark::Kind::warning, key, std::move(text));
    });
    return {};
}

void Hands::Work::remark(Remark::Kind kind, Key key, std::string text) {
    Remark r;
    r.kind = kind;
    r.key = key;
    r.text = std::move(text);
    boxes_.remarks->send(std::move(r));
}

int Hands::Work::wait_milliseconds() const {
    if (bursts_.empty() && lingering_.empty()) return -1;
    Clock::time_point first = Clock::time_point::max();
    for (const auto& [key, due] : lingering_) first = std::min(first, due);
    for (const auto& [key, burst] : bursts_) first = std::min(first, burst.due);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(first - Clock::now()).count();
    return int(std::max<int64_t>(left, 0));
}

void Hands::Work::run() {
    for (;;) {
        pollfd waiting[] = {{boxes_.orders->fd(), POLLIN, 0}, {interfaces_->fd(), POLLIN, 0}};
        ::poll(waiting, 2, wait_milliseconds());
        // The network first: an order may be about what has just changed.
        const auto changed = interfaces_->process();
        if (!changed) remark(Remark::Kind::warning, 0, changed.error().message);
        if (changed && *changed) look_again();
        boxes_.orders->rest();
        while (auto order = boxes_.orders->take())
            if (!obey(std::move(*order))) return;
        release_in_time();
        go_on_announcing();
    }
}

// False when there is nothing more to do.
bool Hands::Work::obey(Order o) {
    const InstancePlan* plan = plan_->find(o.key);
    switch (o.kind) {
        case Order::Kind::none:
            break;
        case Order::Kind::plan:
            take_plan(std::move(o));
            break;
        case Order::Kind::hold:
            lingering_.erase(o.key);
            standby_.lingers(o.key, false);
            if (plan != nullptr) holdings_->hold(*plan);
            break;
        case Order::Kind::release:
            bursts_.erase(o.key);
            if (o.linger.count() != 0) {
                lingering_[o.key] = Clock::now() + o.linger;
                standby_.lingers(o.key, true);
            } else if (plan != nullptr) {
                release(*plan);
            }
            break;
        case Order::Kind::waits:
            standby_.waits(o.key, o.waits);
            break;
        case Order::Kind::announce:
            announce(o.key, o.repeat);
            break;
        case Order::Kind::close:
            std::erase_if(retired_, [&](const auto& s) { return s.get() == o.socket; });
            break;
        case Order::Kind::quit: {
            for (const InstancePlan& p : plan_->instances) {
                if (lingering_.contains(p.key)) release(p);
                holdings_->forget(p.key);
            }
            Fact f;
            f.kind = Fact::Kind::done;
            boxes_.facts->send(std::move(f));
            return false;
        }
    }
    return true;
}

void Hands::Work::release(const InstancePlan& p) {
    lingering_.erase(p.key);
    holdings_->release(p);
    standby_.lingers(p.key, false);
}

void Hands::Work::release_in_time() {
    const auto now = Clock::now();
    for (const InstancePlan& p : plan_->instances)
        if (const auto it = lingering_.find(p.key); it != lingering_.end() && it->second <= now)
            release(p);
}

void Hands::Work::take_plan(Order o) {
    for (const InstancePlan& old : plan_->instances) {
        // What it held was what this plan says, not the next one.
        if (lingering_.contains(old.key)) release(old);
        if (o.plan->find(old.key) != nullptr) continue;
        holdings_->forget(old.key);
        told_.erase(old.key);
        bursts_.erase(old.key);
    }
    plan_ = std::move(o.plan);
    edition_ = o.edition;
    standby_.plan(*plan_);
    for (auto& [key, told] : told_) told.any = false;  // all is told anew, with the new edition
    look_again();
}

void Hands::Work::look_again() {
    for (const InstancePlan& p : plan_->instances) {
        tell_interfaces(p);
        tell_ground(p);
    }
    set_filters();
    retire_sockets();
    hold_again();
}

void Hands::Work::tell_interfaces(const InstancePlan& p) {
    Told& told = told_[p.key];
    if (!told.any) told.interfaces.assign(p.tracked.size(), pure::Health::unknown);
    for (size_t n = 0; n < p.tracked.size(); ++n) {
        if (p.tracked[n].kind != pure::TrackKind::interface) continue;
        const kernel::Interface* i = interfaces_->find(std::string_view(p.tracked[n].name));
        const auto health = i != nullptr && i->link.up ? pure::Health::well : pure::Health::ill;
        if (told.interfaces[n] == health) continue;
        told.interfaces[n] = health;
        Fact f;
        f.kind = Fact::Kind::tracked;
        f.edition = edition_;
        f.key = p.key;
        f.item = uint32_t(n);
        f.health = health;
        boxes_.facts->send(std::move(f));
        Remark r;
        r.kind = Remark::Kind::tracked;
        r.key = p.key;
        r.item = uint32_t(n);
        r.health = health;
        boxes_.remarks->send(std::move(r));
    }
}

void Hands::Work::tell_ground(const InstancePlan& p) {
    const Footing footing = footing_of(*plan_, p, *interfaces_);
    std::string reason = footing.reason;
    Ground g;
    if (reason.empty()) {
        const auto prepared = holdings_->prepare(p, footing.ifindex);
        if (!prepared) reason = prepared.error().message;
        if (prepared) g.socket = socket_for(footing, p, reason);
        g.usable = g.socket != nullptr;
        g.ifindex = footing.ifindex;
        g.local = footing.local;
    }
    Told& told = told_[p.key];
    if (told.any && told.ground == g && told.reason == reason) return;
    told.any = true;
    told.ground = g;
    told.reason = reason;
    Fact f;
    f.kind = Fact::Kind::ground;
    f.edition = edition_;
    f.key = p.key;
    f.ground = g;
    boxes_.facts->send(std::move(f));
    remark(Remark::Kind::ground, p.key, std::move(reason));
}

AdvertSocket* Hands::Work::socket_for(const Footing& f, const InstancePlan& p,
                                      std::string& reason) {
    auto& slot = sockets_[{f.ifindex, p.identity.family}];
    if (slot) return slot.get();
    auto opened = AdvertSocket::open(f.ifindex, p.interface, p.identity.family);
    if (opened) return (slot = std::move(*opened)).get();
    reason = opened.error().message;
    sockets_.erase({f.ifindex, p.identity.family});
    return nullptr;
}

void Hands::Work::set_filters() {
    for (const auto& [where, socket] : sockets_) {
        RouterIds ids;
        for (const InstancePlan& p : plan_->instances)
            if (told_[p.key].ground.socket == socket.get()) ids.set(p.identity.router_id);
        if (const auto ok = socket->accept(ids); !ok)
            remark(Remark::Kind::warning, 0, ok.error().message);
    }
}

// Those that no instance stands on any more; the speaker says when it has let go.
void Hands::Work::retire_sockets() {
    for (auto it = sockets_.begin(); it != sockets_.end();) {
        AdvertSocket* const socket = it->second.get();
        if (std::any_of(told_.begin(), told_.end(),
                        [&](const auto& entry) { return entry.second.ground.socket == socket; })) {
            ++it;
            continue;
        }
        retired_.push_back(std::move(it->second));
        it = sockets_.erase(it);
        Fact f;
        f.kind = Fact::Kind::retire;
        f.socket = socket;
        boxes_.facts->send(std::move(f));
    }
}

// Somebody took an address away from an active instance.
void Hands::Work::hold_again() {
    for (const InstancePlan& p : plan_->instances) {
        if (!holdings_->missing(p)) continue;
        remark(Remark::Kind::warning, p.key, "an address was taken away from outside; added again");
        holdings_->hold(p);
        announce(p.key, p.settings.announce_repeat);
    }
}

void Hands::Work::announce(Key key, unsigned repeat) {
    const InstancePlan* p = plan_->find(key);
    if (p == nullptr || repeat == 0) return;
    if (p->announce_interval.count() == 0) {
        for (; repeat > 0; --repeat) announce_once(*p);
        return;
    }
    bursts_[key] = {Clock::now(), repeat};
    go_on_announcing();
}

void Hands::Work::announce_once(const InstancePlan& p) {
    for (const Holdings::Place& place : holdings_->places(p)) {
        const AnnounceFrame frame = announce_frame(place.address, place.mac, true);
        frames_->send(place.ifindex, frame.span());
    }
}

void Hands::Work::go_on_announcing() {
    const auto now = Clock::now();
    for (auto it = bursts_.begin(); it != bursts_.end();) {
        Burst& burst = it->second;
        const InstancePlan* p = plan_->find(it->first);
        if (p != nullptr && burst.due > now) {
            ++it;
            continue;
        }
        if (p != nullptr) {
            announce_once(*p);
            burst.due = now + p->announce_interval;
            --burst.left;
        }
        it = p == nullptr || burst.left == 0 ? bursts_.erase(it) : std::next(it);
    }
}

Hands::Hands(std::unique_ptr<Work> w) : work_(std::move(w)) {}

Hands::~Hands() {
    if (thread_.joinable()) thread_.join();
}

Result<std::unique_ptr<Hands>> Hands::start(Mailboxes& boxes, shm::StandbyTable& standby,
                                            unsigned realtime) {
    auto work = std::make_unique<Work>(boxes, standby);
    if (auto ok = work->open(); !ok) return tl::unexpected(ok.error());
    std::unique_ptr<Hands> h(new Hands(std::move(work)));
    h->thread_ = start_punctual(
        "torii-vrrp-net", realtime, [w = h->work_.get()] { w->run(); }, h->warning_);
    return h;
}

}  // namespace torii::control::vrrp
