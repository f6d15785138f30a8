#include <fmt/format.h>

#include <map>

#include "control/api/ipvs.h"
#include "control/edits.h"

namespace torii::control {
namespace {

std::string_view word(shm::Forward f) {
    return f == shm::Forward::nat ? "nat" : f == shm::Forward::tunnel ? "tunnel" : "dr";
}

std::string settings(const Service& s) {
    std::string out = "scheduler " + s.scheduler;
    const auto flags = api::flag_names(s.scheduler, s.scheduler_flags);
    if (!flags.empty()) out += fmt::format(" ({})", fmt::join(flags, ","));
    if (s.persistence_timeout != 0) {
        out += fmt::format(" persistent {}", s.persistence_timeout);
        if (s.persistence_mask != full_mask(s.key.family()))
            out += s.key.family() == Family::ipv6
                       ? fmt::format(" mask {}", s.persistence_mask)
                       : " mask " + to_string(Address::v4(be32::from_host(s.persistence_mask)));
    }
    if (!s.pe.empty()) out += " engine " + s.pe;
    if (s.one_packet) out += " one_packet";
    return out;
}

std::string settings(const Destination& d) {
    std::string out =
        fmt::format("server {} {} weight {}", to_string(d.key), word(d.forward), d.weight);
    if (d.upper != 0) out += fmt::format(" upper {}", d.upper);
    if (d.lower != 0) out += fmt::format(" lower {}", d.lower);
    if (d.forward != shm::Forward::tunnel || d.tunnel.type == shm::TunnelType::ipip) return out;
    out += d.tunnel.type == shm::TunnelType::gre ? " gre"
                                                 : fmt::format(" gue {}", d.tunnel.port.host());
    if (d.tunnel.checksum != shm::TunnelChecksum::none)
        out += d.tunnel.checksum == shm::TunnelChecksum::full ? " csum" : " remcsum";
    return out;
}

void add(std::string& out, char sign, const std::string& what) {
    out += fmt::format("  {} {}\n", sign, what);
}

std::string destinations(const Service& file, const Service& running) {
    std::map<Endpoint, const Destination*> before, after;
    for (const Destination& d : file.destinations) before.emplace(d.key, &d);
    for (const Destination& d : running.destinations) after.emplace(d.key, &d);
    std::string out;
    for (const Destination& d : file.destinations) {
        const auto it = after.find(d.key);
        if (it != after.end() && set_alike(d, *it->second)) continue;
        add(out, '-', settings(d));
        if (it != after.end()) add(out, '+', settings(*it->second));
    }
    for (const Destination& d : running.destinations)
        if (!before.contains(d.key)) add(out, '+', settings(d));
    return out;
}

std::string whole(char sign, const Service& s) {
    std::string out = fmt::format("{} {}\n", sign, to_string(s.key));
    add(out, sign, settings(s));
    for (const Destination& d : s.destinations) add(out, sign, settings(d));
    return out;
}

std::string timeouts(shm::Timeouts file, shm::Timeouts running) {
    constexpr std::string_view kNames[] = {"tcp", "tcp_fin", "udp"};
    std::string out;
    for (size_t i = 0; i < std::size(kNames); ++i) {
        if (timeout_of(file, i) == timeout_of(running, i)) continue;
        add(out, '-', fmt::format("{} {}", kNames[i], timeout_of(file, i)));
        add(out, '+', fmt::format("{} {}", kNames[i], timeout_of(running, i)));
    }
    return out.empty() ? out : "timeouts\n" + out;
}

}  // namespace

std::string describe_difference(const Desired& file, const Desired& running) {
    std::map<ServiceKey, const Service*> before, after;
    for (const Service& s : file.services) before.emplace(s.key, &s);
    for (const Service& s : running.services) after.emplace(s.key, &s);
    std::string out = timeouts(file.timeouts, running.timeouts);
    for (const Service& s : file.services) {
        const auto it = after.find(s.key);
        if (it == after.end()) {
            out += whole('-', s);
            continue;
        }
        std::string changed;
        if (!set_alike(s, *it->second)) {
            add(changed, '-', settings(s));
            add(changed, '+', settings(*it->second));
        }
        changed += destinations(s, *it->second);
        if (!changed.empty()) out += fmt::format("  {}\n{}", to_string(s.key), changed);
    }
    for (const Service& s : running.services)
        if (!before.contains(s.key)) out += whole('+', s);
    return out;
}

}  // namespace torii::control
