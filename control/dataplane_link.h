#pragma once
// DataplaneLink: what toriid sees of the dataplane, which comes and goes as it likes. Objects that
// the dataplane makes are opened again whenever it was restarted. One thread.

#include <memory>
#include <optional>
#include <vector>

#include "dataplane/flow/reader.h"
#include "dataplane/shm/control_block.h"
#include "dataplane/shm/counters.h"
#include "dataplane/shm/events.h"

namespace torii::control {

class DataplaneLink {
public:
    /// `control` must outlive the link.
    DataplaneLink(shm::Location, shm::ControlBlock& control);

    struct Changes {
        bool came = false, went = false;    ///< the process
        bool objects = false;               ///< ports, counters, events or table are other ones
        std::vector<std::string> problems;  ///< what could not be opened, as sentences
    };
    /// Looks again. Cheap when nothing changed; call it a few times a second.
    Changes refresh();

    bool up() const { return up_; }
    /// Whether it runs at this moment, which the next refresh() will find. Cheap.
    bool running() const;
    /// Its workers run, and refresh() has seen that and its ports: what was compiled since is for
    /// them.
    bool ready() const;
    /// Of the dataplane that runs, or of the last one that did.
    std::span<const shm::PortInfo> ports() const { return ports_; }
    const shm::Counters* counters() const { return counters_ ? &view_ : nullptr; }
    const flow::Reader* table() const { return table_.get(); }
    /// Shared, for a listing that goes on while the dataplane is restarted.
    std::shared_ptr<const flow::Reader> shared_table() const { return table_; }
    const shm::ControlBlock& control() const { return control_; }

    /// Calls `take` for every event that waits.
    template <class Take>
    void drain(Take take) {
        if (!events_) return;
        shm::Event e;
        for (uint32_t w = 0; w < event_workers_; ++w)
            for (uint32_t n = 0; n < shm::kEventSlots && shm::ring_of(events_, w).pop(e); ++n)
                take(e);
    }

private:
    bool copy_ports();
    void open_objects(Changes&);

    shm::Location location_;
    shm::ControlBlock& control_;
    bool up_ = false;
    uint32_t epoch_ = 0, was_ready_ = 0;
    std::vector<shm::PortInfo> ports_;
    std::string table_path_;
    shm::Mapping counters_, events_;
    uint32_t event_workers_ = 0;
    shm::Counters view_;
    std::shared_ptr<const flow::Reader> table_;
};

}  // namespace torii::control
