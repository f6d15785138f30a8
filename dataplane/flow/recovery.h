#pragma once
// Recovery: makes a table that a killed (or hostile) writer left sound again, in one pass.
//
// Motivation
//   After attach every lookup must be in bounds, every entry whole, every cell owned once; whatever
//   bytes lie there. The dataplane is waiting: about 100 ms for a million cells.
//
// Shape / Thread-safety
//   One thread, before any worker runs. Buckets are judged first (each slot by itself), then
//   compared with their window, then cells that no slot refers to are freed, then templates count
//   their connections.
//
// Memory ordering: none needed. Failure: whatever is not whole is dropped and counted.

#include <functional>

#include "dataplane/flow/impl.h"

namespace torii::flow {

class RecoveryPass {
public:
    RecoveryPass(Table::Impl& table, Tick now, Recovery& report)
        : t_(table), now_(now), report_(report) {}
    /// Marks used cells in the store; calls `keep` once for every entry that stays.
    void run(const std::function<void(uint32_t entry)>& keep);

private:
    enum class Fate : uint8_t { keep, expired, half_written };
    Fate judge(uint32_t bucket, uint64_t slot) const;
    bool well_formed(const Cell4& cell, Word word) const;
    bool claim(uint32_t cell);
    void judge_bucket(uint32_t bucket);
    bool duplicate(uint32_t bucket, uint32_t position, uint32_t cell, uint32_t& passed) const;
    void free_unreferenced();
    void count_templates();
    uint64_t hash(uint32_t cell) const;

    Table::Impl& t_;
    const Tick now_;
    Recovery& report_;
};

}  // namespace torii::flow
