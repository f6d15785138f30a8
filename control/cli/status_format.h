#pragma once
// `torii status` for people. Pure.

#include <string>

#include "control/api/model.h"

namespace torii::cli {

std::string describe(const api::Status&, const api::Ready&);

}  // namespace torii::cli
