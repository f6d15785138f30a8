#pragma once
// What one ipvsadm command line means, or how ipvsadm 1.31 refuses it. Pure, but for looking up
// names of hosts and ports.

#include <span>
#include <string>

#include "config/base/address.h"
#include "control/api/ipvs.h"
#include "control/cli/ipvsadm_options.h"

namespace torii::cli {

/// A line that passed all of ipvsadm's own checks.
struct Line {
    Command command = Command::list;
    Given given;              ///< which options it has: how to list
    api::IpvsCommand change;  ///< the service a list is of, and what a command changes

    bool has(Column c) const { return given[size_t(c)]; }
};

/// Without words it is a list. Messages name the program `argv0`.
tl::expected<Line, Refusal> read_line(std::span<const std::string> words, const std::string& argv0);

/// What ipvsadm says where no command is understood.
Refusal try_help(const std::string& argv0);

/// Whether it goes to toriid as a change.
bool changes(Command);

}  // namespace torii::cli
