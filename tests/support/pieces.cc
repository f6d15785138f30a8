#include "tests/support/pieces.h"

#include <algorithm>
#include <map>

namespace torii::test {
namespace {

constexpr size_t kLink = 14;

void set16(Bytes& b, size_t at, size_t v) {
    b.at(at) = std::byte(v >> 8);
    b.at(at + 1) = std::byte(v);
}
size_t get16(const Bytes& b, size_t at) { return size_t(b.at(at)) << 8 | size_t(b.at(at + 1)); }

bool is_v4(const Bytes& packet) { return uint8_t(packet.at(0)) >> 4 == 4; }
size_t header_of(const Bytes& packet) {
    return is_v4(packet) ? size_t(uint8_t(packet[0]) & 15) * 4 : 40;
}

void checksum4(Bytes& packet) {
    set16(packet, 10, 0);
    size_t sum = 0;
    for (size_t i = 0; i < header_of(packet); i += 2) sum += get16(packet, i);
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    set16(packet, 10, ~sum & 0xffff);
}

}  // namespace

Bytes piece(const Bytes& packet, size_t offset, size_t length, bool more, uint32_t id) {
    const bool v4 = is_v4(packet);
    const size_t header = header_of(packet);
    Bytes out(packet.begin(), packet.begin() + long(header));
    if (v4) {
        set16(out, 2, header + length);
        set16(out, 4, id);
        set16(out, 6, (more ? 0x2000 : 0) | offset / 8);
        checksum4(out);
    } else {
        set16(out, 4, 8 + length);
        const std::byte next = out[6];
        out[6] = std::byte(44);
        const Bytes extension = bytes_of({int(next), 0, int(offset >> 8), int(offset) | more,
                                          int(id >> 24), int(id >> 16), int(id >> 8), int(id)});
        out.insert(out.end(), extension.begin(), extension.end());
    }
    const auto from = packet.begin() + long(header + offset);
    out.insert(out.end(), from, from + long(length));
    Bytes frame = Frame().type(v4 ? 0x0800 : 0x86dd).payload(std::move(out)).bytes();
    return frame;
}

std::vector<Bytes> in_pieces(const Frame& frame, size_t most, uint32_t id) {
    const Bytes packet = frame.packet();
    const size_t data = packet.size() - header_of(packet);
    std::vector<Bytes> out;
    for (size_t at = 0; at < data; at += most)
        out.push_back(piece(packet, at, std::min(most, data - at), at + most < data, id));
    return out;
}

Bytes together(const std::vector<Bytes>& frames) {
    std::map<size_t, Bytes> data;  // by offset
    Bytes first;
    size_t end = 0;
    for (const Bytes& frame : frames) {
        Bytes packet(frame.begin() + kLink, frame.end());
        const bool v4 = is_v4(packet);
        const size_t header = header_of(packet) + (v4 ? 0 : 8);
        const size_t field = get16(packet, v4 ? 6 : 42);
        const size_t offset = v4 ? (field & 0x1fff) * 8 : field & 0xfff8;
        const bool more = field & (v4 ? 0x2000 : 1);
        if (!more) end = offset + packet.size() - header;
        data[offset] = Bytes(packet.begin() + long(header), packet.end());
        if (offset == 0) first = Bytes(packet.begin(), packet.begin() + long(header));
    }
    Bytes all;
    for (const auto& [offset, bytes] : data) {
        if (offset != all.size()) return {};
        all.insert(all.end(), bytes.begin(), bytes.end());
    }
    if (first.empty() || all.size() != end) return {};
    if (is_v4(first)) {
        set16(first, 2, first.size() + end);
        set16(first, 4, Frame::kIdentification);
        set16(first, 6, 0);
        checksum4(first);
    } else {
        first[6] = first[40];
        first.resize(40);
        set16(first, 4, end);
    }
    first.insert(first.end(), all.begin(), all.end());
    return first;
}

}  // namespace torii::test
