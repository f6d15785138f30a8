#pragma once
// Publisher: puts generations into force. Writes the whole file first, then the number with
// release, then wakes the dataplane; a crash at any instruction leaves the old generation in force.
// Numbers continue after a restart. One thread.

#include <cstdint>
#include <span>
#include <vector>

#include "config/base/error.h"
#include "dataplane/shm/control_block.h"

namespace torii::control {

class Publisher {
public:
    /// `control` must outlive the Publisher.
    Publisher(shm::Location, shm::ControlBlock& control);

    /// Numbers the next publications will have.
    uint64_t next_services() const;
    uint64_t next_routes() const;

    /// Publish what shm::build() made (with generation number 0; the number is written here). Say
    /// whether it was published: tables equal to those in force are not. `piece`: a new one that
    /// the object names by the number that it will have.
    Result<bool> services(std::vector<std::byte> object, std::span<std::byte> piece = {});
    Result<bool> routes(std::vector<std::byte> object);

    /// Removes the files of superseded generations. The dataplane does it itself, when its workers
    /// have passed on; call this only while none is there.
    void remove_superseded() const;

private:
    shm::Location location_;
    shm::ControlBlock& control_;
    std::vector<std::byte> services_, routes_;  // in force, as build() made them
};

}  // namespace torii::control
