#include "config/base/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace torii {
namespace {

Result<unsigned> parse_number(std::string_view text, unsigned max, std::string_view what) {
    unsigned value = 0;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{} || end != text.data() + text.size() || value > max)
        return fail(Errc::invalid,
                    fmt::format("{} must be a number up to {}, got '{}'", what, max, text));
    return value;
}

unsigned bits(const Address& a) { return a.is_v4() ? 32 : 128; }

}  // namespace

std::string_view to_string(Protocol p) {
    switch (p) {
        case Protocol::icmp:
            return "icmp";
        case Protocol::tcp:
            return "tcp";
        case Protocol::udp:
            return "udp";
        case Protocol::icmpv6:
            return "icmpv6";
        case Protocol::sctp:
            return "sctp";
        case Protocol::any:
            return "any";
    }
    return "unknown";
}

Result<Protocol> parse_protocol(std::string_view text) {
    for (Protocol p : {Protocol::tcp, Protocol::udp, Protocol::sctp})
        if (text == to_string(p)) return p;
    return fail(Errc::invalid, fmt::format("protocol must be tcp, udp or sctp, got '{}'", text));
}

bool Address::is_unspecified() const { return *this == Address{} || *this == v4({}); }
bool Address::is_multicast() const {
    return is_v4() ? (bytes[12] & 0xf0) == 0xe0 : bytes[0] == 0xff;
}
bool Address::is_loopback() const {
    Address one;
    one.bytes[15] = 1;
    return is_v4() ? bytes[12] == 127 : *this == one;
}
bool Address::is_link_local() const {
    if (is_v4()) return bytes[12] == 169 && bytes[13] == 254;
    return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}
bool Address::is_broadcast() const { return is_v4() && as_v4().raw() == 0xffffffffu; }

std::string to_string(const Address& a) {
    char text[INET6_ADDRSTRLEN];
    if (a.is_v4()) return inet_ntop(AF_INET, a.bytes.data() + 12, text, sizeof text);
    return inet_ntop(AF_INET6, a.bytes.data(), text, sizeof text);
}

Result<Address> parse_address(std::string_view text) {
    const std::string copy(text);
    if (copy.find('\0') != std::string::npos)
        return fail(Errc::invalid, "an address cannot hold a NUL byte");
    in_addr four;
    if (inet_pton(AF_INET, copy.c_str(), &four) == 1)
        return Address::v4(be32::from_raw(four.s_addr));
    in6_addr six;
    if (inet_pton(AF_INET6, copy.c_str(), &six) == 1) return Address::v6(&six);
    return fail(Errc::invalid, fmt::format("'{}' is not an IPv4 or IPv6 address", text));
}

bool Prefix::contains(const Address& a) const {
    if (a.is_v4() != address.is_v4()) return false;
    return Prefix{a, length}.masked().address == masked().address;
}

Prefix Prefix::masked() const {
    Prefix p = *this;
    const unsigned keep = 128 - bits(address) + length;
    for (unsigned bit = keep; bit < 128; ++bit)
        p.address.bytes[bit / 8] &= uint8_t(~(0x80u >> (bit % 8)));
    return p;
}

std::string to_string(const Prefix& p) {
    return fmt::format("{}/{}", to_string(p.address), p.length);
}

Result<Prefix> parse_prefix(std::string_view text) {
    const auto slash = text.find('/');
    auto address = parse_address(text.substr(0, slash));
    if (!address) return tl::unexpected(address.error());
    if (slash == std::string_view::npos) return Prefix{*address, uint8_t(bits(*address))};
    auto length = parse_number(text.substr(slash + 1), bits(*address), "prefix length");
    if (!length) return tl::unexpected(length.error());
    return Prefix{*address, uint8_t(*length)};
}

std::string to_string(const Endpoint& e) {
    return e.address.is_v4() ? fmt::format("{}:{}", to_string(e.address), e.port)
                             : fmt::format("[{}]:{}", to_string(e.address), e.port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
    const auto colon = text.rfind(':');
    const bool bracketed = !text.empty() && text.front() == '[';
    const auto close = text.find(']');
    if (colon == std::string_view::npos || (bracketed && close + 1 != colon) ||
        (!bracketed && text.find(':') != colon))
        return fail(Errc::invalid, fmt::format("'{}' is not address:port or [address]:port", text));
    auto address = parse_address(bracketed ? text.substr(1, close - 1) : text.substr(0, colon));
    if (!address) return tl::unexpected(address.error());
    if (bracketed == address->is_v4())
        return fail(Errc::invalid, fmt::format("'{}': brackets are for IPv6 addresses", text));
    auto port = parse_number(text.substr(colon + 1), 65535, "port");
    if (!port) return tl::unexpected(port.error());
    return Endpoint{*address, uint16_t(*port)};
}

std::string to_string(const Mac& m) {
    const auto& b = m.bytes;
    return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", b[0], b[1], b[2], b[3], b[4],
                       b[5]);
}

Result<Mac> parse_mac(std::string_view text) {
    Mac m;
    for (size_t i = 0; i < 6; ++i) {
        const auto part = text.substr(std::min(text.size(), i * 3), 2);
        unsigned value = 0;
        auto [end, ec] = std::from_chars(part.data(), part.data() + part.size(), value, 16);
        const bool separated =
            i == 5 ? text.size() == 17 : text.size() > i * 3 + 2 && text[i * 3 + 2] == ':';
        if (ec != std::errc{} || end != part.data() + part.size() || part.size() != 2 || !separated)
            return fail(Errc::invalid, fmt::format("'{}' is not an Ethernet address", text));
        m.bytes[i] = uint8_t(value);
    }
    return m;
}

}  // namespace torii
