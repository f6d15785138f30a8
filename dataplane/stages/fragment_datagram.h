#pragma once
// The parts of FragmentTable: one datagram in pieces, and one packet that is held.

#include "dataplane/stages/fragment_table.h"

namespace torii::stages {

struct FragmentTable::Datagram {
    DatagramKey key;
    uint64_t hash = 0;
    uint64_t since_us = 0;  ///< when it began; once settled, when that was
    Decision decision;
    uint32_t source = 0;    ///< index into sources_
    uint32_t chain = kNil;  ///< next of its hash chain; of the free list when unused
    Links age, of_source;   ///< places in pending_ or settled_, and in its source's list
    uint32_t first_held = kNil, last_held = kNil;
    uint32_t end = 0;      ///< bytes of data in all; 0: the last fragment has not come
    uint32_t top = 0;      ///< end of the furthest data so far
    uint32_t covered = 0;  ///< bits set in `seen`
    uint16_t serial = 0;   ///< tells it from what used its place before
    bool used = false;
    bool first_waits = false;         ///< first_held is its first fragment, which needs `end`
    uint64_t seen[kUnits / 64] = {};  ///< one bit for eight bytes of data

    bool first_came() const { return seen[0] & 1; }
    bool whole() const { return end != 0 && covered == (end + 7) / 8; }
};

struct FragmentTable::Slot {
    Released content;
    uint32_t next = kNil;
};

}  // namespace torii::stages
