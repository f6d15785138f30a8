#pragma once
// Reads the values of ipvsadm's options by its rules, which are those of the C library's inet_aton,
// strtol and atoi. Names of hosts and ports are looked up. Nothing here knows of commands.

#include <cstdint>
#include <optional>
#include <string>

#include "config/base/address.h"

namespace torii::cli {

/// What host[:port] said. A port that is not there is 0.
struct HostPort {
    Endpoint endpoint;
    Family family = Family::ipv4;  ///< as it was written: ::ffff:10.0.0.1 is IPv6
    bool has_port = false;
};
/// host[:port], [host]:port; nothing where ipvsadm calls it illegal. Ports may be names of services
/// of the protocol, Protocol::any knows none.
std::optional<HostPort> parse_host_port(const std::string&, Protocol);

/// A decimal number from `least` to `most`; blanks before it and a sign are allowed.
std::optional<uint32_t> parse_number(const std::string&, long least, long most);

/// An IPv4 mask, as inet_aton reads it.
std::optional<uint32_t> parse_mask(const std::string&);

/// What atoi() makes of it: the number it begins with, cut to an int, or 0.
int leading_number(const std::string&);

/// A multicast group; `family` says which family it looked like.
struct Group {
    Family family = Family::ipv4;
    std::optional<Address> address;
};
Group parse_group(const std::string&);

}  // namespace torii::cli
