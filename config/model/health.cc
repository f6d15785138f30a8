#include "config/model/health.h"

#include <fmt/format.h>

namespace torii::config {

std::string_view to_string(HealthType t) {
    constexpr std::string_view kNames[] = {"none",   "tcp", "http", "https", "smtp",
                                           "script", "dns", "udp",  "icmp"};
    return kNames[size_t(t)];
}

std::string_view to_string(HealthVia v) { return v == HealthVia::server ? "server" : "service"; }

std::string_view to_string(HttpVersion v) { return v == HttpVersion::v1_0 ? "1.0" : "1.1"; }

std::string_view to_string(DnsRecord r) {
    switch (r) {
        case DnsRecord::a:
            return "A";
        case DnsRecord::ns:
            return "NS";
        case DnsRecord::cname:
            return "CNAME";
        case DnsRecord::soa:
            return "SOA";
        case DnsRecord::mx:
            return "MX";
        case DnsRecord::txt:
            return "TXT";
        case DnsRecord::aaaa:
            return "AAAA";
    }
    return "unknown";
}

std::string_view to_string(DnsTransport t) { return t == DnsTransport::udp ? "udp" : "tcp"; }

std::string to_string(const StatusRange& r) {
    return r.first == r.last ? fmt::format("{}", r.first) : fmt::format("{}-{}", r.first, r.last);
}

}  // namespace torii::config
