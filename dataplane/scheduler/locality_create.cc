// Apart from locality.cc, because the packet path never allocates.

#include <type_traits>

#include "dataplane/scheduler/locality.h"

namespace torii::scheduler {

Locality Locality::create() {
    static_assert(std::is_trivially_copyable_v<Local>);
    Locality l;
    l.entries_.reset(static_cast<Local*>(std::calloc(kEntries, sizeof(Local))));
    return l;
}

}  // namespace torii::scheduler
