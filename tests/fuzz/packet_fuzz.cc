// Any bytes as frames, after a connection of each kind has begun: the pipeline gives every packet
// exactly one verdict (or holds it), and reads and writes nothing outside the frame and its room.
//
// Input: one byte (bits 0-1: headroom, 2-3: tailroom, 4: port, 5: several frames), then the frame;
// or several, each behind two bytes: bit 15 the worker, bit 14 two seconds pass, bits 0-13 its
// length. Of several the IPv4 header checksums are made right, so that what lies deeper is reached:
// fragments that follow each other. Built with
// TORII_FUZZ it is a libFuzzer target; without, main() runs the kept inputs and a fixed number of
// changed ones: packet_fuzz DIRECTORY [COUNT].

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "tests/support/world/world.h"

namespace {

using namespace torii;
using namespace torii::test;

std::unique_ptr<World> make_world() {
    auto w = std::make_unique<World>(1024, 2);
    w->backend(w->service(kVip, 80), kServer, 8080, shm::Forward::nat);
    w->backend(w->service(kVip, 81), kServer, 81, shm::Forward::dr);
    w->backend(w->service(kVip, 53, Protocol::udp), kServer, 5353, shm::Forward::nat);
    w->service(kVip, 82);
    w->backend(w->service(kVip6, 80), kServer6, 8080, shm::Forward::nat);
    w->backend(w->service(kVip6, 81), kServer6, 81, shm::Forward::dr);
    for (auto& n : w->routes.neighbours)
        if (to_string(n.address) == kServer) n.vlan = 30;
    w->publish();
    return w;
}

void check(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "packet_fuzz: %s\n", what);
    std::abort();
}

class Run {
public:
    explicit Run(World& world) : w_(world) {}

    void begin() {
        for (uint16_t port : {80, 81}) {
            send(Frame().ip(kClient, kVip).tcp(40000, port, kSyn).bytes(), {}, 0);
            send(Frame().ip(kClient6, kVip6).tcp(40000, port, kSyn).bytes(), {}, 0);
        }
        send(Frame().ip(kClient, kVip).udp(40000, 53).bytes(), {}, 0);
    }
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
    }
    World& w_;
    uint64_t sent_ = 0;
};

void mend_checksum(Bytes& frame) {
    if (frame.size() < 34 || frame[12] != std::byte(8) || frame[13] != std::byte(0)) return;
    const size_t header = std::min<size_t>((size_t(frame[14]) & 15) * 4, frame.size() - 14);
    if (header < 20) return;
    frame[24] = frame[25] = std::byte(0);
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < header; i += 2)
        sum += uint32_t(frame[14 + i]) << 8 | uint32_t(frame[15 + i]);
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    frame[24] = std::byte(~sum >> 8);
    frame[25] = std::byte(~sum);
}

void run_several(Run& run, Room room, const std::byte* at, const std::byte* end) {
    for (int n = 0; n < 40 && end - at >= 2; ++n) {
        const unsigned head = unsigned(at[0]) << 8 | unsigned(at[1]);
        const auto length = std::min<std::ptrdiff_t>(head & 0x3fff, end - at - 2);
        Bytes frame(at + 2, at + 2 + length);
        at += 2 + length;
        mend_checksum(frame);
        run.send(frame, room, head >> 15);
        if (head & 0x4000) run.end(2000);
    }
}

void run_one(const uint8_t* data, size_t size) {
    static const std::unique_ptr<World> world = make_world();
    static Run run(*world);
    run.begin();
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    run_one(data, size);
    return 0;
}
