#include "tests/support/frame.h"

#include <fmt/format.h>

#include <cassert>
#include <cstring>

namespace torii::test {
namespace {

void put8(Bytes& b, unsigned v) { b.push_back(std::byte(v)); }
void put16(Bytes& b, unsigned v) { put8(b, v >> 8 & 0xff), put8(b, v & 0xff); }
void put32(Bytes& b, uint32_t v) { put16(b, v >> 16), put16(b, v & 0xffff); }
void append(Bytes& b, const Bytes& more) { b.insert(b.end(), more.begin(), more.end()); }
void set16(Bytes& b, size_t at, unsigned v) {
    b[at] = std::byte(v >> 8 & 0xff);
    b[at + 1] = std::byte(v & 0xff);
}
unsigned get8(const Bytes& b, size_t at) { return unsigned(b.at(at)); }
unsigned get16(const Bytes& b, size_t at) { return get8(b, at) << 8 | get8(b, at + 1); }

// The slow and obvious Internet checksum, so that the product's is not compared with itself.
unsigned checksum(const Bytes& b, size_t from, size_t to, uint32_t sum = 0) {
    for (size_t i = from; i < to; ++i) {
        sum += i % 2 == from % 2 ? get8(b, i) << 8 : get8(b, i);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return ~sum & 0xffff;
}

Bytes wire_address(const Address& a) {
    const auto* p = reinterpret_cast<const std::byte*>(a.bytes.data());
    return a.is_v4() ? Bytes(p + 12, p + 16) : Bytes(p, p + 16);
}

uint32_t pseudo(const Bytes& source, const Bytes& destination, size_t length, uint8_t protocol) {
    Bytes b = source;
    append(b, destination);
    put32(b, uint32_t(length));
    put32(b, protocol);
    return ~checksum(b, 0, b.size()) & 0xffff;
}

Address address(std::string_view text) {
    auto a = parse_address(text);
    assert(a);
    return *a;
}

}  // namespace

Bytes bytes_of(std::initializer_list<int> list) {
    Bytes b;
    for (int v : list) put8(b, unsigned(v));
    return b;
}
Bytes bytes_of(std::string_view text) {
    Bytes b(text.size());
    std::memcpy(b.data(), text.data(), text.size());
    return b;
}
Bytes filler(size_t n) {
    Bytes b(n);
    for (size_t i = 0; i < n; ++i) b[i] = std::byte(i * 7 + i / 256);
    return b;
}

Frame& Frame::eth(std::string_view source, std::string_view destination) {
    source_mac_ = *parse_mac(source);
    destination_mac_ = *parse_mac(destination);
    return *this;
}
Frame& Frame::vlan(uint16_t id, uint8_t priority, uint16_t tpid) {
    tags_.push_back({tpid, uint16_t(priority << 13 | id)});
    return *this;
}
Frame& Frame::type(uint16_t ethertype) { return type_ = ethertype, *this; }
Frame& Frame::ip(std::string_view source, std::string_view destination) {
    source_ = address(source), destination_ = address(destination);
    return *this;
}
Frame& Frame::ttl(uint8_t v) { return ttl_ = v, *this; }
Frame& Frame::tos(uint8_t v) { return tos_ = v, *this; }
Frame& Frame::id(uint16_t v) { return id_ = v, *this; }
Frame& Frame::dont_fragment(bool v) {
    fragment_ = uint16_t(v ? fragment_ | 0x4000 : fragment_ & ~0x4000);
    return *this;
}
Frame& Frame::fragment(uint16_t offset, bool more) {
    fragmented_ = true;
    fragment_ = uint16_t((fragment_ & 0x4000) | (more ? 0x2000 : 0) | offset / 8);
    if (!source_.is_v4()) {
        Bytes h;
        put8(h, 0), put16(h, unsigned(offset & 0xfff8) | (more ? 1 : 0)), put32(h, 0xabcd0123);
        extension(44, h);
    }
    return *this;
}
Frame& Frame::options(Bytes b) { return options_ = std::move(b), *this; }
Frame& Frame::extension(uint8_t type, Bytes rest) {
    extensions_.push_back({type, std::move(rest)});
    return *this;
}
Frame& Frame::tcp(uint16_t source, uint16_t destination, uint8_t flags, Bytes options) {
    protocol_ = 6, source_port_ = source, destination_port_ = destination, tcp_flags_ = flags;
    tcp_options_ = std::move(options);
    return *this;
}
Frame& Frame::udp(uint16_t source, uint16_t destination) {
    protocol_ = 17, source_port_ = source, destination_port_ = destination;
    return *this;
}
Frame& Frame::no_checksum() { return checksum_ = false, *this; }
Frame& Frame::icmp(uint8_t type, uint8_t code, uint32_t rest) {
    protocol_ = source_.is_v4() ? 1 : 58;
    icmp_type_ = type, icmp_code_ = code, icmp_rest_ = rest;
    return *this;
}
Frame& Frame::protocol(uint8_t v) { return protocol_ = v, *this; }
Frame& Frame::payload(Bytes b) { return payload_ = std::move(b), *this; }
Frame& Frame::pad_to(size_t n) { return pad_to_ = n, *this; }

Bytes Frame::upper() const {
    Bytes b;
    size_t at = 0;
    if (protocol_ == 6) {
        put16(b, source_port_), put16(b, destination_port_), put32(b, 1000), put32(b, 2000);
        put8(b, unsigned(5 + tcp_options_.size() / 4) << 4), put8(b, tcp_flags_);
        put16(b, 64240), put16(b, 0), put16(b, 0);
        append(b, tcp_options_);
        at = 16;
    } else if (protocol_ == 17) {
        put16(b, source_port_), put16(b, destination_port_);
        put16(b, unsigned(8 + payload_.size())), put16(b, 0);
        at = 6;
    } else if (protocol_ == 1 || protocol_ == 58) {
        put8(b, icmp_type_), put8(b, icmp_code_), put16(b, 0), put32(b, icmp_rest_);
        at = 2;
    }
    append(b, payload_);
    if (at == 0 || !checksum_) return b;
    const Bytes s = wire_address(source_), d = wire_address(destination_);
    unsigned sum = checksum(b, 0, b.size(), protocol_ == 1 ? 0 : pseudo(s, d, b.size(), protocol_));
    if (protocol_ == 17 && sum == 0) sum = 0xffff;
    set16(b, at, sum);
    return b;
}

Bytes Frame::ipv4(const Bytes& upper) const {
    Bytes b;
    const size_t header = 20 + options_.size();
    put8(b, 0x40 | unsigned(header / 4)), put8(b, tos_), put16(b, unsigned(header + upper.size()));
    put16(b, id_), put16(b, fragment_), put8(b, ttl_), put8(b, protocol_), put16(b, 0);
    append(b, wire_address(source_)), append(b, wire_address(destination_));
    append(b, options_);
    set16(b, 10, checksum(b, 0, header));
    append(b, upper);
    return b;
}

Bytes Frame::ipv6(const Bytes& upper) const {
    Bytes chain;
    for (size_t i = 0; i < extensions_.size(); ++i) {
        put8(chain, i + 1 < extensions_.size() ? extensions_[i + 1].type : protocol_);
        append(chain, extensions_[i].rest);
    }
    Bytes b;
    put32(b, 6u << 28 | uint32_t(tos_) << 20), put16(b, unsigned(chain.size() + upper.size()));
    put8(b, extensions_.empty() ? protocol_ : extensions_[0].type), put8(b, ttl_);
    append(b, wire_address(source_)), append(b, wire_address(destination_));
    append(b, chain), append(b, upper);
    return b;
}

Bytes Frame::packet() const {
    if (type_ != 0) return payload_;
    return source_.is_v4() ? ipv4(upper()) : ipv6(upper());
}

Bytes Frame::bytes() const {
    Bytes b;
    for (uint8_t v : destination_mac_.bytes) put8(b, v);
    for (uint8_t v : source_mac_.bytes) put8(b, v);
    for (const Tag& t : tags_) put16(b, t.tpid), put16(b, t.tci);
    put16(b, type_ != 0 ? type_ : source_.is_v4() ? 0x0800 : 0x86dd);
    append(b, packet());
    while (b.size() < pad_to_) put8(b, 0xee);
    return b;
}

std::string wrong_checksums(const Bytes& f) {
    size_t l3 = 12;
    while (get16(f, l3) == 0x8100 || get16(f, l3) == 0x88a8) l3 += 4;
    const bool v4 = get16(f, l3) == 0x0800;
    l3 += 2;
    const size_t header = v4 ? (get8(f, l3) & 15) * 4 : 40;
    const size_t end = l3 + (v4 ? get16(f, l3 + 2) : 40 + get16(f, l3 + 4));
    uint8_t protocol = uint8_t(get8(f, l3 + (v4 ? 9 : 6)));
    if (v4 && checksum(f, l3, l3 + header) != 0) return "IPv4 header checksum";
    if (v4 && (get16(f, l3 + 6) & 0x3fff) != 0) return {};  // the others are in other fragments
    size_t l4 = l3 + header;
    while (!v4 && (protocol == 0 || protocol == 43 || protocol == 60 || protocol == 51)) {
        const size_t size = protocol == 51 ? (get8(f, l4 + 1) + 2) * 4 : (get8(f, l4 + 1) + 1) * 8;
        protocol = uint8_t(get8(f, l4));
        l4 += size;
    }
    const size_t at = protocol == 6                     ? 16
                      : protocol == 17                  ? 6
                      : protocol == 1 || protocol == 58 ? 2
                                                        : 0;
    if (at == 0 || (protocol == 17 && get16(f, l4 + at) == 0)) return {};
    uint32_t seed = 0;
    if (protocol != 1) {
        const size_t a = v4 ? 4 : 16, from = l3 + (v4 ? 12 : 8);
        const auto p = f.begin() + std::ptrdiff_t(from);
        const auto n = std::ptrdiff_t(a);
        seed = pseudo(Bytes(p, p + n), Bytes(p + n, p + 2 * n), end - l4, protocol);
    }
    if (checksum(f, l4, end, seed) != 0) return fmt::format("checksum of protocol {}", protocol);
    return {};
}

std::string diff(const Bytes& got, const Bytes& want) {
    if (got == want) return {};
    std::string out = fmt::format("got {} bytes, want {}\n", got.size(), want.size());
    for (size_t row = 0; row < std::max(got.size(), want.size()); row += 16) {
        std::string g, w;
        bool differs = false;
        for (size_t i = row; i < row + 16; ++i) {
            const bool other =
                (i < got.size()) != (i < want.size()) || (i < got.size() && got[i] != want[i]);
            differs |= other;
            g += i < got.size() ? fmt::format("{:02x}{}", get8(got, i), other ? '*' : ' ') : "   ";
            w += i < want.size() ? fmt::format("{:02x} ", get8(want, i)) : "   ";
        }
        out += fmt::format("{:04x}{} {} | {}\n", row, differs ? '!' : ' ', g, w);
    }
    return out;
}

}  // namespace torii::test
