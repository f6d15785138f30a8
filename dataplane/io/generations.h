#pragma once
// The published generations, as the main thread takes them: mapped, verified, made into a View.
// No DPDK, no threads: one object, used by the main thread.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/shm/control_block.h"
#include "dataplane/shm/counters.h"
#include "dataplane/shm/services_file.h"
#include "dataplane/stages/view.h"
#include "dataplane/xdp/steering.h"

namespace torii::io {

/// One pair of generations with the memory it lies in. Immutable once made.
struct Generation {
    struct Routes {  // a mapped file, or the empty generation there is before the first one
        uint64_t number = 0;
        shm::Mapping mapping;
        std::vector<std::byte> built;
        std::span<const std::byte> bytes() const;
    };
    shm::ServicesFile services;
    std::shared_ptr<const Routes> routes;
    std::unique_ptr<stages::View> view;
};

class Generations {
public:
    Generations(shm::Location location, shm::ControlBlock& control)
        : location_(std::move(location)), control_(control) {}

    /// What is in force before anything was published: no service, no route.
    static Result<Generation> empty();

    /// What is published now, if it differs from `current`. A part that cannot be used is refused:
    /// the control block says which, `complaint` why, and that part of `current` stays.
    std::optional<Generation> next(const Generation& current, std::string& complaint);

    /// Removes the files of generations older than `current`.
    void remove_older(const Generation& current) const;

private:
    template <class Published, class Load>
    auto newer(const Published& published, uint64_t current, uint64_t& refused,
               std::string& complaint, Load);
    void refuse(uint64_t number, uint64_t& refused, const Error&, std::string& complaint);

    shm::Location location_;
    shm::ControlBlock& control_;
    uint64_t refused_services_ = 0, refused_routes_ = 0;
};

/// The slots, ascending, of removed NAT backends that connections still refer to. Their replies are
/// translated until those end, as in LVS: the kernel would send them on as they are, and the client
/// would answer with resets. A sum over workers that change it meanwhile may be wrong for a moment;
/// who must not miss a slot asks twice and takes either_of() both answers.
std::vector<uint32_t> leavers(const stages::View&, const shm::Counters&);
std::vector<uint32_t> either_of(const std::vector<uint32_t>&, const std::vector<uint32_t>&);

/// What the ports take from the kernel for a View: its services, the replies of NAT backends and of
/// the View's `leavers`, and what stays the host's.
xdp::SteeringSet steering_of(const stages::View&, std::span<const uint32_t> leavers = {});
/// Everything that either wants; the host's own addresses of both. Lists are sorted and without
/// repetition, as steering_of() makes them.
xdp::SteeringSet merged(const xdp::SteeringSet&, const xdp::SteeringSet&);
bool same(const xdp::SteeringSet&, const xdp::SteeringSet&);

}  // namespace torii::io
