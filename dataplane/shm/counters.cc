#include "dataplane/shm/counters.h"

#include <fmt/format.h>
#include <unistd.h>

namespace torii::shm {

uint64_t Counters::size_for(uint32_t workers, uint32_t service_slots, uint32_t backend_slots) {
    const uint64_t rows = uint64_t(service_slots) + backend_slots;
    return 128 + workers * (sizeof(WorkerCounters) + rows * sizeof(Row));
}

Result<Mapping> Counters::create(const Location& location, uint32_t workers, uint32_t service_slots,
                                 uint32_t backend_slots) {
    if (auto made = location.create(); !made) return tl::unexpected(made.error());
    const std::string path = location.path("counters");
    const uint64_t size = size_for(workers, service_slots, backend_slots);
    auto old = Mapping::open(path, Mapping::Access::read_write);
    if (old && old->size() == size && verify(*old, Kind::counters, kCountersLayout, path, false)) {
        const CountersHeader& h = Counters(old->data()).header();
        if (h.workers == workers && h.service_slots == service_slots &&
            h.backend_slots == backend_slots)
            return old;
    }
    // A reader that still maps the old file keeps a valid, frozen picture of it.
    const std::string temporary = path + ".new";
    ::unlink(temporary.c_str());
    auto made = Mapping::create(temporary, size);
    if (!made) return made;
    auto& h = *made->at<CountersHeader>(0);
    h.workers = workers;
    h.service_slots = service_slots;
    h.backend_slots = backend_slots;
    stamp(*made, Kind::counters, kCountersLayout, false);
    if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno(path, errno);
    return made;
}

Result<Mapping> Counters::open(const Location& location) {
    const std::string path = location.path("counters");
    auto mapping = Mapping::open(path, Mapping::Access::read_only);
    if (!mapping) return mapping;
    if (auto ok = verify(*mapping, Kind::counters, kCountersLayout, path, false); !ok)
        return tl::unexpected(ok.error());
    const CountersHeader& h = Counters(mapping->data()).header();
    if (size_for(h.workers, h.service_slots, h.backend_slots) != mapping->size())
        return fail(Errc::layout, fmt::format("{}: its dimensions do not fit its size", path));
    return mapping;
}

}  // namespace torii::shm
