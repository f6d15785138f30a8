#include "control/cli/ipvsadm_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>

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
        case Listing::thresholds:
            return fmt::format("{:<33} {:<10} {:<10} {:<10} {:<10}\n{}\n", kLocal, "Uthreshold",
                               "Lthreshold", "ActiveConn", "InActConn", kRemote);
        case Listing::persistent:
            return fmt::format("{:<33} {:<9} {:<11} {:<10} {:<10}\n{}\n", kLocal, "Weight",
                               "PersistConn", "ActiveConn", "InActConn", kRemote);
    }
    return {};
}

std::string service_line(const api::Service& s, const ListOptions& o, const Names& names) {
    std::string name = fmt::format("{:<4} {}", upper(to_string(s.protocol)),
                                   endpoint_name(names, s.endpoint, s.protocol));
    if (s.endpoint.address.is_v4()) name = name.substr(0, kServiceColumn);
    if (o.listing == Listing::stats)
        return fmt::format("{:<33}{}\n", name, counts(s.counts, o.exact));
    name += " " + s.scheduler;
    if (!s.scheduler_flags.empty()) name += fmt::format(" ({})", fmt::join(s.scheduler_flags, ","));
    return name + "\n";
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

int difference(const Address& a, const Address& b) {
    if (a.is_v4() && b.is_v4()) return difference(a.as_v4().host(), b.as_v4().host());
    for (size_t i = 0; i < 16; i += 4) {
        const auto word = [i](const Address& x) {
            return uint32_t(x.bytes[i]) << 24 | uint32_t(x.bytes[i + 1]) << 16 |
                   uint32_t(x.bytes[i + 2]) << 8 | x.bytes[i + 3];
        };
        if (const int d = difference(word(a), word(b)); d != 0) return d;
    }
    return 0;
}

int compare(const api::Service& a, const api::Service& b) {
    const auto family = [](const api::Service& s) { return s.endpoint.address.is_v4() ? 2 : 10; };
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

std::string connections_title() {
    return "IPVS connection entries\n"
           "pro expire state       source             virtual            destination\n";
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
