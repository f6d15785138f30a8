#pragma once
// Everything that is decided before anything is changed: the configuration, and whether this
// machine can do what it says. A start that fails here leaves nothing behind.

#include <string>
#include <vector>

#include "config/model/config.h"
#include "dataplane/io/options.h"
#include "dataplane/io/port.h"

namespace torii::io {

struct Preparation {
    config::Config config;
    std::vector<uint32_t> cores;  ///< one worker each
    std::vector<PortPlan> plans;  ///< by dataplane port number
    PacketMemory memory;
};

/// The error's message is ready to be printed: one diagnostic a line.
Result<Preparation> prepare(const Options&);

}  // namespace torii::io
