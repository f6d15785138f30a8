#include "control/cli/ipvsadm_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <type_traits>

namespace torii::cli {
namespace {

// ipvsadm's columns are 33 and 28 wide, and IPv4 names are cut there; IPv6 names push the rest on.
constexpr size_t kServiceColumn = 33, kDestinationColumn = 28;

std::string number(uint64_t n, bool exact) {
    if (exact) {
        const std::string text = fmt::format("{}", n);
        return fmt::format("{:>{}}", text, text.size() > 8 ? text.size() + 1 : 9);
    }
    constexpr uint64_t k = 1000;
    if (n < 100 * k * k) return fmt::format("{:9}", n);
    if (n < k * k * k) return fmt::format("{:8}K", n / k);
    if (n < 100 * k * k * k) return fmt::format("{:8}M", n / (k * k));
    if (n < 100 * k * k * k * k) return fmt::format("{:8}G", n / (k * k * k));
    return fmt::format("{:8}T", n / (k * k * k * k));
}

std::string counts(const api::Counts& c, bool exact) {
    return number(c.connections, exact) + number(c.in_packets, exact) +
           number(c.out_packets, exact) + number(c.in_bytes, exact) + number(c.out_bytes, exact);
}

std::string rates(const api::Rates& r, bool exact, bool service) {
    const std::string counted =
        service ? number(r.connections, exact) + number(r.in_packets, exact) +
                      number(r.out_packets, exact)
                : fmt::format(" {:8} {:8} {:8}", r.connections, r.in_packets, r.out_packets);
    return counted + number(r.in_bytes, exact) + number(r.out_bytes, exact);
}

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = char(std::toupper(static_cast<unsigned char>(c)));
    return out;
}

std::string title(Listing listing) {
    constexpr std::string_view kLocal = "Prot LocalAddress:Port",
                               kRemote = "  -> RemoteAddress:Port";
    switch (listing) {
        case Listing::plain:
            return "Prot LocalAddress:Port Scheduler Flags\n"
                   "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n";
        case Listing::stats:
            return fmt::format("{:<33} {:>8} {:>8} {:>8} {:>8} {:>8}\n{}\n", kLocal, "Conns",
                               "InPkts", "OutPkts", "InBytes", "OutBytes", kRemote);
        case Listing::rate:
            return fmt::format("{:<33} {:>8} {:>8} {:>8} {:>8} {:>8}\n{}\n", kLocal, "CPS", "InPPS",
                               "OutPPS", "InBPS", "OutBPS", kRemote);
        case Listing::tunnels:
            return "Prot LocalAddress:Port Scheduler Flags\n"
                   "  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn "
                   "InActConn\n";
        case Listing::thresholds:
            return fmt::format("{:<33} {:<10} {:<10} {:<10} {:<10}\n{}\n", kLocal, "Uthreshold",
                               "Lthreshold", "ActiveConn", "InActConn", kRemote);
        case Listing::persistent:
            return fmt::format("{:<33} {:<9} {:<11} {:<10} {:<10}\n{}\n", kLocal, "Weight",
                               "PersistConn", "ActiveConn", "InActConn", kRemote);
    }
    return {};
}

// As libipvs prints a mark: as a signed number.
int shown(uint32_t mark) { return int(mark); }

std::string service_name(const api::Service& s, const Names& names) {
    if (s.mark != 0)
        return fmt::format("FWM  {}{}", shown(s.mark), s.endpoint.address.is_v4() ? "" : " IPv6");
    std::string name = fmt::format("{:<4} {}", upper(to_string(s.protocol)),
                                   endpoint_name(names, s.endpoint, s.protocol));
    return s.endpoint.address.is_v4() ? name.substr(0, kServiceColumn) : name;
}

std::string service_line(const api::Service& s, const ListOptions& o, const Names& names) {
    const std::string name = service_name(s, names);
    if (o.listing == Listing::stats)
        return fmt::format("{:<33}{}\n", name, counts(s.counts, o.exact));
    if (o.listing == Listing::rate)
        return fmt::format("{:<33}{}\n", name, rates(s.rates, o.exact, true));
    std::string line = name + " " + s.scheduler;
    if (!s.scheduler_flags.empty()) line += fmt::format(" ({})", fmt::join(s.scheduler_flags, ","));
    if (s.persistence != 0) {
        line += fmt::format(" persistent {}", s.persistence);
        if (!s.netmask.empty()) line += " mask " + s.netmask;
        if (!s.engine.empty()) line += " pe " + s.engine;
    }
    return line + (s.one_packet ? " ops\n" : "\n");
}

std::string tunnel_info(const api::Destination& d) {
    if (d.tunnel.empty()) return "n/a";
    if (d.tunnel == "ipip") return d.tunnel;
    const std::string_view sign = d.tunnel_checksum == "csum"      ? "+c"
                                  : d.tunnel_checksum == "remcsum" ? "r+c"
                                                                   : "-c";
    if (d.tunnel == "gue") return fmt::format("gue:{}:{}", d.tunnel_port, sign);
    return fmt::format("{}:{}", d.tunnel, sign);
}

std::string destination_line(const api::Destination& d, Protocol p, const ListOptions& o,
                             const Names& names) {
    std::string name = endpoint_name(names, d.endpoint, p);
    if (d.endpoint.address.is_v4()) name = name.substr(0, kDestinationColumn);
    switch (o.listing) {
        case Listing::plain:
            return fmt::format("  -> {:<28} {:<7} {:<6} {:<10} {:<10}\n", name, d.forward, d.weight,
                               d.active, d.inactive);
        case Listing::stats:
            return fmt::format("  -> {:<28}{}\n", name, counts(d.counts, o.exact));
        case Listing::rate:
            return fmt::format("  -> {:<28}{}\n", name, rates(d.rates, o.exact, false));
        case Listing::tunnels:
            return fmt::format("  -> {:<28} {:<7} {:<13} {:<6} {:<10} {:<10}\n", name, d.forward,
                               tunnel_info(d), d.weight, d.active, d.inactive);
        case Listing::thresholds:
            return fmt::format("  -> {:<28} {:<10} {:<10} {:<10} {:<10}\n", name, d.upper, d.lower,
                               d.active, d.inactive);
        case Listing::persistent:
            return fmt::format("  -> {:<28} {:<9} {:<11} {:<10} {:<10}\n", name, d.weight,
                               d.persistent, d.active, d.inactive);
    }
    return {};
}

// libipvs subtracts: the difference of two 32-bit words, taken as signed. It wraps for addresses
// that are far apart, so that 192.168.0.1 comes before 10.0.0.1.
int difference(uint32_t a, uint32_t b) { return int(a - b); }

// An IPv4 address lies in the first word of an IPv6 one there, and the first one's family decides
// how much is compared.
int difference(const Address& a, const Address& b) {
    const auto word = [](const Address& x, size_t i) -> uint32_t {
        if (x.is_v4()) return i == 0 ? x.as_v4().host() : 0;
        return uint32_t(x.bytes[i]) << 24 | uint32_t(x.bytes[i + 1]) << 16 |
               uint32_t(x.bytes[i + 2]) << 8 | x.bytes[i + 3];
    };
    for (size_t i = 0; i < (a.is_v4() ? 4 : 16); i += 4)
        if (const int d = difference(word(a, i), word(b, i)); d != 0) return d;
    return 0;
}

int compare(const api::Service& a, const api::Service& b) {
    const auto family = [](const api::Service& s) { return s.endpoint.address.is_v4() ? 2 : 10; };
    if (const int d = difference(a.mark, b.mark)) return d;
    if (const int d = family(a) - family(b)) return d;
    if (const int d = int(a.protocol) - int(b.protocol)) return d;
    if (const int d = difference(a.endpoint.address, b.endpoint.address)) return d;
    return int(a.endpoint.port) - int(b.endpoint.port);
}

int compare(const api::Destination& a, const api::Destination& b) {
    if (const int d = difference(a.endpoint.address, b.endpoint.address)) return d;
    return int(a.endpoint.port) - int(b.endpoint.port);
}

// The comparison is not transitive, so the order depends on the algorithm: the C library's own
// qsort, which ipvsadm calls, on the order in which the kernel lists.
template <class T>
std::vector<const T*> ordered(const std::vector<T>& from, bool sorted) {
    std::vector<const T*> out;
    for (const T& t : from) out.push_back(&t);
    if constexpr (std::is_same_v<T, api::Service>)  // the kernel lists marks after the others
        std::ranges::stable_partition(out, [](const T* s) { return s->mark == 0; });
    if (sorted && !out.empty())
        std::qsort(out.data(), out.size(), sizeof(out[0]), [](const void* a, const void* b) {
            return compare(**static_cast<const T* const*>(a), **static_cast<const T* const*>(b));
        });
    return out;
}

}  // namespace

std::string list_services(const api::Services& all, const ListOptions& o, const Names& names) {
    std::string out;
    if (o.version)
        out = fmt::format("IP Virtual Server version 1.2.1 (size={})\n", all.table_buckets);
    out += title(o.listing);
    for (const api::Service* s : ordered(all.services, o.sorted)) {
        out += service_line(*s, o, names);
        for (const api::Destination* d : ordered(s->destinations, o.sorted))
            out += destination_line(*d, s->protocol, o, names);
    }
    return out;
}

namespace {

std::string service_option(const api::Service& s, const Names& names) {
    if (s.mark != 0)
        return fmt::format("-f {}{}", shown(s.mark), s.endpoint.address.is_v4() ? "" : " -6");
    const std::string_view option = s.protocol == Protocol::udp    ? "-u"
                                    : s.protocol == Protocol::sctp ? "--sctp-service"
                                                                   : "-t";
    return fmt::format("{} {}", option, endpoint_name(names, s.endpoint, s.protocol));
}

std::string service_rule(const api::Service& s, const std::string& option) {
    std::string line = fmt::format("-A {} -s {}", option, s.scheduler);
    if (s.persistence != 0) {
        line += fmt::format(" -p {}", s.persistence);
        if (!s.netmask.empty()) line += " -M " + s.netmask;
    }
    if (!s.engine.empty()) line += " --pe " + s.engine;
    if (s.one_packet) line += " -o";
    if (!s.scheduler_flags.empty())
        line += fmt::format(" -b {}", fmt::join(s.scheduler_flags, ","));
    return line + "\n";
}

std::string server_rule(const api::Destination& d, Protocol p, const std::string& option,
                        const Names& names) {
    const std::string_view forward = d.forward == "Masq"     ? "-m"
                                     : d.forward == "Tunnel" ? "-i"
                                                             : "-g";
    std::string line = fmt::format("-a {} -r {} {} -w {}", option,
                                   endpoint_name(names, d.endpoint, p), forward, d.weight);
    if (d.tunnel.empty()) return line + "\n";
    line += " --tun-type " + d.tunnel;
    if (d.tunnel == "gue") line += fmt::format(" --tun-port {}", d.tunnel_port);
    if (d.tunnel != "ipip") line += " --tun-" + d.tunnel_checksum;
    return line + "\n";
}

}  // namespace

std::string save_services(const api::Services& all, const Names& names) {
    std::string out;
    for (const api::Service* s : ordered(all.services, true)) {
        const std::string option = service_option(*s, names);
        out += service_rule(*s, option);
        for (const api::Destination* d : ordered(s->destinations, true))
            out += server_rule(*d, s->protocol, option, names);
    }
    return out;
}

std::string connections_title(bool engine) {
    return fmt::format(
        "IPVS connection entries\n"
        "pro expire state       source             virtual            destination{}\n",
        engine ? "        pe name          pe_data" : "");
}

std::string connection_row(const api::Connection& c, const Names& names) {
    const auto name = [&](const Endpoint& e) { return endpoint_name(names, e, c.protocol); };
    const std::string expire =
        fmt::format("{:02}:{:02}", c.expires_seconds / 60, c.expires_seconds % 60);
    const std::string protocol = c.protocol == Protocol::any ? "IP" : upper(to_string(c.protocol));
    return fmt::format("{:<3} {:<6} {:<11} {:<18} {:<18} {}\n", protocol, expire, c.state,
                       name(c.client), name(c.virtual_service), name(c.backend));
}

}  // namespace torii::cli
