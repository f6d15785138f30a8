#pragma once
// `torii vrrp` for people, and its line in `torii status`. Pure.

#include <string>

#include "control/api/vrrp.h"

namespace torii::cli {

std::string describe(const api::Vrrp&);
/// One line; empty where no instance is configured.
std::string summary(const api::Vrrp&);

}  // namespace torii::cli
