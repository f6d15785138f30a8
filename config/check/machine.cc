#include "config/check/machine.h"

#include <net/if.h>
#include <sys/sysinfo.h>

namespace torii::config {

Machine this_machine() {
    Machine machine;
    machine.cpus = unsigned(get_nprocs_conf());
    struct sysinfo info {};
    if (sysinfo(&info) == 0) machine.memory_bytes = uint64_t(info.totalram) * info.mem_unit;
    if (struct if_nameindex* all = if_nameindex()) {
        for (auto* i = all; i->if_index != 0; ++i) machine.interfaces.emplace(i->if_name);
        if_freenameindex(all);
    }
    return machine;
}

}  // namespace torii::config
