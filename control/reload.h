#pragma once
// From a file to what may be put into force: everything that can be wrong is found here, before
// anything is changed.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/base/error.h"
#include "config/model/config.h"
#include "control/kernel/routes.h"

namespace torii::control {

/// A file that passed every check, or why it did not.
struct Checked {
    std::optional<config::Config> config;
    std::vector<config::Diagnostic> diagnostics;
};
/// Reads and checks the file: its own sense, the machine (interfaces, cores, memory), and a route
/// to every server. `instance` replaces the file's when it is not empty.
Checked load_checked(const std::string& file, const std::string& instance,
                     const kernel::RouteIndex&);
/// The same of a text that is to become `file`.
Checked check_text(std::string_view text, const std::string& file, const std::string& instance,
                   const kernel::RouteIndex&);

/// The servers that the kernel has no route to.
std::vector<config::Diagnostic> check_routes(const config::Config&, const kernel::RouteIndex&);

/// Health checks whose settings cannot work.
std::vector<config::Diagnostic> check_probes(const config::Config&);

/// All of it as one error, a line each.
Error error_of(const std::vector<config::Diagnostic>&);

/// What differs between two configurations and takes effect only after a restart, as sentences.
std::vector<std::string> restart_notes(const config::Config& from, const config::Config& to);

}  // namespace torii::control
