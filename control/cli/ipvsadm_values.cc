#include "control/cli/ipvsadm_values.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <cerrno>
#include <cstdlib>

namespace torii::cli {
namespace {

std::optional<Address> parse_host4(const std::string& text) {
    in_addr a{};
    if (::inet_aton(text.c_str(), &a) != 0) return Address::v4(be32::from_raw(a.s_addr));
    addrinfo hints{}, *found = nullptr;
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    if (text.empty() || ::getaddrinfo(text.c_str(), nullptr, &hints, &found) != 0)
        return std::nullopt;
    const auto* sa = reinterpret_cast<const sockaddr_in*>(found->ai_addr);
    const Address address = Address::v4(be32::from_raw(sa->sin_addr.s_addr));
    ::freeaddrinfo(found);
    return address;
}

std::optional<Address> parse_host6(const std::string& text) {
    in6_addr a{};
    if (::inet_pton(AF_INET6, text.c_str(), &a) <= 0) return std::nullopt;
    return Address::v6(&a);
}

std::optional<uint16_t> parse_port(const std::string& text, Protocol p) {
    if (const auto n = parse_number(text, 0, 65535)) return uint16_t(*n);
    if (p == Protocol::any) return std::nullopt;
    const servent* s = ::getservbyname(text.c_str(), std::string(to_string(p)).c_str());
    if (s == nullptr) return std::nullopt;
    return ntohs(uint16_t(s->s_port));
}

}  // namespace

std::optional<HostPort> parse_host_port(const std::string& text, Protocol p) {
    if (text.find_first_not_of("0123456789") == std::string::npos) return std::nullopt;
    std::string host = text;
    std::optional<std::string> port;
    if (text.front() == '[') {
        const size_t close = text.find(']');
        if (close == std::string::npos || text.compare(close, 2, "]:") != 0) return std::nullopt;
        host = text.substr(1, close - 1);
        port = text.substr(close + 2);
    }
    HostPort out;
    if (const auto six = parse_host6(host)) {
        out.endpoint.address = *six;
        out.family = Family::ipv6;
    } else {
        // In brackets ipvsadm looks for the port once more, inside, and forgets the one outside.
        const size_t colon = host.rfind(':');
        port = std::nullopt;
        if (colon != std::string::npos) port = host.substr(colon + 1);
        const auto four = parse_host4(host.substr(0, colon));
        if (!four) return std::nullopt;
        out.endpoint.address = *four;
    }
    if (!port) return out;
    const auto number = parse_port(*port, p);
    if (!number) return std::nullopt;
    out.endpoint.port = *number;
    out.has_port = true;
    return out;
}

std::optional<uint32_t> parse_number(const std::string& text, long least, long most) {
    char* end = nullptr;
    errno = 0;
    const long n = std::strtol(text.c_str(), &end, 10);
    if (end == text.c_str() || *end != '\0' || errno == ERANGE || n < least || n > most)
        return std::nullopt;
    return uint32_t(n);
}

std::optional<uint32_t> parse_mask(const std::string& text) {
    in_addr a{};
    if (::inet_aton(text.c_str(), &a) == 0) return std::nullopt;
    return ntohl(a.s_addr);
}

int leading_number(const std::string& text) { return int(std::strtol(text.c_str(), nullptr, 10)); }

Group parse_group(const std::string& text) {
    Group g;
    g.family = text.find(':') == std::string::npos ? Family::ipv4 : Family::ipv6;
    std::optional<Address> a;
    if (g.family == Family::ipv6) {
        a = parse_host6(text);
    } else if (in_addr four{}; ::inet_pton(AF_INET, text.c_str(), &four) > 0) {
        a = Address::v4(be32::from_raw(four.s_addr));
    }
    if (a && a->family() == g.family && a->is_multicast()) g.address = a;
    return g;
}

}  // namespace torii::cli
