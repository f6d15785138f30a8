#pragma once
// services.<n>: one immutable generation of virtual services, backends and timeouts.
//
// The file is position independent: records with sections (offset, count). What belongs to one
// service alone (its list, tables and names) lies in a piece: a file pieces.<m> that the generation
// m came with and later ones share, so that a generation costs its records and what has changed.
// build() is a pure function from a description to bytes (used by toriid and by tests);
// Services::view() checks every offset, index and count once, so that workers may use them
// unchecked afterwards. A generation may also hold everything itself.
// Writer: toriid, before the generation is published. Readers: everybody, read only, any thread.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/base/address.h"
#include "dataplane/shm/object.h"

namespace torii::shm {

enum class Forward : uint8_t { nat = 0, local = 1, tunnel = 2, dr = 3 };  // LVS's numbers

enum class TunnelType : uint8_t { ipip = 0, gue = 1, gre = 2 };          // LVS's numbers
enum class TunnelChecksum : uint8_t { none = 0, full = 1, remote = 2 };  // LVS's numbers

/// The outer header of Forward::tunnel.
struct Tunnel {
    TunnelType type = TunnelType::ipip;
    TunnelChecksum checksum = TunnelChecksum::none;
    be16 port{};  ///< gue
    friend bool operator==(const Tunnel&, const Tunnel&) = default;
};

/// LVS's switches: names, meaning and defaults of /proc/sys/net/ipv4/vs, those that torii has.
struct Behaviour {
    uint32_t backup_only = 0, cache_bypass = 0, conn_reuse_mode = 1, expire_nodest_conn = 0,
             expire_quiescent_template = 0, lblc_expiration = 86400, lblcr_expiration = 86400,
             nat_icmp_send = 0, pmtu_disc = 1, schedule_icmp = 0, sloppy_sctp = 0, sloppy_tcp = 0;
    friend bool operator==(const Behaviour&, const Behaviour&) = default;
};

/// Packets of one destination block, protocol and range of ports carry a firewall mark.
struct MarkRecord {
    Address destination;  ///< masked
    uint8_t length = 0;   ///< bits of its family
    Protocol protocol = Protocol::any;
    uint16_t first_port = 0, last_port = 65535;  ///< host order, both included
    uint16_t reserved = 0;
    uint32_t mark = 0;
    friend bool operator==(const MarkRecord&, const MarkRecord&) = default;
};
static_assert(sizeof(MarkRecord) == 28);

/// Seconds, in the order of the TCP states of LVS (spec: NONE .. SYNACK), then UDP and ICMP.
struct Timeouts {
    uint32_t tcp[11] = {2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120};
    uint32_t udp = 300;
    friend bool operator==(const Timeouts&, const Timeouts&) = default;
};

/// What a backend or service had counted when it got its slot, or when its counters were zeroed.
struct CounterBase {
    uint64_t connections = 0, in_packets = 0, in_bytes = 0, out_packets = 0, out_bytes = 0;
    friend bool operator==(const CounterBase&, const CounterBase&) = default;
};

/// What toriid must know of a backend's service, also when the backend was removed.
struct BackendOwner {
    Address address;
    be16 port;
    uint8_t reserved[2];
    uint32_t mark;
    uint32_t service_slot, service_generation;
    uint64_t removed_in;  ///< the services generation that first lacked the backend
};
static_assert(sizeof(BackendOwner) == 40);

/// One (service, address, port); indexed by backend slot. Workers only need the first line.
struct BackendRecord {
    Address address;
    be16 port;
    Forward forward;
    uint8_t present;        ///< 0: the slot is unused, or its backend was removed
    uint32_t generation;    ///< tells a reused slot from its former owner; never 0 when present
    uint32_t service;       ///< index into services
    uint32_t weight;        ///< 0..65535, what LVS shows
    uint32_t upper, lower;  ///< connection thresholds; 0 = none
    Tunnel tunnel;
    uint32_t drain_until;  ///< flow::Tick at which its connections end; 0 = they need not
    Protocol protocol;     ///< of its service; what a removed one had, as forward is
    uint8_t reserved0[3];
    uint32_t reserved1[3];
    CounterBase base;
    Section name;  ///< char, where its service's sections lie; the name in the configuration
    BackendOwner owner;
    uint32_t reserved2[10];
};
static_assert(sizeof(BackendRecord) == 192 && offsetof(BackendRecord, base) == 64);

// ServiceRecord::flags, with the numbers of LVS.
inline constexpr uint16_t kPersistent = 0x01;
inline constexpr uint16_t kOnePacket = 0x04;

struct ServiceRecord {
    Address address;  ///< of a mark service: the unspecified one of its family
    be16 port;
    Protocol protocol;
    uint8_t reserved0;
    uint32_t slot;  ///< counter slot, kept over reloads
    uint32_t slot_generation;
    char scheduler[16];        ///< name in kSchedulers, NUL-terminated
    uint16_t scheduler_flags;  ///< LVS bits: 0x08 fallback, 0x10 port
    uint16_t flags;            ///< kPersistent, kOnePacket
    uint32_t version;          ///< changes with the list of backends or a weight
    uint32_t max_weight, gcd;  ///< of the positive weights
    uint64_t change_seq;       ///< number of the last element of `changes`
    Section targets;           ///< scheduler::Target, list order (newest backend first)
    Section table;             ///< uint32_t, what the scheduler's build() made
    Section changes;           ///< scheduler::Change, oldest first, the last one is change_seq
    Section consistent;  ///< uint32_t, indices into targets; for stateless forwarding (not NAT)
    Section name;        ///< char, the service's name in the configuration
    CounterBase base;
    uint32_t mark;                 ///< 0: not a mark service
    uint32_t persistence_timeout;  ///< seconds
    uint32_t persistence_mask;     ///< IPv4: a mask in host order; IPv6: a prefix length
    uint32_t drain;                ///< seconds a leaving backend's connections live; 0 = for ever
    char pe[16];                   ///< persistence engine, NUL-terminated
    uint32_t piece;  ///< where its sections lie: 0 = in this object, n = in its piece n - 1
    Section part;    ///< bytes of that piece: everything of this service; piece 0: not used
    uint32_t reserved[5];
};

// ServicesHeader::flags: what lookups may leave out.
inline constexpr uint32_t kHasPortZero = 1;  ///< a service that takes every port
inline constexpr uint32_t kHasMarks = 2;     ///< a mark service

struct ServicesHeader {
    ObjectHeader header;
    uint64_t generation;
    Timeouts timeouts;
    Behaviour behaviour;
    uint32_t flags;
    Section services;       ///< ServiceRecord, in configuration order
    Section backends;       ///< BackendRecord, indexed by slot
    Section service_index;  ///< uint32_t, open addressing, power of two; ~0u = empty
    Section vips;           ///< Address, open addressing, power of two; Address{} = empty
    Section marks;          ///< MarkRecord, most specific first
    Section pieces;         ///< uint64_t: the numbers of the files pieces.<m>, ascending
};

inline constexpr uint64_t kServicesLayout =
    layout_hash({kMixing, sizeof(ServicesHeader), sizeof(ServiceRecord), sizeof(BackendRecord),
                 offsetof(ServiceRecord, targets), offsetof(ServiceRecord, change_seq),
                 offsetof(BackendRecord, generation), offsetof(BackendRecord, base),
                 offsetof(BackendRecord, protocol), offsetof(BackendRecord, owner),
                 offsetof(ServiceRecord, mark), sizeof(Behaviour), sizeof(MarkRecord),
                 offsetof(ServicesHeader, marks), offsetof(ServicesHeader, pieces),
                 offsetof(ServiceRecord, piece)});

/// Mixes an address, port and protocol for service_index; and an address for vips. An address's
/// last bytes, which tell neighbours apart, go where a product carries them upwards.
inline uint32_t mix(const Address& a, uint16_t raw_port = 0, uint8_t protocol = 0) {
    uint64_t x, y;
    std::memcpy(&x, a.bytes.data(), 8);
    std::memcpy(&y, a.bytes.data() + 8, 8);
    uint64_t h = (x ^ (uint64_t(raw_port) << 8 | protocol)) * 0x9e3779b97f4a7c15u;
    h = (h ^ (h >> 32) ^ __builtin_bswap64(y)) * 0xc2b2ae3d27d4eb4fu;
    return uint32_t(h >> 32);
}

/// Same for a mark service.
inline uint32_t mix_mark(uint32_t mark, Family family) {
    return uint32_t((uint64_t(mark) << 8 | uint8_t(family)) * 0x9e3779b97f4a7c15u >> 32);
}
inline uint32_t mix(const ServiceRecord& r) {
    return r.mark != 0 ? mix_mark(r.mark, r.address.family())
                       : mix(r.address, r.port.raw(), uint8_t(r.protocol));
}

using Bytes = std::span<const std::byte>;

/// A read-only look at one generation. Copies nothing; valid as long as its Mappings.
struct Services {
    const ServicesHeader* header = nullptr;
    std::span<const ServiceRecord> services;
    std::span<const BackendRecord> backends;
    std::span<const uint32_t> service_index;
    std::span<const Address> vips;
    std::span<const MarkRecord> marks;
    std::span<const uint64_t> pieces;  ///< the numbers of their files
    std::vector<Bytes> places;         ///< by ServiceRecord::piece

    /// Checks everything; Errc::layout names what is wrong. `pieces` are the whole files that the
    /// header names, in its order. What it shares with `checked` is not looked at again.
    static Result<Services> view(Bytes object, std::span<const Bytes> pieces = {},
                                 const Services* checked = nullptr);

    /// A section of this object itself.
    template <class T>
    std::span<const T> section(const Section& s) const {
        return {reinterpret_cast<const T*>(reinterpret_cast<const std::byte*>(header) + s.offset),
                s.count};
    }
    /// A section of one service.
    template <class T>
    std::span<const T> section(const ServiceRecord& of, const Section& s) const {
        return {reinterpret_cast<const T*>(places[of.piece].data() + s.offset), s.count};
    }
    std::string_view text(const ServiceRecord& of, const Section& s) const {
        const auto t = section<char>(of, s);
        return {t.data(), t.size()};
    }
    std::string_view name(const ServiceRecord& s) const { return text(s, s.name); }
    /// Of a backend that is present.
    std::string_view name(const BackendRecord& b) const {
        return text(services[b.service], b.name);
    }
    const ServiceRecord* find(const Address& a, be16 port, Protocol p) const {
        const uint32_t mask = uint32_t(service_index.size()) - 1;
        for (uint32_t i = mix(a, port.raw(), uint8_t(p)) & mask;; i = (i + 1) & mask) {
            if (service_index[i] == ~0u) return nullptr;
            const ServiceRecord& s = services[service_index[i]];
            if (s.address == a && s.port == port && s.protocol == p && s.mark == 0) return &s;
        }
    }
    const ServiceRecord* find_mark(uint32_t mark, Family family) const {
        const uint32_t mask = uint32_t(service_index.size()) - 1;
        for (uint32_t i = mix_mark(mark, family) & mask;; i = (i + 1) & mask) {
            if (service_index[i] == ~0u) return nullptr;
            const ServiceRecord& s = services[service_index[i]];
            if (s.mark == mark && s.address.family() == family) return &s;
        }
    }
    bool is_vip(const Address& a) const {
        const uint32_t mask = uint32_t(vips.size()) - 1;
        for (uint32_t i = mix(a) & mask;; i = (i + 1) & mask) {
            if (vips[i] == a) return true;
            if (vips[i] == Address{}) return false;
        }
    }
    /// The record of a slot if it still belongs to `generation`, else nullptr.
    const BackendRecord* backend(uint32_t slot, uint32_t generation) const {
        if (slot >= backends.size()) return nullptr;
        const BackendRecord& b = backends[slot];
        return b.present && b.generation == generation ? &b : nullptr;
    }
};

/// What build() makes a generation from. Raw sections are bytes of scheduler::Target and
/// scheduler::Change arrays, so that this folder need not know them.
struct ServiceDescription {
    ServiceRecord record{};  ///< sections are filled in by build()
    std::vector<std::byte> targets, changes;
    uint32_t target_size = 8, change_size = 1;  ///< sizeof one element
    std::vector<uint32_t> table, consistent;
    std::string name;
};
struct BackendDescription {
    BackendRecord record{};
    std::string name;
};
struct ServicesDescription {
    uint64_t generation = 0;
    Timeouts timeouts;
    Behaviour behaviour;
    std::vector<MarkRecord> marks;
    std::vector<ServiceDescription> services;
    std::vector<BackendDescription> backends;  ///< index = slot; unused slots have present = 0
};
/// A present backend's protocol is filled in from its service. The whole object, unstamped
/// (write_immutable stamps it; tests call stamp_buffer). Fails when an index is out of range, a
/// service is there twice, or the result exceeds 4 GiB.
Result<std::vector<std::byte>> build(const ServicesDescription&);

/// What belongs to one service alone. Sections count from the start of `bytes`; `names` are those
/// of its backends, in the order they were given.
struct Part {
    ServiceRecord record;
    std::vector<Section> names;
    std::vector<std::byte> bytes;
};
/// Fails when a table refers to no target.
Result<Part> part_of(const ServiceDescription&, std::span<const std::string_view> names);
/// Where a part may begin in a piece.
inline constexpr size_t kPartAlignment = 64;
/// The section `offset` bytes further on; an empty one stays.
constexpr Section moved(Section s, uint32_t offset) {
    return s.count == 0 ? s : Section{s.offset + offset, s.count};
}
void move_sections(ServiceRecord&, uint32_t offset);

/// A generation whose services lie in pieces.
struct ServicesRoot {
    Timeouts timeouts;
    Behaviour behaviour;
    std::span<const MarkRecord> marks;
    std::span<const ServiceRecord> services;
    std::span<const BackendRecord> backends;  ///< index = slot
    std::span<const uint64_t> pieces;
};
/// As build() above. Pieces have an ObjectHeader of kind Kind::pieces and layout kServicesLayout.
Result<std::vector<std::byte>> build(const ServicesRoot&);

}  // namespace torii::shm
