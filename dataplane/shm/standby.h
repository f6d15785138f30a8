#pragma once
// Standby: the virtual addresses that are another balancer's for now, whose packets every worker
// leaves to the kernel (behaviour.backup_only).
//
// Motivation
//   A backup that is a server of the active balancer too must not balance what that one sends it.
//   When it takes over, its workers must balance from the next packet on: a packet that came before
//   would be refused by the kernel. A generation of tables is too slow for that, and would be
//   published by a thread that has other things to do.
//
// Shape
//   DIR/standby: addresses in a fixed room, and whether all of them are meant. Created by whichever
//   daemon comes first, kept by both. A worker has a copy of its own, made anew when the version
//   has changed.
//
// Thread-safety
//   write(): one thread of one process (toriid's "hands", or its main thread where there are none).
//   Standby::follow(): any number of threads, each with a copy of its own.
//
// Memory ordering
//   A seqlock: the version is odd while the words are written; a reader that finds the same even
//   version before and after has a whole copy, and otherwise keeps the one it has until it asks
//   again. Words are stored with release and loaded with acquire: who has seen a new one sees the
//   odd version too.
//
// Failure
//   A writer that dies half way leaves the version odd, and every worker with its former copy,
//   until the next writer is done. A count beyond the room is taken for the room's.

#include <atomic>
#include <vector>

#include "config/base/address.h"
#include "dataplane/shm/object.h"

namespace torii::shm {

inline constexpr uint32_t kMaxStandby = 4096;  ///< addresses

struct alignas(64) StandbyTable {
    ObjectHeader header;
    alignas(64) std::atomic<uint64_t> version;  ///< odd while it is being written
    std::atomic<uint32_t> everything;           ///< 1: no packet of any service is this balancer's
    std::atomic<uint32_t> count;
    std::atomic<uint64_t> words[2 * kMaxStandby];  ///< addresses, ascending
};
inline constexpr uint64_t kStandbyLayout = layout_hash(
    {sizeof(StandbyTable), offsetof(StandbyTable, version), offsetof(StandbyTable, words)});

/// Opens DIR/standby, creating it when it is not there. A truncated or foreign file is an error.
Result<Mapping> open_standby(const Location&);
inline StandbyTable& standby_of(const Mapping& m) { return *m.at<StandbyTable>(0); }

/// What the table says, as one thread keeps it. By default nothing is another balancer's.
class Standby {
public:
    Standby() = default;
    /// In any order; what is beyond kMaxStandby is left out.
    explicit Standby(std::vector<Address> addresses);
    static Standby of_everything();

    bool any() const { return any_; }
    bool covers(const Address&) const;
    /// Takes over what the table says by now, if that is another version. No waiting: a table that
    /// is being written is looked at again by the next call.
    void follow(const StandbyTable& table) {
        if (table.version.load(std::memory_order_acquire) != version_) [[unlikely]]
            copy(table);
    }
    friend void write(StandbyTable&, const Standby&);
    friend bool operator==(const Standby& a, const Standby& b) {
        return a.everything_ == b.everything_ && a.addresses_ == b.addresses_;
    }

private:
    void copy(const StandbyTable&);

    bool any_ = false, everything_ = false;
    uint64_t version_ = 0;            // of the table that it was copied from
    std::vector<Address> addresses_;  // ascending, each once
};

void write(StandbyTable&, const Standby&);

}  // namespace torii::shm
