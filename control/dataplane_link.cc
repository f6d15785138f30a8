#include "control/dataplane_link.h"

#include <algorithm>
#include <cstring>

namespace torii::control {

DataplaneLink::DataplaneLink(shm::Location location, shm::ControlBlock& control)
    : location_(std::move(location)), control_(control) {}

bool DataplaneLink::running() const { return shm::Lock::held(location_, "dataplane"); }

bool DataplaneLink::ready() const {
    return up_ && running() && was_ready_ == 1 &&
           control_.ready.load(std::memory_order_acquire) == 1 &&
           control_.ports_epoch.load(std::memory_order_acquire) == epoch_;
}

DataplaneLink::Changes DataplaneLink::refresh() {
    Changes c;
    const bool up = shm::Lock::held(location_, "dataplane");
    c.came = up && !up_;
    c.went = !up && up_;
    up_ = up;
    const uint32_t ready = control_.ready.load(std::memory_order_acquire);
    const bool turned_ready = ready != was_ready_ && ready == 1;
    was_ready_ = ready;
    if (copy_ports() || turned_ready || c.came) {
        c.objects = true;
        open_objects(c);
    }
    return c;
}

// True if there is another set of ports (or table) than before. A copy that the dataplane wrote
// over while it was made is made again at the next refresh().
bool DataplaneLink::copy_ports() {
    const uint32_t epoch = control_.ports_epoch.load(std::memory_order_acquire);
    if (epoch == epoch_ || epoch == 0) return false;
    const uint32_t count = std::min(control_.port_count, shm::kMaxPorts);
    std::vector<shm::PortInfo> ports(control_.ports, control_.ports + count);
    char path[sizeof control_.table_path];
    std::memcpy(path, control_.table_path, sizeof path);
    if (control_.ports_epoch.load(std::memory_order_acquire) != epoch) return false;
    for (shm::PortInfo& p : ports) {
        p.name[sizeof p.name - 1] = '\0';
        p.interface[sizeof p.interface - 1] = '\0';
    }
    path[sizeof path - 1] = '\0';
    epoch_ = epoch;
    ports_ = std::move(ports);
    table_path_ = path;
    return true;
}

void DataplaneLink::open_objects(Changes& c) {
    const auto missing = [&](const Error& e) {
        // Before the first start of a dataplane there is nothing to open, which is no problem.
        if (e.code != Errc::not_found) c.problems.push_back(e.message);
    };
    if (auto m = shm::Counters::open(location_)) {
        counters_ = std::move(*m);
        view_ = shm::Counters(counters_.data());
    } else {
        counters_ = {};
        missing(m.error());
    }
    event_workers_ = 0;
    if (auto m = shm::open_events(location_)) {
        events_ = std::move(*m);
        event_workers_ = events_.at<shm::EventsHeader>(0)->workers;
    } else {
        events_ = {};
        missing(m.error());
    }
    table_ = nullptr;
    if (table_path_.empty()) return;
    if (auto r = flow::Reader::open(table_path_))
        table_ = std::make_shared<const flow::Reader>(std::move(*r));
    else
        missing(r.error());
}

}  // namespace torii::control
