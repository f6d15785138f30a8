#pragma once
// Runtime edits: what ipvsadm changed, beside the configuration and never in it.
//
// An edit names one thing (a service's settings, a destination, a timeout), what the file said
// about it when it was edited, and what holds instead. Desired state is the file's with the edits
// laid over it. When the file says something else about a thing than it did, the file wins and the
// edit is dropped; edits of other things stay. Pure functions of values; copies share what they
// have in common, so that a copy is cheap and a batch can be tried on one.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "control/desired.h"

namespace torii::control {

struct DestinationEdit {
    std::optional<Destination> file;  ///< none: the file does not name it
    std::optional<Destination> now;   ///< none: it was deleted
    friend bool operator==(const DestinationEdit&, const DestinationEdit&) = default;
};

struct ServiceEdit {
    bool edited = false;          ///< the service itself; otherwise only destinations were
    std::optional<Service> file;  ///< both without destinations
    std::optional<Service> now;
    std::map<Endpoint, DestinationEdit> destinations;
    bool empty() const { return !edited && destinations.empty(); }
    friend bool operator==(const ServiceEdit&, const ServiceEdit&) = default;
};

struct TimeoutEdit {
    uint32_t file = 0, now = 0;  ///< seconds
    friend bool operator==(const TimeoutEdit&, const TimeoutEdit&) = default;
};

struct Edits {
    /// What others hold as well (other Edits, an EditsMemory) is never changed: see at().
    std::map<ServiceKey, std::shared_ptr<ServiceEdit>> services;
    std::array<std::optional<TimeoutEdit>, 3> timeouts;  ///< tcp, tcpfin, udp
    uint64_t last = 0;                                   ///< Service::added of the latest addition

    bool empty() const;
    const ServiceEdit* find(const ServiceKey&) const;
    /// To be changed; made when it is not there. Copies what other Edits share.
    ServiceEdit& at(const ServiceKey&);
    /// Forgets an edit that changes nothing any more.
    void tidy(const ServiceKey&);
};
bool operator==(const Edits&, const Edits&);

/// The timeouts that ipvsadm --set is about: tcp, tcpfin, udp.
uint32_t& timeout_of(shm::Timeouts&, size_t which);

/// Whether two services, or two destinations, are set alike: names and ages apart.
bool set_alike(const Service&, const Service&);
bool set_alike(const Destination&, const Destination&);

using EditsMemory = Remembered<std::shared_ptr<const ServiceEdit>>;

/// The file's desired state with the edits laid over it. Services and destinations that the file
/// does not name follow those that it does, in the order they were added. `memory`: of former
/// calls.
Desired apply_edits(const Desired& file, const Edits&, EditsMemory& memory);
Desired apply_edits(const Desired& file, const Edits&);

/// The edits that still hold beside this file.
Edits keep_beside(const Desired& file, Edits);

/// How running differs from the file: a heading a service, below it what was added (+), removed (-)
/// or set otherwise (- and +), a line each. Empty: not at all.
std::string describe_difference(const Desired& file, const Desired& running);

}  // namespace torii::control
