#include "control/commands.h"

#include <algorithm>

namespace torii::control {
namespace {

using api::IpvsCommand;
using api::Verb;

// An errno by its name; empty when all is well.
using Code = std::string_view;
constexpr Code kDone{};

constexpr std::string_view kEngines[] = {"sip"};

// ip_vs_new_dest(): what the kernel's inet_addr_type() and ipv6_addr_type() call unicast, or local.
bool is_destination(const Address& a, const Machine& machine) {
    if (machine.is_local(a)) return true;
    if (a.is_multicast() || a.is_unspecified() || a.is_broadcast()) return false;
    return a.is_v4() || !a.is_link_local();
}

shm::Tunnel tunnel_of(const api::ServerRule& r) {
    if (r.forward != "tunnel") return {};
    shm::Tunnel t;
    t.type = r.tunnel.type == "gue"   ? shm::TunnelType::gue
             : r.tunnel.type == "gre" ? shm::TunnelType::gre
                                      : shm::TunnelType::ipip;
    t.checksum = r.tunnel.checksum == "csum"      ? shm::TunnelChecksum::full
                 : r.tunnel.checksum == "remcsum" ? shm::TunnelChecksum::remote
                                                  : shm::TunnelChecksum::none;
    t.port = be16::from_host(r.tunnel.port);
    return t;
}

Destination destination_of(const IpvsCommand& c) {
    const api::ServerRule& r = c.server_rule;
    Destination d;
    d.key = c.server;
    d.weight = uint16_t(r.weight);
    d.upper = r.upper;
    d.lower = r.lower;
    d.forward = r.forward == "nat"      ? shm::Forward::nat
                : r.forward == "tunnel" ? shm::Forward::tunnel
                                        : shm::Forward::dr;
    d.tunnel = tunnel_of(r);
    return d;
}

Service service_of(const ServiceKey& key, const api::ServiceRule& r) {
    Service s;
    s.key = key;
    s.scheduler = r.scheduler;
    s.scheduler_flags = r.flags;
    s.persistence_timeout = r.persistence;
    s.persistence_mask = r.netmask;
    s.one_packet = r.one_packet;
    s.pe = r.engine;
    return s;
}

template <class T>
std::optional<T> copy_of(const T* t) {
    return t ? std::optional<T>(*t) : std::nullopt;
}

std::optional<Service> settings_of(const Service* s) {
    if (s == nullptr) return std::nullopt;
    Service out;
    out = *s;
    out.destinations.clear();
    return out;
}

class Runner {
public:
    Runner(const Desired& file, const FileIndex& index, Edits edits, const Machine& machine)
        : file_(file), index_(index), machine_(machine) {
        batch_.edits = std::move(edits);
    }

    Batch run(std::span<const IpvsCommand> commands) {
        for (uint32_t i = 0; i < commands.size(); ++i) {
            const IpvsCommand& c = commands[i];
            if (c.verb == Verb::start_daemon) {
                batch_.errors.push_back(
                    {i, "EOPNOTSUPP", "torii does not synchronise connections"});
                continue;
            }
            if (const Code code = one(c); !code.empty())
                batch_.errors.push_back({i, std::string(code), {}});
        }
        return std::move(batch_);
    }

private:
    Code one(const IpvsCommand& c) {
        if (c.service) key_ = key_of(*c.service);
        mapped_ = c.service && c.service->mapped();
        switch (c.verb) {
            case Verb::add_service:
                return exists() ? Code("EEXIST") : set_service(c, true);
            case Verb::edit_service:
                return exists() ? set_service(c, false) : Code("ESRCH");
            case Verb::delete_service:
                return exists() ? remove_service(key_) : Code("ESRCH");
            case Verb::clear:
                return clear();
            case Verb::add_server:
            case Verb::edit_server:
            case Verb::delete_server:
                return exists() ? server(c) : Code("ESRCH");
            case Verb::zero:
                return zero(c);
            case Verb::set_timeouts:
                return set_timeouts(c);
            default:
                return "ESRCH";  // no daemon runs
        }
    }

    bool exists() const {
        if (mapped_) return false;
        const ServiceEdit* e = batch_.edits.find(key_);
        return e != nullptr && e->edited ? e->now.has_value() : index_.find(key_) != nullptr;
    }

    // What holds of a destination now, or nullptr.
    const Destination* present(const Endpoint& key) const {
        if (const ServiceEdit* e = batch_.edits.find(key_)) {
            const auto it = e->destinations.find(key);
            if (it != e->destinations.end()) return it->second.now ? &*it->second.now : nullptr;
        }
        return of_file(key);
    }

    const Destination* of_file(const Endpoint& key) const {
        const Service* s = index_.find(key_);
        if (s == nullptr) return nullptr;
        const auto it = std::ranges::find(s->destinations, key, &Destination::key);
        return it == s->destinations.end() ? nullptr : &*it;
    }

    Code set_service(const IpvsCommand& c, bool add) {
        const api::ServiceRule& r = c.rule;
        if (!machine_.has_scheduler(r.scheduler)) return "ENOENT";
        if (!r.engine.empty() && std::ranges::find(kEngines, r.engine) == std::end(kEngines))
            return "ENOENT";
        if (key_.family() == Family::ipv6 && (r.netmask < 1 || r.netmask > 128)) return "EINVAL";
        if (mapped_ || (key_.mark == 0 && key_.address.is_unspecified())) return "EINVAL";
        ServiceEdit& e = batch_.edits.at(key_);
        const uint64_t added = add ? ++batch_.edits.last : age();
        if (!e.edited) e.file = settings_of(index_.find(key_));
        e.edited = true;
        e.now = service_of(key_, r);
        e.now->added = added;
        if (add) hide_file(e);
        batch_.touched.push_back({key_, std::nullopt});
        return kDone;
    }

    uint64_t age() const {
        const ServiceEdit* e = batch_.edits.find(key_);
        return e != nullptr && e->now ? e->now->added : 0;
    }

    // A service that is added has no destinations, whatever the file says.
    void hide_file(ServiceEdit& e) {
        if (const Service* s = index_.find(key_))
            for (const Destination& d : s->destinations)
                e.destinations.try_emplace(d.key, DestinationEdit{d, std::nullopt});
    }

    Code remove_service(const ServiceKey& key) {
        const Service* file = index_.find(key);
        ServiceEdit& e = batch_.edits.at(key);
        if (!e.edited) e.file = settings_of(file);
        e.edited = file != nullptr;
        e.now = std::nullopt;
        e.destinations.clear();
        batch_.edits.tidy(key);
        batch_.touched.push_back({key, std::nullopt});
        return kDone;
    }

    Code clear() {
        std::vector<ServiceKey> keys;
        for (const Service* s : index_.all()) keys.push_back(s->key);
        for (const auto& [key, e] : batch_.edits.services)
            if (e->now && index_.find(key) == nullptr) keys.push_back(key);
        for (const ServiceKey& key : keys) remove_service(key);
        return kDone;
    }

    Code server(const IpvsCommand& c) {
        // As the kernel sees it, ::ffff:a.b.c.d is no unicast address, so that no server has it.
        const Destination* old = c.server_mapped ? nullptr : present(c.server);
        if (c.verb == Verb::delete_server)
            return old == nullptr ? Code("ENOENT") : remove_server(c.server);
        const api::ServerRule& r = c.server_rule;
        const Family family = c.server_mapped ? Family::ipv6 : c.server.address.family();
        if (family != key_.family() && r.forward != "tunnel") return "EINVAL";
        if (r.lower > r.upper) return "ERANGE";
        if (r.forward == "tunnel" && r.tunnel.type == "gue" && r.tunnel.port == 0) return "EINVAL";
        if (c.verb == Verb::add_server && old != nullptr) return "EEXIST";
        if (c.verb == Verb::edit_server && old == nullptr) return "ENOENT";
        if (old == nullptr && (c.server_mapped || !is_destination(c.server.address, machine_)))
            return "EINVAL";
        Destination d = destination_of(c);
        d.added = old != nullptr ? old->added : ++batch_.edits.last;
        d.edited = old != nullptr ? ++batch_.edits.last : 0;
        set_server(c.server, std::move(d));
        return kDone;
    }

    Code remove_server(const Endpoint& key) {
        set_server(key, std::nullopt);
        return kDone;
    }

    void set_server(const Endpoint& key, std::optional<Destination> now) {
        ServiceEdit& e = batch_.edits.at(key_);
        const auto [it, fresh] = e.destinations.try_emplace(key);
        if (fresh) it->second.file = copy_of(of_file(key));
        it->second.now = std::move(now);
        if (!it->second.file && !it->second.now) e.destinations.erase(it);
        batch_.edits.tidy(key_);
        batch_.touched.push_back({key_, key});
    }

    Code zero(const IpvsCommand& c) {
        if (!c.service) {
            batch_.zero.all = true;
            return kDone;
        }
        if (!exists()) return "ESRCH";
        batch_.zero.services.push_back(key_);
        return kDone;
    }

    Code set_timeouts(const IpvsCommand& c) {
        shm::Timeouts file = file_.timeouts;
        for (size_t i = 0; i < c.timeouts.size(); ++i) {
            if (c.timeouts[i] == 0) continue;
            std::optional<TimeoutEdit>& e = batch_.edits.timeouts[i];
            e = TimeoutEdit{timeout_of(file, i), c.timeouts[i]};
            if (e->file == e->now) e.reset();
            batch_.timeouts = true;
        }
        return kDone;
    }

    const Desired& file_;
    const FileIndex& index_;
    const Machine& machine_;
    Batch batch_;
    ServiceKey key_;
    bool mapped_ = false;  // the service is named ::ffff:a.b.c.d: there is none
};

}  // namespace

FileIndex::FileIndex(const Desired& file) {
    for (const Service& s : file.services) {
        by_key_.emplace(s.key, &s);
        all_.push_back(&s);
    }
}

const Service* FileIndex::find(const ServiceKey& key) const {
    const auto it = by_key_.find(key);
    return it == by_key_.end() ? nullptr : it->second;
}

ServiceKey key_of(const api::ServiceName& s) {
    if (s.mark != 0) return ServiceKey::of_mark(s.mark, s.family);
    return {s.endpoint.address, s.endpoint.port, s.protocol, 0};
}

Batch run(const Desired& file, const FileIndex& index, Edits edits,
          std::span<const api::IpvsCommand> commands, const Machine& machine) {
    return Runner(file, index, std::move(edits), machine).run(commands);
}

}  // namespace torii::control
