#include "dataplane/stages/cut.h"

#include <algorithm>
#include <cstring>

#include "dataplane/stages/checksum.h"
#include "dataplane/stages/headers.h"

namespace torii::stages {
namespace {

constexpr size_t kMostOptions = 40;
constexpr uint8_t kFragmentHeader = 44;  // RFC 8200 4.5
constexpr uint8_t kEnd = 0, kNothing = 1, kCopied = 0x80;

// Options for the later pieces, padded to words; returns their bytes. An option whose length is
// wrong ends the list, as in Linux (ip_options_fragment).
uint16_t copied_options(const uint8_t* options, size_t length, uint8_t* out) {
    uint16_t n = 0;
    for (size_t i = 0; i < length && options[i] != kEnd;) {
        if (options[i] == kNothing) {
            ++i;
            continue;
        }
        if (i + 1 >= length || options[i + 1] < 2 || i + options[i + 1] > length) break;
        const size_t size = options[i + 1];
        if (options[i] & kCopied) {
            std::memcpy(out + n, options + i, size);
            n = uint16_t(n + size);
        }
        i += size;
    }
    while (n % 4 != 0) out[n++] = kEnd;
    return n;
}

const uint8_t* options_of(const Packet& p) { return p.at<uint8_t>(p.l3 + sizeof(wire::Ipv4)); }

struct Span {
    uint32_t from, length;  // of the packet's data
};
Span data_of(const CutPlan& plan, uint16_t index) {
    const uint32_t from = index == 0 ? 0 : plan.first_data + (index - 1u) * plan.later_data;
    const uint32_t most = index == 0 ? plan.first_data : plan.later_data;
    return {from, std::min<uint32_t>(most, plan.data - from)};
}

void write_header4(const Packet& p, const CutPlan& plan, uint16_t index, std::byte* out) {
    const auto* whole = p.at<wire::Ipv4>(p.l3);
    const uint16_t header = index == 0 ? plan.first_header : plan.later_header;
    const Span data = data_of(plan, index);
    auto* ip = reinterpret_cast<wire::Ipv4*>(out);
    std::memcpy(ip, whole, index == 0 ? header : sizeof *ip);
    if (index != 0) {
        uint8_t copied[kMostOptions];
        const size_t n =
            copied_options(options_of(p), plan.own_header - sizeof(wire::Ipv4), copied);
        std::memcpy(reinterpret_cast<uint8_t*>(ip + 1), copied, n);
    }
    const uint16_t was = wire::host16(whole->fragment);
    const bool more = index + 1 < plan.count || (was & 0x2000) != 0;
    ip->version_ihl = uint8_t(0x40 | header / 4);
    ip->total_length = wire::net16(uint16_t(header + data.length));
    ip->fragment = wire::net16(uint16_t((more ? 0x2000 : 0) | ((was & 0x1fff) + data.from / 8)));
    ip->checksum = 0;
    ip->checksum = checksum_of(ip, header);
}

void write_header6(const Packet& p, const CutPlan& plan, uint16_t index, std::byte* out) {
    const Span data = data_of(plan, index);
    wire::Ipv6 ip;
    std::memcpy(&ip, p.data + p.l3, sizeof ip);
    wire::Fragment6 fragment{};
    fragment.next_header = ip.next_header;
    fragment.offset_more = wire::net16(uint16_t(data.from | (index + 1 < plan.count)));
    fragment.id = wire::net32(plan.id);
    ip.next_header = kFragmentHeader;
    ip.payload_length = wire::net16(uint16_t(sizeof fragment + data.length));
    std::memcpy(out, &ip, sizeof ip);
    std::memcpy(out + sizeof ip, &fragment, sizeof fragment);
}

}  // namespace

CutPlan plan_cut(const Packet& p, uint32_t id) {
    CutPlan plan;
    plan.link = p.l3;
    if (p.ipv6) {
        plan.id = id;
        plan.own_header = sizeof(wire::Ipv6);
        plan.first_header = plan.later_header = sizeof(wire::Ipv6) + sizeof(wire::Fragment6);
    } else {
        plan.own_header = uint16_t((p.at<wire::Ipv4>(p.l3)->version_ihl & 15) * 4);
        plan.first_header = plan.own_header;
        uint8_t copied[kMostOptions];
        plan.later_header =
            uint16_t(sizeof(wire::Ipv4) +
                     copied_options(options_of(p), plan.own_header - sizeof(wire::Ipv4), copied));
    }
    plan.data = uint16_t(p.l3_length - plan.own_header);
    if (p.cut_to < plan.first_header + 8u) return plan;
    plan.first_data = uint16_t((p.cut_to - plan.first_header) & ~7);
    plan.later_data = uint16_t((p.cut_to - plan.later_header) & ~7);
    const uint32_t rest = plan.data > plan.first_data ? plan.data - plan.first_data : 0;
    plan.count = uint16_t(1 + (rest + plan.later_data - 1) / plan.later_data);
    return plan;
}

uint16_t piece_length(const CutPlan& plan, uint16_t index) {
    const uint32_t header = index == 0 ? plan.first_header : plan.later_header;
    return uint16_t(plan.link + header + data_of(plan, index).length);
}

void write_piece(const Packet& p, const CutPlan& plan, uint16_t index, std::byte* out) {
    const uint16_t header = index == 0 ? plan.first_header : plan.later_header;
    const Span data = data_of(plan, index);
    std::memcpy(out, p.data, plan.link);
    (p.ipv6 ? write_header6 : write_header4)(p, plan, index, out + plan.link);
    std::memcpy(out + plan.link + header, p.data + p.l3 + plan.own_header + data.from, data.length);
}

}  // namespace torii::stages
