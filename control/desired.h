#pragma once
// Desired: what the tables shall hold, as LVS would see it. A pure function of the configuration
// (later also of runtime edits, health and roles); recomputed as a whole, never patched.

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "config/model/config.h"
#include "dataplane/shm/services.h"

namespace torii::control {

/// What makes two virtual services the same one, as in LVS.
struct ServiceKey {
    Address address;
    uint16_t port = 0;
    Protocol protocol = Protocol::any;
    friend bool operator==(const ServiceKey&, const ServiceKey&) = default;
    friend auto operator<=>(const ServiceKey&, const ServiceKey&) = default;
};
std::string to_string(const ServiceKey&);  ///< 192.0.2.1:80/tcp

/// A destination of one service. `key` is its identity inside the service.
struct Destination {
    Endpoint key;
    std::string name;  ///< of the server in the configuration; empty when given by address
    uint16_t weight = 1;
    uint32_t upper = 0, lower = 0;
    shm::Forward forward = shm::Forward::nat;
    friend bool operator==(const Destination&, const Destination&) = default;
};

/// An LVS service: one virtual of a configured service.
struct Service {
    ServiceKey key;
    std::string name;  ///< the configured service's
    std::string scheduler;
    uint16_t scheduler_flags = 0;           ///< LVS bits: 0x08 fallback, 0x10 port
    std::vector<Destination> destinations;  ///< in the order they are added
    friend bool operator==(const Service&, const Service&) = default;
};

struct Desired {
    shm::Timeouts timeouts;
    std::vector<Service> services;
    friend bool operator==(const Desired&, const Desired&) = default;
};

/// Each virtual becomes a service of its own, with those backends whose family it can use.
Desired desired(const config::Config&);

const Service* find(const Desired&, const ServiceKey&);

}  // namespace torii::control
