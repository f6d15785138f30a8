#pragma once
// patrol: ends connections that may not go on although their packets would let them: of backends
// whose drain is over, and of removed ones where expire_nodest_conn says so. One worker looks at a
// few entries of the table a call, and only while there is something to look for, so that no packet
// has to ask.

#include "dataplane/stages/context.h"

namespace torii::stages {

/// Whether patrol() has something to do.
bool wants_patrol(const View&, const Patrol&, flow::Tick now);

/// Once a loop of one worker, also of an idle one. True while it is under way.
bool patrol(Context&);

}  // namespace torii::stages
