#pragma once
// Names instead of numbers, or not, as ipvsadm prints them.

#include <functional>
#include <string>

#include "config/base/address.h"

namespace torii::cli {

struct Names {
    std::function<std::string(const Address&)> host;
    std::function<std::string(uint16_t port, Protocol)> port;
};

Names numeric_names();
/// Asks the resolver and the services database; may wait for the network.
Names resolved_names();

/// host:port, [host]:port for IPv6; at most 59 characters, as ipvsadm's buffer holds.
std::string endpoint_name(const Names&, const Endpoint&, Protocol);

}  // namespace torii::cli
