#pragma once
// The dataplane's own view of one packet. No DPDK type appears here: the port adapter fills it from
// an mbuf, a test from an array.

#include <cstddef>
#include <cstdint>
#include <span>

#include "config/base/address.h"
#include "dataplane/stages/verdict.h"

namespace torii::stages {

enum class Direction : uint8_t { request, reply };

inline constexpr uint16_t kNobody = 0xffff;

/// One packet in a burst. The adapter sets data, length, headroom, tailroom, in_port and owner; the
/// stages set the rest. A stage may move `data` down into the headroom and change `length` within
/// headroom and tailroom; the adapter carries both back into its buffer before transmission.
struct Packet {
    std::byte* data = nullptr;  ///< Ethernet header
    uint16_t length = 0;        ///< bytes from `data` to the end of the frame
    uint16_t headroom = 0;      ///< writable bytes before `data`
    uint16_t tailroom = 0;      ///< writable bytes after the frame
    uint16_t in_port = 0;       ///< dataplane port it came from

    Verdict verdict = Verdict::open;
    bool ipv6 = false;
    bool is_fragment = false;     ///< any fragment, the first included
    bool later_fragment = false;  ///< a fragment but the first: l4 is data, there are no ports
    bool is_icmp_error = false;   ///< a well-formed ICMP(v6) error; l4 is the ICMP header
    uint8_t protocol = 0;         ///< of the upper layer, after extension headers
    uint8_t tcp_flags = 0;        ///< TCP; what stands for them of SCTP (sctp.h)
    Direction direction = Direction::request;
    bool held = false;  ///< rewritten, waits for its neighbour: the adapter keeps it; or set aside
    bool nat = false;   ///< of a connection forwarded by NAT
    Verdict intended = Verdict::open;  ///< what it becomes when it is sent

    uint16_t l3 = 0, l4 = 0;  ///< offsets from `data`, valid once parse() has run
    uint16_t l3_length = 0;   ///< bytes from l3 to the end of the IP packet (padding excluded)
    uint16_t ip_bytes = 0;    ///< l3_length as it came
    be16 source_port, destination_port;  ///< TCP, UDP and SCTP

    uint64_t hash = 0;       ///< of (protocol, client address, client port) on the side at hand
    uint32_t entry = ~0u;    ///< connection, or ~0u
    uint32_t service = ~0u;  ///< index into Services::services, or ~0u
    uint32_t backend = ~0u;  ///< backend slot, or ~0u
    uint32_t former = ~0u;   ///< slot that had the connection which this SYN has ended, or ~0u
    uint32_t service_slot = ~0u;  ///< counter slot of the service, set together with `backend`
    uint32_t next_hop = ~0u;      ///< index into Routes::next_hops, or ~0u
    uint16_t out_port = 0xffff;   ///< dataplane port it leaves by
    uint16_t vlan = 0;            ///< VLAN id it came with; 0 = untagged
    uint16_t cut_to = 0;          ///< the adapter sends it in pieces of so many bytes; 0 = whole
    uint16_t give_to = kNobody;   ///< set aside for this worker, which the adapter gives it to
    uint32_t datagram = ~0u;      ///< of a fragment: its place in the worker's FragmentTable
    void* owner = nullptr;        ///< the adapter's handle; stages never look at it

    template <class T>
    T* at(size_t offset) const {
        return reinterpret_cast<T*>(data + offset);
    }
    void close(Verdict v) { verdict = v; }
};

/// Calls `stage` for each packet that no earlier stage has closed. Prefetching and branch hints
/// live here so that stages read like the RFC they implement.
template <class Stage>
inline void each_open(std::span<Packet> burst, Stage&& stage) {
    for (size_t i = 0; i < burst.size(); ++i)
        if (burst[i].verdict == Verdict::open) [[likely]]
            stage(burst[i]);
}

}  // namespace torii::stages
