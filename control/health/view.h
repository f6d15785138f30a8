#pragma once
// What the API tells about health, made from the plan and the board. A pure function.

#include "control/api/health.h"
#include "control/health/board.h"
#include "control/health/plan.h"

namespace torii::health {

api::Health health_view(const Plan&, const Board::View&, TimePoint now);

}  // namespace torii::health
