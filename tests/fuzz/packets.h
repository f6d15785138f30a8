#pragma once
// Frames of a fuzzer's input through a World, and what must be true of every packet: exactly one
// verdict or it is held, nothing read or written outside the frame and its room (the sanitizers
// see that), no change to what goes to the kernel, right IPv4 headers in what leaves.
//
// Input: one byte (bits 0-1: headroom, 2-3: tailroom, 4: port, 5: several frames), then the frame;
// or several, each behind two bytes: bit 15 the worker, bit 14 two seconds pass, bits 0-13 its
// length. Of several the checksums of IPv4 headers and of SCTP are made right, so that what lies
// deeper is reached: fragments that follow each other.

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tests/support/world/sctp.h"
#include "tests/support/world/world.h"

namespace torii::test {

inline void check(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "fuzz: %s\n", what);
    std::abort();
}

// The checksum over an IPv4 header as it stands behind the Ethernet header; 0: right, or no IPv4.
inline unsigned header_sum(const Bytes& frame) {
    if (frame.size() < 34 || frame[12] != std::byte(8) || frame[13] != std::byte(0)) return 0;
    const size_t header = std::min<size_t>((size_t(frame[14]) & 15) * 4, frame.size() - 14);
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < header; i += 2)
        sum += uint32_t(frame[14 + i]) << 8 | uint32_t(frame[15 + i]);
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

class Run {
public:
    explicit Run(World& world) : w_(world) {}

    void send(const Bytes& frame, Room room, uint32_t worker) {
        Sent s = w_.send(frame, room, worker);
        if (s.packet.give_to != stages::kNobody) {
            worker = s.packet.give_to;
            s = w_.send(frame, room, worker);
            check(s.packet.give_to == stages::kNobody, "given on and on");
        }
        ++sent_;
        const bool waits =
            s.verdict == stages::Verdict::open || s.verdict == stages::Verdict::aside;
        check(waits == s.held, "neither verdict nor held");
        look_at(s, frame);
        for (Sent& r : w_.released(worker)) look_at(r, r.frame);
    }
    void end(uint32_t milliseconds) {
        w_.pass(milliseconds);
        uint64_t received = 0, sum = 0, held = 0, waiting = 0;
        for (uint32_t worker : {0, 1}) {
            for (Sent& r : w_.released(worker)) look_at(r, r.frame);
            const stages::FragmentTable& table = w_.state(worker).fragments;
            check(table.datagrams() <= table.capacity(), "too many datagrams");
            held += table.held();
            waiting += w_.counters(worker).waiting.get();  // who lets go of a packet may be another
            received += w_.counters(worker).received.get();
            sum += table.held();
            for (const auto& v : stages::kVerdicts) sum += w_.count(v.id, worker);
        }
        check(held == waiting, "held and waiting differ");
        check(sum == sent_ && received == sent_, "verdicts do not add up");
    }

private:
    void look_at(Sent& s, const Bytes& before) {
        if (s.verdict == stages::Verdict::open) w_.abandon_held(s);
        if (stages::info(s.verdict).outcome == stages::Outcome::kernel)
            check(s.frame == before, "a packet for the kernel was changed");
        if (stages::info(s.verdict).outcome == stages::Outcome::forwarded && s.pieces.empty())
            check(header_sum(s.frame) == 0, "the checksum of an IPv4 header is wrong");
        for (const Bytes& piece : s.pieces)
            check(header_sum(piece) == 0, "the checksum of a piece's IPv4 header is wrong");
    }
    World& w_;
    uint64_t sent_ = 0;
};

// Makes an IPv4 header's checksum right, and that of the whole SCTP packet behind it.
inline void mend_checksums(Bytes& frame) {
    if (frame.size() < 34 || frame[12] != std::byte(8) || frame[13] != std::byte(0)) return;
    const size_t header = (size_t(frame[14]) & 15) * 4;
    if (header < 20) return;
    const size_t l4 = 14 + header, end = size_t(frame[16]) << 8 | size_t(frame[17]);
    const bool whole = (frame[20] & std::byte(0x3f)) == std::byte(0) && frame[21] == std::byte(0);
    if (frame[23] == std::byte(132) && whole && frame.size() >= l4 + 12 && 14 + end >= l4 + 12 &&
        14 + end <= frame.size()) {
        seal_sctp(std::span(frame).subspan(l4, 14 + end - l4));
    }
    frame[24] = frame[25] = std::byte(0);
    const unsigned sum = header_sum(frame);
    frame[24] = std::byte(sum >> 8);
    frame[25] = std::byte(sum);
}

inline void run_several(Run& run, Room room, const std::byte* at, const std::byte* end) {
    for (int n = 0; n < 40 && end - at >= 2; ++n) {
        const unsigned head = unsigned(at[0]) << 8 | unsigned(at[1]);
        const auto length = std::min<std::ptrdiff_t>(head & 0x3fff, end - at - 2);
        Bytes frame(at + 2, at + 2 + length);
        at += 2 + length;
        mend_checksums(frame);
        run.send(frame, room, head >> 15);
        if (head & 0x4000) run.end(2000);
    }
}

/// One input, after what the world's owner does to begin with.
inline void run_input(Run& run, const uint8_t* data, size_t size) {
    if (size == 0 || size > 20'000) return;
    const auto* bytes = reinterpret_cast<const std::byte*>(data);
    const Room room{uint16_t((data[0] & 3) * 24), uint16_t((data[0] >> 2 & 3) * 24),
                    uint16_t(data[0] >> 4 & 1)};
    if (data[0] & 0x20)
        run_several(run, room, bytes + 1, bytes + size);
    else if (size <= 9001)
        run.send(Bytes(bytes + 1, bytes + size), room, 0);
    run.end(20);
}

}  // namespace torii::test
