#include "dataplane/stages/fragment.h"

#include <cstring>

#include "dataplane/stages/extensions.h"
#include "dataplane/stages/headers.h"
#include "dataplane/stages/stages.h"

namespace torii::stages {
namespace {

Fragment read4(const Packet& p) {
    const auto* ip = p.at<wire::Ipv4>(p.l3);
    const uint16_t field = wire::host16(ip->fragment);
    Fragment f;
    f.key = {source_of(p), destination_of(p), ip->id, ip->protocol};
    f.header = uint32_t(p.l4 - p.l3);
    f.offset = uint32_t(field & 0x1fff) * 8;
    f.length = p.l3_length - f.header;
    f.more = (field & 0x2000) != 0;
    return f;
}

// The data begins behind the fragment header: what parse() calls the upper layer of a first
// fragment may lie behind more extension headers, which are data here.
Fragment read6(const Packet& p) {
    const Chain chain = walk_extensions(p.data + p.l3, p.l3_length);
    const auto* h = p.at<wire::Fragment6>(p.l3 + chain.fragment_header);
    const uint16_t field = wire::host16(h->offset_more);
    Fragment f;
    f.key = {source_of(p), destination_of(p), h->id, 0};
    f.header = uint32_t(chain.fragment_header) - uint32_t(sizeof(wire::Ipv6));
    f.offset = field & 0xfff8u;
    f.length = p.l3_length - chain.fragment_header - uint32_t(sizeof(wire::Fragment6));
    f.more = (field & 1) != 0;
    return f;
}

}  // namespace

Fragment read_fragment(const Packet& p) { return p.ipv6 ? read6(p) : read4(p); }

uint64_t hash_of(const flow::Seed& seed, const DatagramKey& k) {
    uint64_t words[4];
    std::memcpy(words, k.source.bytes.data(), 16);
    std::memcpy(words + 2, k.destination.bytes.data(), 16);
    const uint64_t source = flow::fold(words[0] ^ seed.a, words[1] ^ seed.b);
    const uint64_t both = flow::fold(source ^ words[2], words[3] ^ seed.a);
    const uint64_t all =
        flow::fold(both ^ (uint64_t(k.protocol) << 32 | k.id), 0x9e3779b97f4a7c15u ^ seed.b);
    // Once more: identifications follow each other, and one multiplication leaves some keys that
    // keep them together.
    return flow::fold(all ^ seed.a, 0xa0761d6478bd642fu ^ seed.b);
}

}  // namespace torii::stages
