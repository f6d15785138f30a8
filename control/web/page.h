#pragma once
// The page for people. A pure function of what the API tells.

#include <string>

#include "control/api/model.h"

namespace torii::web {

std::string page(const api::Status&, const api::Services&);

}  // namespace torii::web
