#include "dataplane/shm/events.h"

#include <fmt/format.h>
#include <unistd.h>

namespace torii::shm {
namespace {

uint64_t size_for(uint32_t workers) {
    return sizeof(EventsHeader) + uint64_t(workers) * sizeof(EventRing);
}

Result<> check(const Mapping& m, const std::string& path) {
    if (auto ok = verify(m, Kind::events, kEventsLayout, path, false); !ok) return ok;
    if (m.size() < sizeof(EventsHeader) || m.size() != size_for(m.at<EventsHeader>(0)->workers))
        return fail(Errc::layout, fmt::format("{}: its dimensions do not fit its size", path));
    return {};
}

}  // namespace

Result<Mapping> create_events(const Location& location, uint32_t workers) {
    if (auto made = location.create(); !made) return tl::unexpected(made.error());
    const std::string path = location.path("events");
    auto old = Mapping::open(path, Mapping::Access::read_write);
    if (old && check(*old, path) && old->at<EventsHeader>(0)->workers == workers) return old;
    const std::string temporary = path + ".new";
    ::unlink(temporary.c_str());
    auto made = Mapping::create(temporary, size_for(workers));
    if (!made) return made;
    made->at<EventsHeader>(0)->workers = workers;
    stamp(*made, Kind::events, kEventsLayout, false);
    if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno(path, errno);
    return made;
}

Result<Mapping> open_events(const Location& location) {
    const std::string path = location.path("events");
    auto mapping = Mapping::open(path, Mapping::Access::read_write);
    if (!mapping) return mapping;
    if (auto ok = check(*mapping, path); !ok) return tl::unexpected(ok.error());
    return mapping;
}

}  // namespace torii::shm
