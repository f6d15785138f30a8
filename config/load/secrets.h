#pragma once
// Passwords that stand in files of their own.

#include <vector>

#include "config/model/config.h"

namespace torii::config {

/// Reads each `secret_file` into the `secret` beside it: the file's first line. Reports one that
/// cannot be read, that others than its owner may read, or that holds no password; never what it
/// holds.
void read_secrets(Config&, std::vector<Diagnostic>&);

}  // namespace torii::config
