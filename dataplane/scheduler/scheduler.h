#pragma once
// How new connections choose a backend, equal to the IPVS of Linux 6.1 choice for choice.
//
// A scheduler is a row of kSchedulers (registry.cc): a file with its functions, a declaration in
// rows.h and the row; the configuration, the command line and the tests read the table. The
// expensive half, build(), runs in the control process on every change; pick() runs in a worker
// once a new connection, and neither allocates, locks nor divides by a weight.
//
// What a scheduler remembers between picks (round robin's place in the list) is a Cursor: one a
// worker and service, in the worker's own memory, kept over generations. What the kernel does to
// that memory on each ipvsadm command, a worker does when it next picks: every generation carries
// the log of the service's latest changes (list_state.h), and choose() replays those that the
// cursor has not seen, one by one, however many commands were published together.
//
// Everything here is plain data or pure functions of its arguments; threads share only what is
// immutable. A Cursor belongs to one thread.

#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "config/base/address.h"

namespace torii::scheduler {

inline constexpr uint32_t kNoBackend = ~0u;    ///< no eligible backend: the service refuses
inline constexpr uint32_t kMaxWeight = 65535;  ///< LVS's
inline constexpr uint32_t kHead = ~0u;         ///< a place before the first target of the list

/// ServiceRecord::scheduler_flags, with the numbers of LVS; for sh and mh.
inline constexpr uint16_t kFallback = 0x08;  ///< look further if the hashed one is out
inline constexpr uint16_t kPort = 0x10;      ///< hash the client's port too

/// One backend of a service. Lies in a generation, in list order: the newest backend first.
struct Target {
    uint32_t backend;          ///< backend slot
    uint32_t weight;           ///< 0 = quiesced: no new connections
    uint32_t last_weight = 0;  ///< of a quiesced one: its last weight that was not 0
    friend bool operator==(const Target&, const Target&) = default;
};
static_assert(sizeof(Target) == 12);

enum class ChangeKind : uint32_t {
    add = 1,
    edit = 2,  ///< a weight, or anything else ipvsadm -e can set
    remove = 3,
    rebind = 4,  ///< another scheduler was put in charge: every cursor starts afresh
};

/// One step in the life of a service's list, and what the list came to. Lies in a generation.
struct Change {
    ChangeKind kind;
    uint32_t backend;      ///< the slot concerned
    uint32_t predecessor;  ///< remove: the slot before it in the list then, or kNoBackend
    uint32_t max_weight;   ///< of the whole list after this change; 0 if none is positive
    uint32_t gcd;          ///< of the positive weights after this change; 1 if there is none
    uint32_t idle_weight;  ///< wrr's current weight after this change if nothing was ever picked
    friend bool operator==(const Change&, const Change&) = default;
};
static_assert(sizeof(Change) == 24);

/// What a pick sees of one service of one generation. Immutable while that generation is in force.
struct ServiceView {
    std::span<const Target> targets;
    std::span<const uint32_t> table;  ///< what build() made; indices into targets
    std::span<const Change> changes;  ///< oldest first; the last one is number change_seq
    uint64_t change_seq = 0;          ///< +1 with every change of the list since the service began
    uint32_t max_weight = 0;          ///< as in the last Change
    uint32_t gcd = 1;                 ///< as in the last Change
    uint16_t flags = 0;               ///< kFallback, kPort
    uint32_t lblc_expiration = 86400, lblcr_expiration = 86400;  ///< seconds
};

class Locality;
class Ranking;

/// One worker's place in one service. Cursor{} is right for a new service (another slot
/// generation). `worker` may be set to the worker's number, so that workers do not all begin with
/// the same backend: worker 0 chooses exactly as the kernel, worker n as the kernel would after n
/// more connections.
struct Cursor {
    uint64_t applied = 0;           ///< change_seq up to which this cursor has followed
    uint32_t position = kHead;      ///< index of the last choice in targets
    uint32_t backend = kNoBackend;  ///< slot of the last choice
    uint32_t current_weight = 0;    ///< wrr: weight that the next choice must have
    uint32_t worker = 0;
    uint64_t random = 0;           ///< twos: state of its generator; 0 = not seeded
    uint64_t service = 0;          ///< lblc, lblcr: names the service in `locality`; not 0
    Locality* locality = nullptr;  ///< lblc, lblcr: the worker's; without it they are wlc
};
static_assert(std::is_trivially_copyable_v<Cursor>);

/// Connections of one backend, over all workers.
struct Load {
    int64_t active = 0;  ///< as LVS counts ActiveConn
    int64_t total = 0;   ///< active and inactive
    /// The kernel's measure of how busy a backend is: an active connection weighs as much as 256
    /// inactive ones (ip_vs_dest_conn_overhead).
    int64_t overhead() const { return active * 256 + (total - active); }
};

/// Reads the loads of backends by slot. Whoever provides it decides how fresh they are; a worker
/// must at least see its own latest connection, and others' within 1 ms.
struct Loads {
    const void* context = nullptr;
    Load (*read)(const void* context, uint32_t backend) = nullptr;
    /// Whether the backend reached its upper threshold; null where there are no thresholds.
    bool (*overloaded)(const void* context, uint32_t backend) = nullptr;
    /// The service's targets by Scheduler::rank, brought up to date, or null: then the list is
    /// scanned.
    const Ranking* ranking = nullptr;
    /// Where a backend is in the list; anything else if it is not there. Null: it is looked for.
    uint32_t (*position)(const void* context, uint32_t backend) = nullptr;

    Load of(uint32_t backend) const { return read(context, backend); }
    bool is_overloaded(uint32_t backend) const {
        return overloaded != nullptr && overloaded(context, backend);
    }
    /// What the kernel calls an available destination.
    bool eligible(const Target& t) const { return t.weight > 0 && !is_overloaded(t.backend); }
};

/// What a new connection brings.
struct Key {
    Address client{}, virtual_address{};
    uint16_t client_port = 0;  ///< host order
    uint32_t now = 0;          ///< seconds
};

struct Scheduler {
    std::string_view name;  ///< as ipvsadm -s and the configuration spell it
    std::string_view help;
    uint32_t table_size = 0;  ///< entries that build() fills
    bool sparse = false;      ///< build() may leave entries kNoBackend
    bool weighs = false;      ///< pick() reads loads, also without rank
    /// Control process, on every change; null without a table. `table` has table_size entries,
    /// `targets` at least one, `ends` is where each of them listens. A service without targets has
    /// an empty table.
    void (*build)(std::span<const Target> targets, std::span<const Endpoint> ends,
                  std::span<uint32_t> table) = nullptr;
    /// Worker: the backend slot for one new connection, or kNoBackend. Call choose() instead.
    uint32_t (*pick)(const ServiceView&, Cursor&, const Loads&, const Key&) = nullptr;
    /// Of an eligible target with a weight: the smallest wins, kOut is out; `shift` is rank_shift()
    /// of the list's largest weight. Null for schedulers that do not compare loads. See Ranking.
    uint64_t (*rank)(Load, uint32_t weight, uint32_t shift) = nullptr;
    /// What one change does to a cursor; null for schedulers that keep nothing in it.
    void (*on_change)(const Change&, Cursor&) = nullptr;
};

/// Every scheduler, in the order the help shows them.
std::span<const Scheduler> schedulers();
/// nullptr for an unknown name.
const Scheduler* find_scheduler(std::string_view name);

/// Whether picks from this view stay in bounds and end. For what comes out of a file; lists and
/// tables of this folder's own making always do.
bool well_formed(const Scheduler&, const ServiceView&);

/// Brings a cursor up to the view's generation; choose() calls it when it is needed. A cursor that
/// missed more changes than the log holds starts like that of a service nobody has used yet.
void catch_up(const Scheduler&, const ServiceView&, Cursor&, const Loads&, const Key&);

/// The backend slot for a new connection, or kNoBackend.
inline uint32_t choose(const Scheduler& s, const ServiceView& view, Cursor& cursor,
                       const Loads& loads, const Key& key) {
    if (s.on_change != nullptr && cursor.applied != view.change_seq) [[unlikely]]
        catch_up(s, view, cursor, loads, key);
    return s.pick(view, cursor, loads, key);
}

}  // namespace torii::scheduler
