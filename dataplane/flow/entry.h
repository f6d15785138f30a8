#pragma once
// One connection in the table: 64 bytes for IPv4, 128 for IPv6 (two neighbouring cells).
//
// Motivation
//   One entry serves both directions; a packet that changes nothing must write nothing, so that two
//   cores that share a flow do not bounce its line.
//
// Shape
//   Cell4 and Cell6 share their first 32 bytes (Head). Everything but `word`, `reply_route` and
//   `armed` and `control` is written once, while the entry is tentative, and is constant while it
//   is live. `link` belongs to the lists of free and waiting cells; `control` has another meaning
//   there.
//
//   A persistence template is an entry whose client is the masked client address, client_port 0,
//   and whose virtual side is that of its service; of a mark service, protocol 0 (IP), the mark as
//   virtual address (its first four bytes in IPv6) and port 0, as in LVS. `persistent` keeps it
//   apart from packets that come from port 0. An entry's mark is not kept: it is its service's.
//
//   `control` ties a connection to the template it was made from. In the connection it is the
//   template's entry + 1 (0 = none), in the template the number of its connections. A template with
//   connections does not end, so the index needs no generation. A template's `reply_route` is the
//   time it is given, in seconds.
//
//   Ports and IPv4 addresses lie in the order server, client, service: a reply's source and
//   destination are the first two, a request's the last two, and what NAT puts in is what is left,
//   so that a place is computed, not chosen.
//
// Thread-safety
//   Any worker may read a live entry between two of its quiescent points, and change `word` and
//   `reply_route` by compare-and-swap or store. toriid copies a cell and then checks that `word`
//   and `generation` are unchanged.
//
// Memory ordering
//   The constant fields are written before the entry's index is published with release (the bucket
//   slot's compare-and-swap); lookups load the slot with acquire. They are stored with release and
//   copied by Reader with acquire, so that a copy that mixes two entries sees a changed generation.
//
// Failure
//   A writer killed at any instruction leaves the entry free, tentative, live or dying; recovery
//   keeps only live ones that a bucket refers to.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "config/base/address.h"
#include "dataplane/shm/services.h"

namespace torii::flow {

/// Coarse time: quarter seconds of CLOCK_BOOTTIME. The same in every process of one boot.
using Tick = uint32_t;
inline constexpr uint32_t kTicksPerSecond = 4;

enum class Phase : uint8_t { free = 0, tentative = 1, live = 2, dying = 3 };

/// LVS's state numbers (ip_vs.h, spec: TCP states). UDP has state 0.
enum class TcpState : uint8_t {
    none,
    established,
    syn_sent,
    syn_recv,
    fin_wait,
    time_wait,
    close,
    close_wait,
    last_ack,
    listen,
    synack,
    kCount
};

inline constexpr uint16_t kInactive = 1;  ///< counts as InActConn
inline constexpr uint16_t kNoOutput = 2;  ///< no packet of the server has been seen (DR, tunnel)
inline constexpr uint16_t kTemplate = 4;  ///< a persistence template
inline constexpr uint16_t kVoid = 8;      ///< a template that gives its backend to nobody any more

/// The atomic word: phase, state, flags and expiry change together.
struct Word {
    Phase phase = Phase::free;
    uint8_t state = 0;
    uint16_t flags = 0;
    Tick expiry = 0;
    constexpr uint64_t pack() const {
        return uint64_t(expiry) << 32 | uint64_t(flags) << 16 | uint64_t(state) << 8 |
               uint64_t(phase);
    }
    static constexpr Word unpack(uint64_t w) {
        return {Phase(w & 3), uint8_t(w >> 8), uint16_t(w >> 16), Tick(w >> 32)};
    }
    friend bool operator==(const Word&, const Word&) = default;
};

struct Head {
    std::atomic<uint64_t> word;        ///< Word::pack()
    std::atomic<uint32_t> generation;  ///< +1 whenever the cell is given to a new entry
    uint32_t backend;                  ///< backend slot
    uint32_t backend_generation;
    uint32_t service_slot;                             ///< counter slot of the service
    uint16_t backend_port, client_port, virtual_port;  ///< raw network order
    uint8_t protocol;
    uint8_t forward : 3;     ///< shm::Forward
    uint8_t ipv6 : 1;        ///< the cell is the first of a pair
    uint8_t persistent : 1;  ///< a template: no packet's own entry
    uint8_t spare : 3;
};
static_assert(sizeof(Head) == 32);

struct alignas(64) Cell4 {
    Head head;
    uint32_t backend_address;          ///< raw network order; 0 for an IPv6 server behind a tunnel,
                                       ///< whose address only its backend slot has
    uint32_t client, virtual_address;  ///< raw network order
    std::atomic<uint32_t> link;        ///< of the list the cell is on while it is not live
    std::atomic<uint64_t> reply_route;  ///< routes generation (high 32 bits) and next hop of the
                                        ///< client; 0 in a new entry
    std::atomic<uint32_t> armed;        ///< tick of the entry's one valid timer; kUnarmed = none
    std::atomic<uint32_t> control;      ///< see Shape; in a free cell the length of a batch
};
static_assert(sizeof(Cell4) == 64);

/// The second half keeps what makes it harmless to whoever takes it for a cell of its own: a word
/// that is never live, and its own generation.
struct alignas(64) Cell6 {
    Head head;
    uint8_t client[16], virtual_address[16];
    std::atomic<uint64_t> second_word;        ///< always 0: Phase::free
    std::atomic<uint32_t> second_generation;  ///< of the second cell when it is used alone
    std::atomic<uint32_t> link;               ///< as in Cell4
    uint8_t backend_address[16];              ///< an IPv4 server lies here as ::ffff:a.b.c.d
    std::atomic<uint64_t> reply_route;        ///< as in Cell4
    std::atomic<uint32_t> armed;              ///< as in Cell4
    std::atomic<uint32_t> control;            ///< as in Cell4
    uint32_t reserved[4];
};
static_assert(sizeof(Cell6) == 128);
static_assert(offsetof(Cell6, second_word) == 64 + offsetof(Head, word));
static_assert(offsetof(Cell6, second_generation) == 64 + offsetof(Head, generation));

inline constexpr Tick kUnarmed = ~0u;

}  // namespace torii::flow
