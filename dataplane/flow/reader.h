#pragma once
// Reader: another process's look at the connection table (listing, sync). Never holds anything up.
//
// Motivation / Shape: see table.h. Thread-safety: any number of readers, read-only mapping.
// Memory ordering: word and generation are loaded with acquire, the cell copied, both loaded again;
// a change means the copy is thrown away and tried again a few times. Failure: a cell that keeps
// changing is left out; a truncated or foreign file is refused by open().

#include <functional>

#include "dataplane/flow/entry.h"
#include "dataplane/flow/key.h"
#include "dataplane/shm/object.h"

namespace torii::flow {

struct Listed {
    Tuple tuple;  ///< the backend's address is 0.0.0.0 when only its slot has it: see Cell4
    Word word;
    uint32_t backend, backend_generation, service_slot;
    shm::Forward forward;
    bool persistent;  ///< a template; word.state is 1 once one of its connections was answered
};  // decoded, not judged: in a table that no dataplane has recovered it may be anything

class Reader {
public:
    /// `path` is ControlBlock::table_path.
    static Result<Reader> open(const std::string& path);
    uint32_t capacity() const;
    uint32_t buckets() const;
    uint64_t used() const;  ///< cells that hold entries, about; an IPv6 entry counts twice
    /// Calls `visit` for every live entry, in cell order; stops when it returns false.
    void each(const std::function<bool(const Listed&)>& visit) const;
    /// Same from cell `from`, for at most `cells` cells; returns the next cell (capacity = done).
    uint32_t some(uint32_t from, uint32_t cells,
                  const std::function<bool(const Listed&)>& visit) const;

private:
    explicit Reader(shm::Mapping map) : map_(std::move(map)) {}
    shm::Mapping map_;
};

/// CLOCK_BOOTTIME in ticks.
Tick tick_now();

}  // namespace torii::flow
