#pragma once
// Desired: what the tables shall hold, as LVS would see it. A pure function of the configuration,
// then of runtime edits, of what is said by hand and of health; recomputed, never patched. States
// share the services that they have alike, and every step hands on what it does not change: so a
// change costs a look at each service and the work on those it touches.

#include <compare>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/model/config.h"
#include "control/shared.h"
#include "dataplane/shm/services.h"

namespace torii::control {

/// What makes two virtual services the same one, as in LVS: address, port and protocol, or a
/// firewall mark and a family.
struct ServiceKey {
    Address address;  ///< of a mark service: the unspecified one of its family, 0.0.0.0 or ::
    uint16_t port = 0;
    Protocol protocol = Protocol::any;
    uint32_t mark = 0;  ///< 0: not a mark service
    static ServiceKey of_mark(uint32_t mark, Family family = Family::ipv4) {
        return {family == Family::ipv4 ? Address::v4({}) : Address{}, 0, Protocol::any, mark};
    }
    Family family() const { return address.family(); }
    friend bool operator==(const ServiceKey&, const ServiceKey&) = default;
    friend auto operator<=>(const ServiceKey&, const ServiceKey&) = default;
};
std::string to_string(const ServiceKey&);  ///< 192.0.2.1:80/tcp, mark:7, mark:7/ipv6

/// For tables of tens of thousands, where ordered maps would take most of the time.
struct KeyHash {
    static size_t mix(size_t h, size_t more) {
        return (h ^ more) * 0x9e3779b97f4a7c15u ^ (h >> 29);
    }
    size_t operator()(const Endpoint& e) const {
        return mix(std::hash<Address>()(e.address), e.port);
    }
    size_t operator()(const ServiceKey& k) const {
        return mix(mix(std::hash<Address>()(k.address), k.port), k.mark << 8 | uint8_t(k.protocol));
    }
    size_t operator()(const std::pair<ServiceKey, Endpoint>& p) const {
        return mix((*this)(p.first), (*this)(p.second));
    }
};

/// A destination of one service. `key` is its identity inside the service.
struct Destination {
    Endpoint key;
    std::string name;  ///< of the server in the configuration; empty when given by address
    uint16_t weight = 1;
    uint32_t upper = 0, lower = 0;
    shm::Forward forward = shm::Forward::nat;
    shm::Tunnel tunnel{};  ///< of Forward::tunnel
    uint64_t added = 0;    ///< number of the runtime edit that added it; 0: the file did
    uint64_t edited = 0;   ///< number of the latest runtime edit of it; 0: none
    friend bool operator==(const Destination&, const Destination&) = default;
};

/// The persistence mask that makes every client one by itself.
constexpr uint32_t full_mask(Family f) { return f == Family::ipv4 ? 0xffffffff : 128; }

/// An LVS service: one virtual of a configured service.
struct Service {
    ServiceKey key = {};
    std::string name;  ///< the configured service's
    std::string scheduler;
    uint16_t scheduler_flags = 0;           ///< LVS bits: 0x08 fallback, 0x10 port
    std::vector<Destination> destinations;  ///< in the order they are added
    uint32_t persistence_timeout = 0;       ///< seconds; 0 = not persistent
    /// Which clients count as one: an IPv4 mask in host order, IPv6 a prefix length.
    uint32_t persistence_mask = full_mask(key.family());
    bool one_packet = false;
    std::string pe;      ///< persistence engine, or empty
    uint32_t drain = 0;  ///< seconds that a leaving backend's connections live; 0 = for ever
    uint64_t added = 0;  ///< number of the runtime edit that added it; 0: the file did
    friend bool operator==(const Service&, const Service&) = default;
};

using ServiceHandle = Shared<Service>;

/// Services in their order.
class ServiceList {
public:
    ServiceList() = default;
    ServiceList(std::initializer_list<Service> all) : all_(all.begin(), all.end()) {}
    ServiceList(std::vector<Service> all);
    explicit ServiceList(std::vector<ServiceHandle> all) : all_(std::move(all)) {}

    class Iterator {
    public:
        using value_type = Service;
        using difference_type = std::ptrdiff_t;
        Iterator() = default;
        explicit Iterator(const ServiceHandle* at) : at_(at) {}
        const Service& operator*() const { return **at_; }
        const Service* operator->() const { return &**at_; }
        Iterator& operator++() { return ++at_, *this; }
        Iterator operator++(int) { return Iterator(at_++); }
        friend bool operator==(const Iterator&, const Iterator&) = default;

    private:
        const ServiceHandle* at_ = nullptr;
    };
    Iterator begin() const { return Iterator(all_.data()); }
    Iterator end() const { return Iterator(all_.data() + all_.size()); }
    size_t size() const { return all_.size(); }
    bool empty() const { return all_.empty(); }
    const Service& operator[](size_t i) const { return *all_[i]; }
    const Service& at(size_t i) const { return *all_.at(i); }
    const Service& back() const { return *all_.back(); }
    std::span<const ServiceHandle> handles() const { return all_; }

    void push_back(Service s) { all_.emplace_back(std::move(s)); }
    void push_back(ServiceHandle s) { all_.push_back(std::move(s)); }
    void pop_back() { all_.pop_back(); }
    /// To be changed.
    Service& edit(size_t i) { return all_[i].edit(); }
    void set(size_t i, ServiceHandle s) { all_[i] = std::move(s); }
    friend bool operator==(const ServiceList&, const ServiceList&) = default;

private:
    std::vector<ServiceHandle> all_;
};

/// What a step made of each service: asked again for the same service (and, where the step has
/// more that it depends on, the same `With`), it hands out the same result. Forgets services that
/// were not asked for since the last sweep(). `With` is compared by ==, which must be quick.
template <class With>
class Remembered {
public:
    /// nullptr: not known.
    const ServiceHandle* find(const ServiceKey& key, const ServiceHandle& from, const With& with) {
        const auto it = all_.find(key);
        if (it == all_.end() || !it->second.from.same(from) || !(it->second.with == with))
            return nullptr;
        it->second.round = round_;
        return &it->second.made;
    }
    void keep(const ServiceHandle& from, const With& with, const ServiceHandle& made) {
        all_.insert_or_assign(made->key, Entry{from, with, made, round_});
    }
    template <class Make>
    ServiceHandle of(const ServiceKey& key, const ServiceHandle& from, const With& with,
                     Make make) {
        if (const ServiceHandle* known = find(key, from, with)) return *known;
        const ServiceHandle made(make());
        keep(from, with, made);
        return made;
    }
    void sweep() {
        std::erase_if(all_, [&](const auto& item) { return item.second.round != round_; });
        ++round_;
    }
    void clear() { all_.clear(); }
    /// For results that are made of no service.
    const ServiceHandle& nothing() const { return nothing_; }

private:
    struct Entry {
        ServiceHandle from;
        With with;
        ServiceHandle made;
        uint64_t round;
    };
    std::unordered_map<ServiceKey, Entry, KeyHash> all_;
    const ServiceHandle nothing_;
    uint64_t round_ = 1;
};

struct Desired {
    shm::Timeouts timeouts;
    shm::Behaviour behaviour;
    std::vector<shm::MarkRecord> marks;  ///< most specific first
    ServiceList services;
    friend bool operator==(const Desired&, const Desired&) = default;
};

/// Whether packets of the virtual can be sent to the backend: NAT and direct routing keep the
/// packet's family, a tunnel's outer header may be of the other one.
bool usable(const config::Backend&, const config::Virtual&);

/// Each virtual becomes a service of its own, with those backends whose family it can use.
Desired desired(const config::Config&);

const Service* find(const Desired&, const ServiceKey&);

}  // namespace torii::control
