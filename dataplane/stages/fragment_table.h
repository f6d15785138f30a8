#pragma once
// FragmentTable: what one worker remembers of datagrams that come in pieces.
//
// Only the first fragment names the ports, so it is the one that is classified; the others follow
// its Decision. Nothing is put together: each fragment is rewritten and sent on as it comes, and
// this table keeps which bytes have been there. So it refuses what a receiver that reassembles
// would refuse (overlaps, RFC 5722; contradicting ends; more than 65535 bytes; duplicates), holds
// fragments that came before the first one, and costs a fixed amount of memory.
//
// Limits: a source (IPv6: its /64) has at most an eighth of the datagrams and a quarter of the
// packets held. When a limit is reached the oldest gives way, of that source or of all: an honest
// datagram is whole within milliseconds, one of a flood lies around until it is the oldest.
//
// Used by its worker only. A worker gets all fragments of the datagrams whose hash is its own
// (owner_of). Allocates when it is made and never again; time is a parameter.

#include <cstdint>
#include <memory>

#include "dataplane/stages/fragment.h"

namespace torii::stages {

/// What became of a datagram's first fragment.
struct Decision {
    enum class Kind : uint8_t {
        pending,     ///< it has not come, or is on its way through the stages
        connection,  ///< of `entry`, as long as that is of `generation`
        stateless,   ///< of no connection; to `backend`, as `intended`
        ended        ///< with `verdict`: the kernel's, or dropped
    };
    Kind kind = Kind::pending;
    Verdict verdict = Verdict::open;
    Direction direction = Direction::request;
    Verdict intended = Verdict::open;
    uint32_t entry = ~0u, generation = 0;  ///< stateless: the backend's generation
    uint64_t hash = 0;                     ///< of the first fragment's ports; chooses ways
    uint32_t backend = ~0u, service_slot = ~0u;
};

class FragmentTable {
public:
    static constexpr uint64_t kTimeoutUs = 30'000'000;  ///< from the first fragment on, as Linux
    static constexpr uint64_t kPatienceUs = 2'000'000;  ///< for the first fragment
    static constexpr uint32_t kLeast = 64, kMost = 65'535;  ///< datagrams of a worker
    static constexpr uint32_t kHeld = 512;                  ///< packets held by a worker
    static constexpr uint32_t kMargin = 64;  ///< of them, kept free for a burst's; take() all after
                                             ///< each
    static constexpr uint32_t kNobody = ~0u;

    /// `datagrams` is brought into kLeast..kMost.
    FragmentTable(const flow::Seed&, uint32_t datagrams);
    FragmentTable(FragmentTable&&) noexcept;
    ~FragmentTable();

    struct Placed {
        Verdict verdict = Verdict::open;  ///< other than open: the fragment is refused
        uint32_t datagram = kNobody;      ///< for hold() and settle()
        Decision decision;                ///< pending: hold it, unless it is the first
    };
    /// Notes the bytes of a fragment. `hash` is hash_of() its key.
    Placed place(const Fragment&, uint64_t hash, uint64_t now_us);

    /// Keeps a packet until its datagram is settled; false when there are too many: the datagram is
    /// then refused. The caller has no packet any more until take() gives it back.
    bool hold(uint32_t datagram, const Packet&);
    /// The same for one whose datagram is settled already.
    bool pass(const Packet&, const Decision&);
    /// Keeps the first fragment of a pending datagram until end_of() is known; resume() then gives
    /// it back. Else as hold().
    bool hold_first(uint32_t datagram, const Packet&);
    /// The next first fragment that need not wait any longer, to be handled and settled as if it
    /// came now; nullptr if there is none. Valid until the next call of anything here.
    const Packet* resume();
    /// Bytes of data of the whole datagram; 0 while the last fragment has not come, or when the
    /// datagram is no longer known.
    uint32_t end_of(uint32_t datagram);
    /// The first fragment's fate. Says nothing if the datagram is no longer known.
    void settle(uint32_t datagram, const Decision&, uint64_t now_us);
    /// Forgets what is too old, at most `budget` datagrams.
    void expire(uint64_t now_us, uint32_t budget);

    struct Released {
        Packet packet;
        Decision decision;  ///< never pending
    };
    /// The next packet that need not be held any longer; nullptr if there is none. Valid until the
    /// next call of anything here.
    const Released* take();

    uint32_t datagrams() const { return used_; }  ///< known at the moment
    uint32_t held() const { return held_; }       ///< packets, those to be taken included
    uint32_t capacity() const { return capacity_; }

private:
    static constexpr uint32_t kNil = ~0u, kUnits = 8192, kSources = 1024;
    struct Links {
        uint32_t previous = kNil, next = kNil;
    };
    struct List {
        uint32_t first = kNil, last = kNil;
    };
    struct Datagram;
    struct Slot;
    struct Source {
        List datagrams;  ///< oldest first
        uint32_t count = 0, held = 0;
    };

    Source& source_of(const Datagram&);
    uint32_t find(const DatagramKey&, uint64_t hash) const;
    uint32_t begin(const DatagramKey&, uint64_t hash, uint64_t now_us);
    Verdict cover(Datagram&, const Fragment&);
    void forget(uint32_t index);
    void evict(uint32_t index, Verdict);
    void release(Datagram&, const Decision&);
    void make_room();
    bool store(const Packet&, uint32_t& slot);
    bool admit(uint32_t datagram, const Packet&, bool waits, uint32_t& slot);
    void append_slot(List&, uint32_t slot);
    uint32_t take_slot(List&);
    void wake_first(Datagram&);
    Datagram* known(uint32_t handle);
    template <Links Datagram::*L>
    void append(List&, uint32_t index);
    template <Links Datagram::*L>
    void unlink(List&, uint32_t index);
    List& age_list(const Datagram&);

    flow::Seed seed_;
    uint32_t capacity_, mask_;
    uint32_t used_ = 0, held_ = 0;
    uint32_t waiting_ = 0;  ///< of the held ones, those not ready yet
    std::unique_ptr<Datagram[]> datagrams_;
    std::unique_ptr<uint32_t[]> heads_;  ///< of hash chains
    std::unique_ptr<Source[]> sources_;
    std::unique_ptr<Slot[]> slots_;
    uint32_t free_ = kNil, free_slot_ = kNil;
    List pending_, settled_;  ///< oldest first
    List ready_;              ///< slots to be taken
    List resumed_;            ///< slots of first fragments, to be taken by resume()
};

/// The worker that has the datagrams of this hash.
constexpr uint32_t owner_of(uint64_t hash, uint32_t workers) {
    return uint32_t((hash >> 32) * workers >> 32);
}

}  // namespace torii::stages
