#pragma once
// ipvsadm's commands on edits: each is checked as the kernel checks it (ip_vs_ctl.c), against what
// the commands before it left, and recorded as an edit.
//
// A batch is one value: nothing is in force before all of it was run. A command that fails changes
// nothing, and the next ones go on without it.

#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include "control/api/ipvs.h"
#include "control/edits.h"

namespace torii::control {

/// What the kernel asks the machine about.
struct Machine {
    /// One of the host's own addresses.
    std::function<bool(const Address&)> is_local;
    std::function<bool(std::string_view)> has_scheduler;
};

/// The file's services by key: made once a reload. Refers to the Desired it is made of.
class FileIndex {
public:
    explicit FileIndex(const Desired&);
    const Service* find(const ServiceKey&) const;
    const std::vector<const Service*>& all() const { return all_; }

private:
    std::map<ServiceKey, const Service*> by_key_;
    std::vector<const Service*> all_;
};

/// A thing that a batch changed: a service with everything in it, or one destination.
struct Touched {
    ServiceKey service;
    std::optional<Endpoint> destination;
};

/// Counters that are to begin anew (ipvsadm -Z): services, with their destinations.
struct Zero {
    bool all = false;
    std::vector<ServiceKey> services;
    bool any() const { return all || !services.empty(); }
};

struct Batch {
    Edits edits;
    std::vector<api::IpvsError> errors;  ///< in the order of the commands
    std::vector<Touched> touched;        ///< in the order of the commands; may repeat
    bool timeouts = false;               ///< a timeout was set
    Zero zero;
    bool changes() const { return timeouts || !touched.empty(); }
};

Batch run(const Desired& file, const FileIndex&, Edits, std::span<const api::IpvsCommand>,
          const Machine&);

/// The key of the service a command names.
ServiceKey key_of(const api::ServiceName&);

}  // namespace torii::control
